"""A tickets service that answers every call with what it was asked, over the real broker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from eventkit import broker, topology
from eventkit.definition import Method, ServiceDefinition
from eventkit.errors import NotFound, RuleBroken
from eventkit.process import ProcessSettings, ServiceProcess
from eventkit.work import Work
from liaison.installation import Installation
from tests.eventkit.desk import admin_of, database_of

TICKET = {
    "number": "T2026-000001",
    "title": "打印机坏了",
    "state": "new",
    "state_text": "待处理",
    "priority": 3,
    "channel": "web",
    "opened_at": "2026-01-01T00:00:00Z",
}


class Tickets:
    """The stub. asked: every call, as (method, arguments, actor)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, Any], str | None]] = []

    def method(self, name: str) -> Method:
        def answer(work: Work, arguments: Mapping[str, Any]) -> Any:
            self.asked.append((name, arguments, work.actor))
            if arguments.get("number") == "none":
                raise NotFound("no ticket none", field="number")
            if arguments.get("number") == "closed":
                raise RuleBroken("only a resolved ticket can be closed", field="state")
            if name == "list_tickets":
                return {"items": [TICKET], "next_cursor": "T2026-000001"}
            return TICKET | {"number": arguments.get("number", f"T2026-{len(self.asked):06}")}

        return Method(name, answer, is_command=name not in ("get_ticket", "list_tickets"))


_METHODS = ("open", "get", "respond", "resolve", "reopen", "close")


@contextmanager
def running_tickets(installation: Installation) -> Iterator[Tickets]:
    """Run the stub under the name `tickets`."""
    stub = Tickets()
    names = [*(f"{name}_ticket" for name in _METHODS), "list_tickets"]
    definition = ServiceDefinition("tickets", methods={name: stub.method(name) for name in names})
    admin = admin_of(installation)
    queue = broker.rpc_queue("tickets")
    admin.declare(topology.Queue(queue, quorum=False))
    admin.declare(topology.Binding(broker.RPC, queue, True, "tickets"))
    settings = ProcessSettings(installation.amqp_admin_uri, database_of(installation, "gateway_tickets_stub"), 0)
    process = ServiceProcess(definition, settings, None)
    process.start()
    try:
        yield stub
    finally:
        process.stop(grace_s=5)
        admin._call("DELETE", f"/queues/{topology.VHOST}/{queue}", ok=(204, 404))
        admin.close()
