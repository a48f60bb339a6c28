"""Every change says from where it came (S4): another system, the mailbox, the API, a requester's page, or a timer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.gateway import PersonChanged, TicketRequested, TicketUpdateRequested
from services.tickets.telling import Change
from tests.eventkit.desk import Desk, eventually, reported


def test_one_persons_changes_are_told_apart_by_where_they_came_from(tickets: Desk, call: Any) -> None:
    asked = TicketRequested(title="打不开", requester="E7")
    tickets.publish(
        reported(PersonChanged(employee_number="E7", version=1, name="小李", email="e7@x.invalid"), "E7"),
        reported(asked, "OA-1", source="/oa", externalref="OA-1", actor="E7"),
    )
    number = eventually(lambda: call("list_tickets")["items"])[0]["number"]
    call("change_ticket", number=number, state="awaiting_user")
    said = TicketUpdateRequested(number=number, comment="还是不行", title="Re: 打不开", mail_from="e7@x.invalid")
    tickets.publish(reported(said, number, source="/liaison/mail", externalref="m1"))
    eventually(lambda: call("get_ticket", number=number)["state"] == "in_progress")
    call("resolve_ticket", actor="E7", number=number, solution="重启")
    call("decide_solution", actor="E7", number=number, cycle=1, person="E7", decision="refuse", text="又打不开")
    call("resolve_ticket", number=number, solution="换机器")
    tickets.fast_forward("silence")
    eventually(lambda: call("get_ticket", number=number)["state"] == "closed")
    changes = call("ticket_changes", number=number)["items"]
    assert [(one["after"], one["actor"], one["via"]) for one in changes if one["field"] == "state"] == [
        ("new", "E7", "/oa"),
        ("awaiting_user", "E1001", "http"),
        ("in_progress", "E7", "/liaison/mail"),
        ("resolved", "E7", "http"),
        ("in_progress", "E7", "page"),
        ("resolved", "E1001", "http"),
        ("closed", None, "timer"),
    ]


def test_no_change_leaves_open_from_where_it_came() -> None:
    with pytest.raises(TypeError, match="via"):
        Change(datetime(2026, 3, 2, tzinfo=UTC))  # type: ignore[call-arg]
