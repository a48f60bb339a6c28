"""A tickets service that answers every call with what it was asked, over the real broker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
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

FEEDBACK = {
    "feedback_id": "F2026-000001",
    "status": "accepted",
    "status_text": "已受理",
    "received_at": "2026-01-01T00:00:00Z",
    "changed_at": "2026-01-01T00:00:00Z",
    "text": "打印太慢",
    "way": "web",
}
COMMENT = {"id": "c1", "at": "2026-01-01T00:00:00Z", "actor": "E7", "body": "还是不行", "public": True}
FILE = b"\x89PNG a picture"
ATTACHMENT = {
    "id": "f1",
    "name": "截图 1.png",
    "size_bytes": len(FILE),
    "sha256": sha256(FILE).hexdigest(),
    "content_type": "image/png",
    "level": "public",
    "actor": "E7",
    "added_at": "2026-01-01T00:00:00Z",
}
CHANGE = {
    "at": "2026-01-01T00:00:00Z",
    "actor": "E7",
    "via": "page",
    "field": "state",
    "before": "new",
    "after": "in_progress",
    "reason": "",
}
SLA: dict[str, Any] = {
    "number": "T1",
    "level": "通用",
    "clocks": [
        {
            "target": "solution",
            "cycle": 1,
            "level": "通用",
            "calendar": "7x8",
            "time_zone": "Asia/Shanghai",
            "state": "running",
            "paused": False,
            "target_s": 14400.0,
            "spent_before_s": 0.0,
            "elapsed_s": 60.5,
            "remaining_s": 14339.5,
            "started_at": "2026-01-01T01:00:00Z",
            "due_at": "2026-01-01T05:00:00Z",
            "stopped_at": None,
            "warned_shares": [],
            "unpublished_years": [],
            "spans_left_out": 0,
            "spans": [
                {
                    "begin_at": "2026-01-01T01:00:00Z",
                    "end_at": "2026-01-01T01:01:00.500000Z",
                    "counted": True,
                    "reason": "open",
                    "text": "服务时间",
                    "by": None,
                }
            ],
        }
    ],
}
DECISION: dict[str, Any] = {
    "at": "2026-01-01T00:00:00Z",
    "group": "网络组",
    "person": "E1",
    "waits_for": None,
    "skill_lifted": False,
    "candidates": [
        {"person": "E1", "score": 1.5, "open_count": 1, "capacity": 5, "passed": None, "text": "分派"},
        {"person": "E2", "score": 3.0, "open_count": 3, "capacity": 5, "passed": "more_load", "text": "在办较多"},
    ],
}
SWAP = {
    "group": "网络组",
    "level": 2,
    "giver": "E1",
    "taker": "E2",
    "begin_at": "2026-03-02T01:00:00Z",
    "end_at": "2026-03-02T09:00:00Z",
}
DUTY: dict[str, Any] = {
    "group": "网络组",
    "at": "2026-03-02T01:00:00Z",
    "time_zone": "Asia/Shanghai",
    "on_duty": [{"level": 2, "person": "E2", "why": "swapped", "rostered": "E1"}],
    "shifts": [],
    "gaps": [],
}
SUPPORT = {
    "number": "T1",
    "level": 3,
    "diagnosis_mode": "remote",
    "appointment_at": None,
    "vendor": None,
    "vendor_number": None,
    "promised_at": None,
    "root_cause": None,
}
LEDGER: dict[str, Any] = {
    "number": "T1",
    "life_s": 60.0,
    "holdings": [
        {
            "level": 2,
            "group": "网络组",
            "person": "E1",
            "step": "work",
            "begin_at": "2026-01-01T00:00:00Z",
            "end_at": None,
            "seconds": 60.0,
        }
    ],
    "sums": {"level": {"2": 60.0}, "group": {"网络组": 60.0}, "person": {"E1": 60.0}, "step": {"work": 60.0}},
}
LINK = {"number": "T1", "kind": "child_of", "target": "T2", "at": "2026-01-01T00:00:00Z", "actor": "E1"}
LINKS: dict[str, Any] = {"number": "T1", "links": [LINK], "watchers": ["E7"]}
MANY: dict[str, Any] = {"results": [{"number": "T1", "done": True, "field": None, "reason": None}], "done": 1}
QUICK_TEXT = {"name": "restart", "body": "请重启"}
STATISTICS: dict[str, Any] = {
    "begin_at": "2026-01-01T00:00:00Z",
    "end_at": "2026-02-01T00:00:00Z",
    "opened": 3,
    "solved": 2,
    "missed": 1,
    "first_contact_share": 0.5,
    "reopen_share": 0.0,
    "fault_types": [{"category": "打印", "subcategory": None, "problem_code": "P-1", "tickets": 2}],
    "bottlenecks": [{"step": "queue", "level": 2, "group": "网络组", "tickets": 1, "seconds": 3600}],
    "missed_looked_at": 1,
}
ENTRY: dict[str, Any] = {
    "id": "R2026-0001",
    "kind": "risk",
    "title": "历史数据未导入",
    "owner": "E1",
    "impact": 4,
    "likelihood": 2,
    "summary": "",
    "status": "open",
    "hotline": None,
    "measures": "",
    "due_on": None,
    "tickets": [],
    "weight": 8,
    "changed_at": "2026-01-01T00:00:00Z",
    "changes": [],
}
FOR_REQUESTER: dict[str, Any] = {
    "number": "T2026-000001",
    "title": "打印机坏了 <script>alert(1)</script>",
    "state": "resolved",
    "state_text": "已解决",
    "opened_at": "2026-01-01T00:00:00Z",
    "solution": "重启打印机",
    "asked": True,
    "may_rate": True,
    "comments": [{"at": "2026-01-01T01:00:00Z", "mine": True, "body": "还是不行"}],
}
#: What the stub answers where a ticket would be wrong.
_ANSWERS: dict[str, Any] = {
    "ticket_comments": {"items": [COMMENT]},
    "ticket_changes": {"items": [CHANGE]},
    "ticket_attachments": {"items": [ATTACHMENT]},
    "get_attachment": ATTACHMENT,
    "explain_sla": SLA,
    "ticket_assignments": {"items": [DECISION]},
    "show_duty": DUTY,
    "ticket_for_requester": FOR_REQUESTER,
    "ticket_support": SUPPORT,
    "ticket_statistics": STATISTICS,
    "get_register_entry": ENTRY,
    "list_register": {"items": [ENTRY]},
    "ticket_links": LINKS,
    "quick_texts": {"items": [QUICK_TEXT]},
    "ticket_ledger": LEDGER,
}
_COMMANDS: dict[str, Any] = {
    "add_attachment": ATTACHMENT,
    "load_roster": {"shifts": 1, "replaced": 0, "groups": ["网络组"]},
    "swap_duty": SWAP,
    "decide_solution": FOR_REQUESTER,
    "put_register_entry": ENTRY,
    "change_many": MANY,
    "close_many": MANY,
    "link_ticket": LINKS,
    "watch_ticket": LINKS,
    "put_quick_text": QUICK_TEXT,
    "diagnose_ticket": SUPPORT,
    "note_vendor": SUPPORT,
    "reply_to_ticket": FOR_REQUESTER,
}
_READING = (*_ANSWERS, "get_ticket", "list_tickets", "get_feedback", "list_feedback", "feedback_status")


class Tickets:
    """The stub. asked: every call, as (method, arguments, actor). traces: the trace of each."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, Any], str | None]] = []
        self.traces: list[str | None] = []

    def method(self, name: str) -> Method:
        def answer(work: Work, arguments: Mapping[str, Any]) -> Any:
            self.asked.append((name, arguments, work.actor))
            self.traces.append(work.traceparent)
            if arguments.get("number") == "none":
                raise NotFound("no ticket none", field="number")
            if arguments.get("number") == "closed" and name != "ticket_for_requester":
                raise RuleBroken("only a resolved ticket can be closed", field="state")
            if arguments.get("feedback_id") == "none":
                raise NotFound("no feedback none", field="feedback_id")
            if name == "list_feedback":
                return {"items": [FEEDBACK], "next_cursor": "F2026-000001"}
            if "feedback" in name:
                return FEEDBACK
            if name in _ANSWERS or name in _COMMANDS:
                return (_ANSWERS | _COMMANDS)[name]
            if name == "list_tickets":
                return {"items": [TICKET], "next_cursor": "T2026-000001"}
            return TICKET | {"number": arguments.get("number", f"T2026-{len(self.asked):06}")}

        return Method(name, answer, is_command=name not in _READING)


_METHODS = ("open", "get", "respond", "resolve", "reopen", "close", "comment", "escalate", "change", "merge")
_ON_FEEDBACK = ("submit", "get", "list", "classify", "answer", "assign", "add_to")


@contextmanager
def running_tickets(installation: Installation) -> Iterator[Tickets]:
    """Run the stub under the name `tickets`."""
    stub = Tickets()
    names = [*(f"{name}_ticket" for name in _METHODS), "list_tickets", *_ANSWERS, *_COMMANDS]
    names += [*(f"{name}_feedback" for name in _ON_FEEDBACK), "feedback_status", "add_to_feedback_by_receipt"]
    with answering(installation, ServiceDefinition("tickets", methods={name: stub.method(name) for name in names})):
        yield stub


@contextmanager
def stopped(installation: Installation, name: str) -> Iterator[None]:
    """Have calls to a service lie in its queue, as they do while it is stopped."""
    admin = admin_of(installation)
    queue = broker.rpc_queue(name)
    admin.declare(topology.Queue(queue, quorum=False))
    admin.declare(topology.Binding(broker.RPC, queue, True, name))
    try:
        yield
    finally:
        admin._call("DELETE", f"/queues/{topology.VHOST}/{queue}", ok=(204, 404))
        admin.close()


@contextmanager
def answering(installation: Installation, definition: ServiceDefinition) -> Iterator[None]:
    """Have a definition answer calls under its own name."""
    name = definition.name
    settings = ProcessSettings(installation.amqp_admin_uri, database_of(installation, f"gateway_{name}_stub"), 0)
    process = ServiceProcess(definition, settings, None)
    with stopped(installation, name):
        process.start()
        try:
            yield
        finally:
            process.stop(grace_s=5)
