"""Questions and commands that routes pass on to a service, with the caller's scope; its errors become problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from eventkit.envelope import continued_trace
from eventkit.errors import DeadlinePassed, RuleBroken, Unavailable
from services.gateway.access import Permitted, parts_of
from services.gateway.problems import of_call


class Asked:
    """A service that routes ask."""

    def __init__(self, service: str) -> None:
        self._service = service

    def ask(
        self,
        request: Request,
        method: str,
        arguments: Mapping[str, Any],
        *,
        key: str | None = None,
        actor: str | None = None,
    ) -> Any:
        """Ask in nobody's name. key: makes a command safe to send again. Raises Problem."""
        # In nobody's name the trace begins here, since the caller's own would lead to the caller.
        trace = continued_trace(request.headers.get("traceparent") if actor else None)
        try:
            return parts_of(request).rpc.call(self._service, method, arguments, key=key, actor=actor, traceparent=trace)
        except (RuleBroken, DeadlinePassed, Unavailable) as error:
            raise of_call(error) from error

    def ask_for(
        self, request: Request, who: Permitted, method: str, arguments: Mapping[str, Any], key: str | None = None
    ) -> Any:
        """Ask in the caller's name and within their scope. key: the caller's own, as they sent it."""
        # Two callers may hit on the same key, and must not get each other's answers.
        own_key = None if key is None else f"{who.caller.name} {key}"
        scoped = {**arguments, "scope": who.as_argument()}
        return self.ask(request, method, scoped, key=own_key, actor=who.actor)
