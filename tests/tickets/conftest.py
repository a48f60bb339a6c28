"""The tickets service on a real broker and database, under a policy that a test states."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from eventkit.rpc import RpcClient
from liaison.installation import Installation
from services.tickets.service import TicketsService
from tests.eventkit.desk import Desk, desk_for, eventually
from tests.policies import AROUND_THE_CLOCK
from tests.tickets.stories import ALL


@pytest.fixture
def desk_under(installation: Installation, tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """A factory of tickets services, not started: `desk_under({"warn_at_shares: [0.75]": "warn_at_shares: [0.5]"})`.

    The argument says what is other than in the policy around the clock.
    """
    with ExitStack() as stack:

        def made(changes: dict[str, str] | None = None) -> Desk:
            text = AROUND_THE_CLOCK.read_text()
            for before, after in (changes or {}).items():
                assert before in text
                text = text.replace(before, after)
            path = tmp_path / "policy.yaml"
            path.write_text(text)
            environment = {"LIAISON_TICKETS_POLICY": str(path)}
            return stack.enter_context(desk_for(installation, TicketsService, environment))

        yield made


@pytest.fixture
def tickets(desk_under: Callable[..., Desk]) -> Desk:
    return desk_under()


@pytest.fixture
def calling() -> Iterator[Callable[[Desk], Any]]:
    """Starts a desk and gives a function that asks it: `call("open_ticket", actor="E1", title=…)`."""
    with ExitStack() as stack:

        def caller_of(desk: Desk) -> Any:
            desk.start()
            client = RpcClient(desk.uri, "gateway")
            stack.callback(client.close)
            eventually(lambda: client.connected)

            def call(method: str, *, actor: str | None = "E1001", key: str | None = None, **arguments: Any) -> Any:
                scoped = {"scope": ALL} | arguments
                return client.call(desk.definition.name, method, scoped, actor=actor, key=key)

            return call

        yield caller_of


@pytest.fixture
def call(tickets: Desk, calling: Callable[[Desk], Any]) -> Any:
    return calling(tickets)
