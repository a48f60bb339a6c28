"""Calls to the services behind the door: only so many wait for each, so that one that is away shuts out nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from threading import BoundedSemaphore
from typing import Any

from eventkit.envelope import new_id
from eventkit.errors import Unavailable
from eventkit.rpc import RpcClient
from services.gateway.rules import BEHIND_THE_DOOR

# As many as a replica of a service takes from its queue at once.
WAITING_EACH = 32
#: How many threads may wait for all services together.
MOST_WAITING = WAITING_EACH * len(BEHIND_THE_DOOR)


class Calling:
    """Calls services from the threads of requests."""

    def __init__(self, client: RpcClient) -> None:
        self._client = client
        self._places = {name: BoundedSemaphore(WAITING_EACH) for name in BEHIND_THE_DOOR}

    def call(
        self, service: str, method: str, arguments: Mapping[str, Any], *, key: str | None = None, **options: Any
    ) -> Any:
        """Return what `RpcClient.call` returns, and raise what it raises; options: its own.

        key: a command's own; without one, the call gets a key that is good for itself only.
        Raises Unavailable at once where enough calls wait for the service already.
        """
        place = self._places[service]
        if not place.acquire(blocking=False):
            raise Unavailable(f"{WAITING_EACH} calls to {service} wait already")
        try:
            # A command that the broker delivers again after a crash must still be done once.
            return self._client.call(service, method, arguments, key=key or new_id(), **options)
        finally:
            place.release()
