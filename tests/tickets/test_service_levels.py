"""Service levels on a real broker and database: what is told when, once, and why a clock is due when it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.words import TicketState
from tests.eventkit.desk import Desk, eventually
from tests.tickets.stories import asked, engineer, told, types, update

TWO_WARNINGS = {"warn_at_shares: [0.75]": "warn_at_shares: [0.5, 0.75]"}
WITH_NEXT_RESPONSE = {"solution: {1: 4h, 2: 8h, 3: 24h, 4: 72h}": "next_response: 1h\n    solution: 24h"}


def ago(**span: float) -> dict[str, Any]:
    """Return the times of an event that happened a while ago and arrives now."""
    now = datetime.now(UTC)
    return {"time": now - timedelta(**span), "arrived_at": now}


def of(kind: str, desk: Desk, **fields: Any) -> list[dict[str, Any]]:
    """Return the data of what was told of a kind, about a target."""
    return [data for name, data in told(desk) if name == kind and fields.items() <= data.items()]


def timers(desk: Desk) -> set[tuple[str, str]]:
    """Return the armed timers, as kind and what they are for behind the ticket's number."""
    rows = desk.rows("select kind, key from eventkit.timer where kind like 'sla%'")
    return {(row.kind.removeprefix("sla_"), row.key.split("/", 1)[1]) for row in rows}


def test_each_share_is_warned_of_once(desk_under: Callable[..., Desk]) -> None:
    # Given a ticket of which half of the response target has passed already
    desk = desk_under(TWO_WARNINGS)
    desk.publish(asked("ERP-1", priority=2, **ago(minutes=16)))
    desk.start()
    # Then its first warning comes at once, and only the others stay armed
    eventually(lambda: of("sla.warned", desk))
    assert [data["share"] for data in of("sla.warned", desk)] == [0.5]
    assert timers(desk) == {
        ("warning", "first_response/1/0.75"),
        ("breach", "first_response/1"),
        ("warning", "solution/1/0.5"),
        ("warning", "solution/1/0.75"),
        ("breach", "solution/1"),
    }


def test_a_late_raise_of_the_priority_warns_at_once_and_repeats_nothing(desk_under: Callable[..., Desk]) -> None:
    # iTop leaves the old threshold in place when the new one is past already.
    desk = desk_under(TWO_WARNINGS)
    desk.publish(asked("ERP-1", priority=3, **ago(minutes=31)))
    desk.start()
    eventually(lambda: len(of("sla.warned", desk, target="first_response")) == 1)
    # When the target becomes 30 minutes, of which 31 have passed
    desk.publish(update("ERP-1", 2, priority=2))
    # Then it is missed at the moment that now counts, and there is no warning beside the miss
    [missed] = eventually(lambda: of("sla.breached", desk, target="first_response"))
    assert datetime.fromisoformat(missed["due_at"]) < datetime.now(UTC)
    assert [data["share"] for data in of("sla.warned", desk, target="first_response")] == [0.5]
    assert {key for _, key in timers(desk) if key.startswith("first_response")} == set()


def test_nothing_is_told_while_a_clock_is_paused_and_what_was_told_is_not_repeated(
    desk_under: Callable[..., Desk],
) -> None:
    desk = desk_under(TWO_WARNINGS)
    desk.publish(asked("ERP-1", priority=1, **ago(hours=2, minutes=1)))
    desk.start()
    eventually(lambda: of("sla.warned", desk, target="solution"))
    desk.publish(update("ERP-1", 2, state=TicketState.AWAITING_USER))
    eventually(lambda: "ticket.paused" in types(desk))
    assert {key for _, key in timers(desk) if key.startswith("solution")} == set()
    desk.publish(update("ERP-1", 3, state=TicketState.IN_PROGRESS))
    eventually(lambda: "ticket.resumed" in types(desk))
    assert {key for _, key in timers(desk)} == {"solution/1/0.75", "solution/1"}
    assert len(of("sla.warned", desk, target="solution")) == 1


def test_the_next_response_is_due_from_the_requesters_first_word_on(
    desk_under: Callable[..., Desk], calling: Callable[[Desk], Any]
) -> None:
    desk = desk_under(WITH_NEXT_RESPONSE)
    call = calling(desk)
    number = call("open_ticket", title="打不开", requester="E7")["number"]
    call("respond_ticket", number=number)
    # When the requester writes twice, the second word moves nothing (Zammad's story)
    first = call("comment_ticket", actor="E7", number=number, body="还是不行")["due_next_response_at"]
    assert call("comment_ticket", actor="E7", number=number, body="在吗？")["due_next_response_at"] == first
    # When the desk answers among themselves the clock runs on; a word to the requester stops it
    call("comment_ticket", number=number, body="看看日志", public=False)
    assert "sla.met" not in types(desk)[-1:]
    call("comment_ticket", number=number, body="请重启")
    assert [data["cycle"] for data in of("sla.met", desk, target="next_response")] == [1]
    # Then the next word starts the next cycle
    call("comment_ticket", actor="E7", number=number, body="重启也没用")
    clocks = call("explain_sla", number=number)["clocks"]
    shown = [(one["cycle"], one["state"]) for one in clocks if one["target"] == "next_response"]
    assert shown == [(1, "met"), (2, "running")]


def test_a_question_that_the_solution_answers_is_due_no_more(
    desk_under: Callable[..., Desk], calling: Callable[[Desk], Any]
) -> None:
    # Chatwoot lets the next response run on after the solution.
    desk = desk_under(WITH_NEXT_RESPONSE)
    call = calling(desk)
    number = call("open_ticket", title="打不开", requester="E7")["number"]
    call("respond_ticket", number=number)
    call("comment_ticket", actor="E7", number=number, body="还是不行")
    assert ("breach", "next_response/1") in timers(desk)
    call("resolve_ticket", number=number, solution="重装了驱动")
    assert timers(desk) == set()
    assert [data["cycle"] for data in of("sla.met", desk, target="next_response")] == [1]


def test_a_public_word_of_the_desk_is_the_first_response(call: Any) -> None:
    number = call("open_ticket", title="打不开", requester="E7")["number"]
    assert call("comment_ticket", number=number, body="记一下", public=False)["responded_at"] is None
    answered = call("comment_ticket", number=number, body="马上看")
    assert (answered["state"], answered["responded_at"] is None) == ("in_progress", False)


def test_a_word_of_the_requester_ends_the_waiting_for_them(tickets: Desk, call: Any) -> None:
    number = call("open_ticket", title="打不开", requester="E7", externalref="x")["number"]
    tickets.publish(update("nothing", 1, number=number, state=TicketState.AWAITING_USER))
    eventually(lambda: call("get_ticket", number=number)["state"] == "awaiting_user")
    assert call("comment_ticket", actor="E7", number=number, body="截图发了")["state"] == "in_progress"


def test_internal_words_are_for_the_desk_only(call: Any) -> None:
    number = call("open_ticket", title="打不开", requester="E7")["number"]
    call("comment_ticket", number=number, body="用户很急", public=False)
    call("comment_ticket", number=number, body="在处理")
    own = {"kind": "own", "person": "E7"}
    assert [one["body"] for one in call("ticket_comments", number=number)["items"]] == ["用户很急", "在处理"]
    assert [one["body"] for one in call("ticket_comments", number=number, scope=own)["items"]] == ["在处理"]


@pytest.mark.parametrize(
    ("on_reopen", "clocks"),
    [
        pytest.param("new", [(1, "met", 0), (2, "running", 0)], id="the whole target again"),
        pytest.param("rest", [(1, "met", 0), (2, "running", 3600)], id="what was left"),
        pytest.param("none", [(1, "met", 0)], id="judged once"),
    ],
)
def test_a_refused_solution_has_the_budget_that_the_level_says(
    desk_under: Callable[..., Desk],
    calling: Callable[[Desk], Any],
    on_reopen: str,
    clocks: list[tuple[int, str, int]],
) -> None:
    desk = desk_under({"calendar: 7x24\n": f"calendar: 7x24\n  on_reopen: {on_reopen}\n"})
    desk.publish(asked("ERP-1", priority=2, **ago(hours=1)))
    call = calling(desk)
    number = eventually(lambda: call("list_tickets")["items"])[0]["number"]
    call("resolve_ticket", number=number, solution="重启")
    call("reopen_ticket", number=number, reason="还是不行")
    found = [one for one in call("explain_sla", number=number)["clocks"] if one["target"] == "solution"]
    assert [(one["cycle"], one["state"], round(one["spent_before_s"], -2)) for one in found] == clocks


def test_a_budget_that_was_used_up_is_not_missed_a_second_time(
    desk_under: Callable[..., Desk], calling: Callable[[Desk], Any]
) -> None:
    desk = desk_under({"calendar: 7x24\n": "calendar: 7x24\n  on_reopen: rest\n"})
    desk.publish(asked("ERP-1", priority=1, **ago(hours=5)))
    call = calling(desk)
    eventually(lambda: of("sla.breached", desk, target="solution"))
    number = call("list_tickets")["items"][0]["number"]
    call("resolve_ticket", number=number, solution="重启")
    call("reopen_ticket", number=number, reason="还是不行")
    call("resolve_ticket", number=number, solution="换机器")
    assert len(of("sla.breached", desk, target="solution")) == 1
    assert of("sla.met", desk, target="solution") == []


def test_why_a_target_is_due_is_told_span_by_span(tickets: Desk, call: Any) -> None:
    tickets.publish(
        asked("ERP-1", requester="E7", **ago(hours=3)),
        update("ERP-1", 2, state=TicketState.AWAITING_USER, **{"time": datetime.now(UTC) - timedelta(hours=2)}),
        update("ERP-1", 3, state=TicketState.IN_PROGRESS, **{"time": datetime.now(UTC) - timedelta(hours=1)}),
    )
    number = eventually(lambda: call("list_tickets")["items"])[0]["number"]
    eventually(lambda: "ticket.resumed" in types(tickets))
    [solution] = [one for one in call("explain_sla", number=number)["clocks"] if one["target"] == "solution"]
    assert [(span["reason"], span["counted"]) for span in solution["spans"]] == [
        ("open", True),
        ("pause", False),
        ("open", True),
    ]
    assert "awaiting_user" in solution["spans"][1]["text"]
    assert solution["elapsed_s"] + solution["remaining_s"] == solution["target_s"] == 24 * 3600
    counted = [
        datetime.fromisoformat(span["end_at"]) - datetime.fromisoformat(span["begin_at"])
        for span in solution["spans"]
        if span["counted"]
    ]
    assert sum(counted, timedelta()).total_seconds() == pytest.approx(solution["elapsed_s"], abs=1e-5)


def test_every_change_says_who_when_what_and_why(tickets: Desk, call: Any) -> None:
    tickets.publish(engineer("E21", "华东支持组"))
    eventually(lambda: tickets.one("select count(*) from person") == 1)
    number = call("open_ticket", title="打不开", region="华东", actor="E7")["number"]
    call("respond_ticket", number=number, actor="E21")
    found = [(one["actor"], one["field"], one["after"]) for one in call("ticket_changes", number=number)["items"]]
    assert found == [
        ("E7", "state", "new"),
        ("E7", "group", "华东支持组"),
        ("E7", "assignee", "E21"),
        ("E21", "state", "in_progress"),
    ]
