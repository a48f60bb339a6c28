"""Problem statistics (T6) and the register of problems and risks (T11)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eventkit.errors import NotFound, RuleBroken
from tests.eventkit.desk import Desk, eventually
from tests.tickets.stories import asked, engineer, types, update

NOW = datetime.now(UTC)
PERIOD = {"begin_at": (NOW - timedelta(days=1)).isoformat(), "end_at": (NOW + timedelta(days=1)).isoformat()}


@pytest.fixture
def desk(tickets: Desk, call: Any) -> Desk:
    """Four tickets: solved at once; passed on and solved; reopened; missed in the queue. Two share a fault."""
    tickets.publish(engineer("E21", "华东支持组"))
    eventually(lambda: tickets.one("select count(*) from person") == 1)
    fault = {"problem_code": "P-1", "category": "打印"}
    at_once, passed, again = (
        call("open_ticket", title="坏了", region="华东", **extra)["number"] for extra in (fault, fault, {})
    )
    call("resolve_ticket", number=at_once, solution="好了")
    call("change_ticket", number=passed, assignee="E22")
    call("resolve_ticket", number=passed, solution="好了")
    call("resolve_ticket", number=again, solution="好了")
    call("reopen_ticket", number=again, reason="又坏了")
    now = datetime.now(UTC)
    tickets.publish(asked("ERP-1", priority=1, region="华南", time=now - timedelta(hours=5), arrived_at=now))
    eventually(lambda: types(tickets).count("sla.breached") == 2)
    tickets.publish(update("ERP-1", 2, assignee="E9"))
    eventually(lambda: tickets.one("select count(*) from ticket where assignee = 'E9'") == 1)
    return tickets


def test_the_figures_of_a_period(desk: Desk, call: Any) -> None:
    found = call("ticket_statistics", **PERIOD)
    assert (found["opened"], found["solved"], found["missed"]) == (4, 2, 1)
    assert (found["first_contact_share"], found["reopen_share"]) == (0.5, 0.25)
    assert {one["problem_code"]: one["tickets"] for one in found["fault_types"]} == {"P-1": 2, None: 2}


def test_a_missed_tickets_bottleneck_is_the_step_in_which_most_of_its_time_went(desk: Desk, call: Any) -> None:
    [bottleneck] = call("ticket_statistics", **PERIOD)["bottlenecks"]
    assert (bottleneck["step"], bottleneck["level"], bottleneck["group"], bottleneck["tickets"]) == (
        "queue",
        2,
        "华南支持组",
        1,
    )
    assert bottleneck["seconds"] == pytest.approx(5 * 3600, abs=60)


def test_a_merged_ticket_was_not_solved(desk: Desk, call: Any) -> None:
    before = call("ticket_statistics", **PERIOD)
    one, into = (call("open_ticket", title="坏了", region="华北")["number"] for _ in range(2))
    assert call("merge_ticket", number=one, into=into)["resolved_at"] is None
    found = call("ticket_statistics", **PERIOD)
    assert (found["opened"], found["solved"]) == (before["opened"] + 2, before["solved"])
    assert found["first_contact_share"] == before["first_contact_share"]


def test_only_what_the_caller_may_see_is_counted(desk: Desk, call: Any) -> None:
    scope = {"kind": "group", "groups": ["华东支持组"]}
    assert call("ticket_statistics", **PERIOD, scope=scope)["opened"] == 3


@pytest.mark.parametrize(
    ("period", "field"),
    [
        ({**PERIOD, "begin_at": "soon"}, "begin_at"),
        ({"begin_at": PERIOD["end_at"], "end_at": PERIOD["begin_at"]}, "end_at"),
    ],
)
def test_a_wrong_period_is_named(call: Any, period: dict[str, str], field: str) -> None:
    with pytest.raises(RuleBroken) as caught:
        call("ticket_statistics", **period)
    assert caught.value.field == field


def test_an_empty_period_has_no_shares(call: Any) -> None:
    found = call("ticket_statistics", begin_at="2001-01-01T00:00:00Z", end_at="2001-02-01T00:00:00Z")
    assert (found["opened"], found["first_contact_share"], found["fault_types"], found["bottlenecks"]) == (
        0,
        None,
        [],
        [],
    )


def test_a_risk_is_registered_changed_and_shown_with_who_changed_what(call: Any) -> None:
    wish = {"kind": "risk", "title": "历史数据未导入", "owner": "E1", "impact": 4, "likelihood": 3, "hotline": "8000"}
    entry = call("put_register_entry", **wish)["id"]
    call("put_register_entry", id=entry, status="blocked", due_on="2026-12-01")
    shown = call("get_register_entry", id=entry)
    assert (shown["status"], shown["title"], shown["weight"], shown["due_on"]) == (
        "blocked",
        wish["title"],
        12,
        "2026-12-01",
    )
    assert [(one["actor"], one["field"], one["after"]) for one in shown["changes"]] == [
        ("E1001", "entry", "历史数据未导入"),
        ("E1001", "status", "blocked"),
        ("E1001", "due_on", "2026-12-01"),
    ]


def test_the_gravest_come_first(call: Any) -> None:
    for title, impact, likelihood in (("小", 1, 1), ("大", 4, 4), ("中", 3, 2)):
        call("put_register_entry", kind="risk", title=title, owner="E1", impact=impact, likelihood=likelihood)
    call("put_register_entry", kind="problem", title="已经发生", owner="E1", impact=3)
    assert [one["title"] for one in call("list_register")["items"]] == ["大", "已经发生", "中", "小"]
    assert [one["title"] for one in call("list_register", filters={"kind": "problem"})["items"]] == ["已经发生"]


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"kind": "risk", "title": "x", "owner": "E1", "impact": 4}, "likelihood"),
        ({"kind": "problem", "title": "x", "owner": "E1", "impact": 9}, "impact"),
        ({"kind": "problem", "title": "x", "impact": 4}, "owner"),
        ({"kind": "problem", "title": "绝密", "owner": "E1", "impact": 4}, "title"),
    ],
)
def test_what_is_wrong_in_an_entry_is_named(call: Any, wish: dict[str, Any], field: str) -> None:
    with pytest.raises(RuleBroken) as caught:
        call("put_register_entry", **wish)
    assert caught.value.field == field


def test_an_entry_that_is_not_there_is_not_found(call: Any) -> None:
    with pytest.raises(NotFound):
        call("get_register_entry", id="R1999-0001")
