"""The tickets service on a real broker and database: one story a test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.words import TicketState
from eventkit.errors import NotFound, RuleBroken
from tests.eventkit.desk import Desk, eventually
from tests.tickets.stories import asked, engineer, told, types, update


def test_a_request_becomes_a_ticket_with_a_number_two_clocks_and_an_engineer(tickets: Desk) -> None:
    tickets.publish(engineer("E21", "华东支持组"), asked("ERP-1", priority=2))
    tickets.start()
    [(kind, data)] = eventually(lambda: told(tickets))
    year = datetime.now(UTC).year
    assert kind == "ticket.opened"
    assert data["number"].startswith(f"T{year}-")
    assert (data["assignee"], data["group"], data["group_lead"]) == ("E21", "华东支持组", "E1002")
    opened, due = (datetime.fromisoformat(data[name]) for name in ("opened_at", "due_solution_at"))
    assert due - opened == timedelta(hours=8)
    assert tickets.one("select count(*) from eventkit.timer where kind like 'sla%'") == 4


@pytest.mark.parametrize(
    ("region", "group", "assignee"),
    [
        pytest.param("华东", "华东支持组", "E21", id="a region with an engineer"),
        pytest.param("华南", "华南支持组", None, id="a region with nobody stays in its group's queue"),
        pytest.param("火星", "服务台", "E31", id="an unknown region goes to the desk"),
    ],
)
def test_assignment_by_region(tickets: Desk, region: str, group: str, assignee: str | None) -> None:
    tickets.publish(engineer("E21", "华东支持组"), engineer("E31", "服务台"), asked("ERP-1", region=region))
    tickets.start()
    [(_, data)] = eventually(lambda: told(tickets))
    assert (data["group"], data.get("assignee")) == (group, assignee)


def test_tickets_of_one_batch_are_spread_over_the_engineers(tickets: Desk) -> None:
    people = [engineer(f"E2{n}", "华东支持组") for n in range(3)]
    tickets.publish(*people, *[asked(f"ERP-{n}") for n in range(30)])
    tickets.start()
    eventually(lambda: len(told(tickets)) == 30)
    assert [row.n for row in tickets.rows("select count(*) as n from ticket group by assignee")] == [10, 10, 10]


def test_a_second_request_with_the_same_key_is_an_occurrence(tickets: Desk) -> None:
    tickets.publish(asked("ERP-1"), asked("ERP-1", 2), asked("ERP-1", 3))
    tickets.start()
    eventually(lambda: len(told(tickets)) == 3)
    assert types(tickets) == ["ticket.opened", "ticket.changed", "ticket.changed"]
    assert tickets.rows("select occurrences from ticket")[0].occurrences == 3


def test_a_number_bears_the_year_of_the_desks_own_clock(tickets: Desk) -> None:
    # The desk is in China, eight hours before UTC.
    new_year = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)
    tickets.publish(
        asked("INC1", time=new_year - timedelta(seconds=1), history=True), asked("INC2", time=new_year, history=True)
    )
    tickets.start()
    eventually(lambda: tickets.one("select count(*) from ticket") == 2)
    numbers = [row.number for row in tickets.rows("select number from ticket order by opened_at")]
    assert [number.partition("-")[0] for number in numbers] == ["T2026", "T2027"]


def test_updates_of_another_system_follow_the_ticket_to_its_end(tickets: Desk) -> None:
    tickets.publish(
        asked("ERP-1"),
        update("ERP-1", 2, state=TicketState.IN_PROGRESS, assignee="E5"),
        update("ERP-1", 3, state=TicketState.AWAITING_USER),
        update("ERP-1", 4, state=TicketState.IN_PROGRESS, comment="用户已回复"),
        update("ERP-1", 5, state=TicketState.RESOLVED, solution="换了墨盒"),
        update("ERP-1", 6, state=TicketState.IN_PROGRESS),
        update("ERP-1", 7, state=TicketState.CLOSED),
    )
    tickets.start()
    eventually(lambda: "ticket.closed" in types(tickets))
    assert types(tickets) == [
        "ticket.opened",
        "ticket.assigned",
        "sla.met",
        "ticket.responded",
        "ticket.paused",
        "ticket.commented",
        "ticket.resumed",
        "sla.met",
        "ticket.resolved",
        "ticket.reopened",
        "sla.met",
        "ticket.resolved",
        "ticket.closed",
    ]
    assert tickets.one("select count(*) from eventkit.timer where kind like 'sla%'") == 0
    states = [row.after for row in tickets.rows("select after from ticket_change where field = 'state' order by id")]
    assert states == ["new", "in_progress", "awaiting_user", "in_progress", "resolved", "in_progress", "closed"]


def test_an_update_of_an_unknown_ticket_is_kept_as_dead_with_the_reason(tickets: Desk) -> None:
    tickets.publish(update("ERP-9", 1, state=TicketState.RESOLVED))
    tickets.start()
    reason = eventually(lambda: tickets.rows("select reason from eventkit.held_event where state = 'dead'"))
    assert "no ticket 'ERP-9'" in reason[0].reason


@pytest.mark.parametrize("state", [TicketState.RESOLVED, TicketState.NEW])
def test_an_update_into_a_state_that_cannot_follow_is_kept_as_dead_and_changes_nothing(
    tickets: Desk, state: TicketState
) -> None:
    closed = update("ERP-1", 2, state=TicketState.CLOSED)
    tickets.publish(asked("ERP-1"), closed, update("ERP-1", 3, state=state, comment="再试", priority=1))
    tickets.start()
    [row] = eventually(lambda: tickets.rows("select reason from eventkit.held_event where state = 'dead'"))
    assert row.reason == f"BadMessage: state: a ticket that is closed cannot become {state}"
    [ticket] = tickets.rows("select state, priority, closed_at = resolved_at as at_once from ticket")
    assert (ticket.state, ticket.priority, ticket.at_once) == ("closed", 3, True)
    assert types(tickets)[-2:] == ["ticket.resolved", "ticket.closed"]
    assert tickets.one("select count(*) from eventkit.timer where kind = 'silence'") == 0


def test_an_update_into_the_state_that_a_ticket_has_changes_nothing(tickets: Desk) -> None:
    tickets.publish(
        asked("ERP-1"),
        *(update("ERP-1", sequence, state=TicketState.RESOLVED) for sequence in (2, 3)),
        *(update("ERP-1", sequence, state=TicketState.CLOSED) for sequence in (4, 5)),
        update("ERP-1", 6, comment="谢谢"),
    )
    tickets.start()
    eventually(lambda: "ticket.commented" in types(tickets))
    assert types(tickets)[-3:] == ["ticket.resolved", "ticket.closed", "ticket.commented"]
    assert tickets.one("select count(*) from eventkit.held_event") == 0


def test_another_desks_log_may_leave_steps_out(tickets: Desk) -> None:
    then = datetime(2016, 3, 1, 9, 0, tzinfo=UTC)
    states = (TicketState.CLOSED, TicketState.RESOLVED, TicketState.NEW)
    tickets.publish(
        asked("INC1", time=then, history=True),
        *(update("INC1", n, state=state, time=then, history=True) for n, state in enumerate(states, 2)),
    )
    tickets.start()
    eventually(lambda: "ticket.reopened" in types(tickets))
    assert tickets.one("select state from ticket") == "new"


def test_a_clock_warns_and_breaches_once_each_when_time_runs_out(tickets: Desk) -> None:
    # Given a ticket whose first response was due long ago by its own, believable time
    long_ago = datetime.now(UTC) - timedelta(minutes=14, seconds=59)
    tickets.publish(asked("ERP-1", priority=1, time=long_ago, arrived_at=datetime.now(UTC)))
    tickets.start()
    # Then its breach fires on time, once, and the solution clock goes on
    eventually(lambda: "sla.breached" in types(tickets))
    [data] = [data for kind, data in told(tickets) if kind == "sla.breached"]
    assert data["target"] == "first_response"
    assert not data.get("retroactive")
    assert datetime.fromisoformat(data["due_at"]) == long_ago + timedelta(minutes=15)
    left = {row.kind for row in tickets.rows("select kind, key from eventkit.timer")}
    assert left >= {"sla_warning", "sla_breach"}


def test_history_arms_no_timer_and_its_misses_are_found_when_the_clock_stops(tickets: Desk) -> None:
    then = datetime(2016, 3, 1, 9, 0, tzinfo=UTC)
    tickets.publish(
        asked("INC1", priority=1, time=then, history=True),
        update("INC1", 2, state=TicketState.IN_PROGRESS, time=then + timedelta(minutes=20), history=True),
        update("INC1", 3, state=TicketState.RESOLVED, time=then + timedelta(hours=1), history=True),
    )
    tickets.start()
    eventually(lambda: "ticket.resolved" in types(tickets))
    breached = {data["target"]: data for kind, data in told(tickets) if kind == "sla.breached"}
    met = [data["target"] for kind, data in told(tickets) if kind == "sla.met"]
    assert list(breached) == ["first_response"]
    assert met == ["solution"]
    assert breached["first_response"]["retroactive"] is True
    assert breached["first_response"]["due_at"] == "2016-03-01T09:15:00Z"
    assert tickets.one("select count(*) from eventkit.timer") == 0
    assert tickets.one("select count(*) from eventkit.outbox where headers ->> 'ce-history' = 'true'") == len(
        told(tickets)
    )


def test_a_priority_change_restates_the_due_moments_from_the_start(tickets: Desk) -> None:
    start = datetime.now(UTC) - timedelta(minutes=2)
    tickets.publish(
        asked("ERP-1", priority=3, time=start, arrived_at=datetime.now(UTC)), update("ERP-1", 2, priority=1)
    )
    tickets.start()
    eventually(lambda: "ticket.changed" in types(tickets))
    row = tickets.rows("select due_response_at, due_solution_at from ticket")[0]
    assert (row.due_response_at, row.due_solution_at) == (start + timedelta(minutes=15), start + timedelta(hours=4))
    due = tickets.one("select due_at from eventkit.timer where kind = 'sla_breach' and key like '%solution%'")
    assert due == start + timedelta(hours=4)


def test_a_leavers_open_tickets_are_handed_over(tickets: Desk) -> None:
    tickets.publish(engineer("E21", "华东支持组"), asked("ERP-1"), asked("ERP-2"))
    tickets.start()
    eventually(lambda: len(told(tickets)) == 2)
    tickets.publish(engineer("E22", "华东支持组"), engineer("E21", "华东支持组", 2, active=False))
    eventually(lambda: types(tickets).count("ticket.assigned") == 2)
    assert {row.assignee for row in tickets.rows("select assignee from ticket")} == {"E22"}


def test_a_ticket_that_comes_back_to_somebody_who_has_left_goes_to_another(tickets: Desk, call: Any) -> None:
    tickets.publish(engineer("E21", "华东支持组"))
    eventually(lambda: tickets.one("select count(*) from person") == 1)
    number = call("open_ticket", title="打不开", region="华东")["number"]
    call("resolve_ticket", number=number, solution="重启")
    tickets.publish(engineer("E21", "华东支持组", 2, active=False), engineer("E22", "华东支持组"))
    eventually(lambda: tickets.one("select count(*) from person where version = 2 or employee_number = 'E22'") == 2)
    assert call("reopen_ticket", number=number, reason="还是不行")["assignee"] == "E22"


@pytest.mark.parametrize("wish", ["request", "update"])
def test_nobody_who_has_left_is_given_a_ticket(tickets: Desk, wish: str) -> None:
    tickets.publish(engineer("E21", "华东支持组", active=False))
    named: dict[str, Any] = {"assignee": "E21"}
    tickets.publish(asked("ERP-1", **(named if wish == "request" else {})))
    if wish == "update":
        tickets.publish(update("ERP-1", 2, priority=2, **named))
    tickets.start()
    eventually(lambda: types(tickets)[-1:] == ["ticket.changed" if wish == "update" else "ticket.opened"])
    assert tickets.rows("select assignee from ticket")[0].assignee is None


def test_a_solved_ticket_waits_in_no_queue_when_a_leaver_is_named_for_it(tickets: Desk, call: Any) -> None:
    tickets.publish(engineer("E21", "华东支持组", active=False))
    eventually(lambda: tickets.one("select count(*) from person") == 1)
    number = call("open_ticket", title="打不开", region="华东")["number"]
    call("resolve_ticket", number=number, solution="重启")
    call("change_ticket", number=number, assignee="E21")
    assert tickets.one("select waits from ticket") is False


def test_the_work_of_somebody_first_heard_of_as_a_leaver_is_handed_over(tickets: Desk) -> None:
    tickets.publish(asked("ERP-1", assignee="E21"))
    tickets.start()
    eventually(lambda: types(tickets) == ["ticket.opened"])
    tickets.publish(engineer("E21", "华东支持组", active=False))
    eventually(lambda: "ticket.assigned" in types(tickets))
    assert tickets.rows("select assignee from ticket")[0].assignee is None


def test_an_older_version_of_a_person_changes_nothing(tickets: Desk) -> None:
    tickets.publish(engineer("E21", "华东支持组", 5), engineer("E21", "华南支持组", 4))
    tickets.start()
    eventually(lambda: tickets.one("select count(*) from eventkit.inbox") == 2)
    assert tickets.rows("select groups from person")[0].groups == ["华东支持组"]


def test_a_caller_opens_works_on_and_closes_a_ticket(tickets: Desk, call: Any) -> None:
    opened = call("open_ticket", title="无法登录", channel="web", key="once")
    again = call("open_ticket", title="无法登录", channel="web", key="once")
    number = opened["number"]
    assert again["number"] == number
    assert (opened["state"], opened["state_text"]) == ("new", "待处理")
    assert call("respond_ticket", number=number)["state_text"] == "处理中"
    assert call("resolve_ticket", number=number, solution="重置密码")["state_text"] == "已解决"
    assert call("reopen_ticket", number=number, reason="还是不行")["reopen_count"] == 1
    call("resolve_ticket", number=number, solution="换了账号")
    assert call("close_ticket", number=number)["state"] == "closed"
    with pytest.raises(RuleBroken, match="only a resolved ticket"):
        call("close_ticket", number=number)
    assert [row["number"] for row in call("list_tickets", filters={"state": "closed"})["items"]] == [number]


def test_a_caller_sees_only_what_the_scope_allows(tickets: Desk, call: Any) -> None:
    mine = call("open_ticket", title="我的", requester="E7")["number"]
    other = call("open_ticket", title="别人的", requester="E8")["number"]
    scope = {"kind": "own", "person": "E7"}
    assert [row["number"] for row in call("list_tickets", scope=scope)["items"]] == [mine]
    with pytest.raises(NotFound):
        call("get_ticket", number=other, scope=scope)
    with pytest.raises(RuleBroken, match="only for yourself"):
        call("open_ticket", title="替别人", requester="E8", scope=scope)


def test_a_list_is_read_page_by_page(tickets: Desk, call: Any) -> None:
    numbers = [call("open_ticket", title=f"第 {n} 张")["number"] for n in range(5)]
    page = call("list_tickets", limit=3)
    rest = call("list_tickets", limit=3, cursor=page["next_cursor"])
    assert [row["number"] for row in page["items"] + rest["items"]] == numbers[::-1]
    assert rest["next_cursor"] is None


def test_a_wrong_field_is_named(tickets: Desk, call: Any) -> None:
    with pytest.raises(RuleBroken) as caught:
        call("open_ticket", title="x", priority=9)
    assert caught.value.field == "priority"
