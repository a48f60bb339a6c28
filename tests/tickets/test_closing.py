"""The end of a ticket (T5): confirmed and rated, refused, or silence; each counts once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from contracts.words import TicketState
from eventkit.errors import NotFound, RuleBroken
from tests.eventkit.desk import Desk, eventually
from tests.tickets.rehearsal import Rehearsal, on
from tests.tickets.stories import asked, engineer, told, types, update


@pytest.fixture
def solved(tickets: Desk, call: Any) -> dict[str, Any]:
    """A ticket of E7 that E21 has solved, as its link names it."""
    tickets.publish(engineer("E21", "华东支持组"))
    eventually(lambda: tickets.one("select count(*) from person") == 1)
    number = call("open_ticket", title="打不开", requester="E7", region="华东")["number"]
    call("resolve_ticket", actor="E21", number=number, solution="重启")
    return {"number": number, "cycle": 1, "person": "E7"}


def decide(call: Any, link: dict[str, Any], decision: str, **more: Any) -> Any:
    return call("decide_solution", actor=link["person"], decision=decision, **link, **more)


def test_a_requester_confirms_and_rates_and_is_asked_no_more(tickets: Desk, call: Any, solved: dict[str, Any]) -> None:
    shown = call("ticket_for_requester", **solved)
    assert (shown["asked"], shown["may_rate"], shown["solution"], shown["state_text"]) == (True, True, "重启", "已解决")
    assert decide(call, solved, "confirm", rating="5", text="很快")["asked"] is False
    assert types(tickets)[-2:] == ["survey.answered", "ticket.closed"]
    [row] = tickets.rows("select * from survey")
    assert (row.rating, row.comment, row.person, row.follow_up) == (5, "很快", "E7", None)
    assert tickets.one("select count(*) from eventkit.timer where kind = 'silence'") == 0


def test_what_a_requester_says_without_a_rating_is_a_comment(tickets: Desk, call: Any, solved: dict[str, Any]) -> None:
    assert decide(call, solved, "confirm", rating="", text="谢谢,好了")["state"] == "closed"
    assert [one["body"] for one in call("ticket_for_requester", **solved)["comments"]] == ["谢谢,好了"]
    assert types(tickets)[-2:] == ["ticket.commented", "ticket.closed"]
    assert tickets.one("select count(*) from eventkit.timer where kind = 'silence'") == 0


@pytest.mark.parametrize("second", ["confirm", "refuse"])
def test_a_decision_counts_once(tickets: Desk, call: Any, solved: dict[str, Any], second: str) -> None:
    decide(call, solved, "confirm", rating="4")
    with pytest.raises(RuleBroken, match="answered already"):
        decide(call, solved, second, rating="1", text="还是不行")
    assert tickets.one("select count(*) from survey") == 1
    assert "ticket.reopened" not in types(tickets)


def test_a_marking_is_refused_on_the_page_behind_the_link(call: Any, solved: dict[str, Any]) -> None:
    for method, more in (("reply_to_ticket", {}), ("decide_solution", {"decision": "refuse"})):
        with pytest.raises(RuleBroken, match="保密规定") as caught:
            call(method, actor="E7", **solved, **more, text="请看：机密★")
        assert caught.value.field == "text"
    shown = call("ticket_for_requester", **solved)
    assert (shown["asked"], shown["comments"]) == (True, [])


def test_a_refusal_needs_a_reason_and_reopens(tickets: Desk, call: Any, solved: dict[str, Any]) -> None:
    with pytest.raises(RuleBroken) as caught:
        decide(call, solved, "refuse", text="  ")
    assert caught.value.field == "text"
    refused = decide(call, solved, "refuse", text="还是打不开")
    assert (refused["state_text"], refused["asked"]) == ("处理中", False)
    assert call("ticket_for_requester", **solved)["comments"][-1]["body"] == "还是打不开"
    [reopened] = [data for kind, data in told(tickets) if kind == "ticket.reopened"]
    [commented] = [data for kind, data in told(tickets) if kind == "ticket.commented"]
    assert reopened["reason"] == "还是打不开"
    assert (commented["voice"], commented["text"], commented["reopens"]) == ("requester", "还是打不开", True)
    # The link of the first solution decides nothing about the second, which is asked about anew.
    call("resolve_ticket", actor="E21", number=solved["number"], solution="换机器")
    with pytest.raises(RuleBroken, match="earlier solution"):
        decide(call, solved, "confirm", rating="1")
    decide(call, solved | {"cycle": 2}, "confirm", rating="3")
    assert [row.cycle for row in tickets.rows("select cycle from survey")] == [2]


def test_nobody_rates_their_own_work(tickets: Desk, call: Any) -> None:
    number = call("open_ticket", title="我自己的", requester="E21", assignee="E21")["number"]
    call("resolve_ticket", actor="E21", number=number, solution="重启")
    link = {"number": number, "cycle": 1, "person": "E21"}
    assert call("ticket_for_requester", **link)["may_rate"] is False
    with pytest.raises(RuleBroken) as caught:
        decide(call, link, "confirm", rating="5")
    assert caught.value.field == "rating"
    decide(call, link, "confirm")
    assert tickets.one("select count(*) from survey") == 0


def test_a_low_rating_opens_a_follow_up_with_clocks_of_its_own_for_the_lead(
    tickets: Desk, call: Any, solved: dict[str, Any]
) -> None:
    decide(call, solved, "confirm", rating="2", text="等了三天")
    [follow_up] = tickets.rows("select * from ticket where category = '回访'")
    assert (follow_up.assignee, follow_up.group_name, follow_up.requester) == ("E1002", "华东支持组", "E7")
    assert follow_up.due_solution_at is not None
    [answered] = [data for kind, data in told(tickets) if kind == "survey.answered"]
    assert (answered["rating"], answered["follow_up"]) == (2, follow_up.number)


def test_silence_closes_after_so_many_workdays(desk_under: Callable[..., Desk], calling: Callable[[Desk], Any]) -> None:
    desk = desk_under({"default_group": "closing: {silence: 2 workdays, calendar: 5x8}\ndefault_group"})
    call = calling(desk)
    number = call("open_ticket", title="打不开", requester="E7")["number"]
    call("resolve_ticket", number=number, solution="重启")
    due_at = desk.one("select due_at from eventkit.timer where kind = 'silence'")
    assert due_at - datetime.now(UTC) > timedelta(days=1)
    assert "08:30" <= due_at.astimezone(ZoneInfo("Asia/Shanghai")).strftime("%H:%M") <= "18:00"
    # When the moment comes
    desk.fast_forward("silence")
    eventually(lambda: "ticket.closed" in types(desk))
    last = call("ticket_changes", number=number)["items"][-1]
    assert (last["actor"], last["after"], last["reason"]) == (None, "closed", "no answer to the solution")


def test_silence_lasts_as_many_workdays_as_the_regions_own_calendar_has_them(
    desk_under: Callable[..., Desk], tmp_path: Path
) -> None:
    # A plant works around the clock from Monday to Saturday: two days are two nights too.
    closing = {"default_group": "closing: {silence: 2 workdays, calendar: 5x8}\ndefault_group"}
    desk = Rehearsal(desk_under(closing), tmp_path / "policy.yaml")
    for region in ("华东", "工厂"):
        desk.call("02 09:00", "resolve_ticket", number=desk.opened("02 08:30", region=region), solution="重启")
    assert [one.due_at for one in desk.armed() if one.kind == "silence"] == [on("04 09:00")] * 2


@pytest.mark.parametrize("decision", ["confirm", "refuse"])
def test_an_answer_to_a_solution_never_comes_before_it(
    desk_under: Callable[..., Desk], tmp_path: Path, decision: str
) -> None:
    # Given a solution whose own time lies 50 s ahead, which is believed
    desk = Rehearsal(desk_under(), tmp_path / "policy.yaml")
    desk.receive("02 09:00", asked("ERP-1", requester="E7", time=on("02 09:00")))
    desk.receive("02 09:00", update("ERP-1", 2, state=TicketState.RESOLVED, time=on("02 09:00:50")))
    [number] = [data["number"] for data in desk.told("ticket.opened")]
    # When the requester answers it after 20 s, and the ticket is closed after 130 s
    link = {"number": number, "cycle": 1, "person": "E7"}
    desk.call("02 09:00:20", "decide_solution", decision=decision, text="还是不行", rating="5", **link)
    if decision == "refuse":
        desk.call("02 09:02:10", "resolve_ticket", number=number, solution="换机器")
        desk.call("02 09:02:10", "close_ticket", number=number)
    # Then every change comes after the one before, and who held the ticket adds up to its life
    changes = [one["at"] for one in desk.call("02 10:00", "ticket_changes", number=number)["items"]]
    assert changes == sorted(changes)
    closed = [datetime.fromisoformat(data["closed_at"]) for data in desk.told("ticket.closed")]
    assert closed == [on("02 09:02:10" if decision == "refuse" else "02 09:00:50")]
    ledger = desk.call("02 10:00", "ticket_ledger", number=number)
    assert ledger["life_s"] == (closed[0] - on("02 09:00")).total_seconds()


def test_silence_and_an_escalation_never_come_before_what_they_follow(
    desk_under: Callable[..., Desk], tmp_path: Path
) -> None:
    support = "support:\n  2: {target: 1h, auto: true}\n  3: {target: 8h}\ndefault_group"
    desk = Rehearsal(desk_under({"default_group": support}), tmp_path / "policy.yaml")
    escalated, silent = (desk.opened("02 09:00") for _ in range(2))
    desk.receive("02 10:00", update("a", 1, number=escalated, comment="看看", time=on("02 10:00:50")))
    desk.call("02 09:01", "resolve_ticket", number=silent, solution="重启")
    [silence] = [one for one in desk.armed() if one.kind == "silence"]
    desk.receive("02 10:00", update("b", 1, number=silent, comment="还在吗？", time=on("02 10:00:50")))
    for _ in ("the misses", "the escalation"):
        desk.fire("02 10:00:20", [silence, *desk.armed("02 10:00:20")])
    for number, field in ((escalated, "support_level"), (silent, "state")):
        changes = desk.call("02 11:00", "ticket_changes", number=number)["items"]
        assert next(one["at"] for one in reversed(changes) if one["field"] == field) == on("02 10:00:50")


def test_a_ticket_that_was_reopened_is_not_closed_by_an_earlier_silence(
    tickets: Desk, call: Any, solved: dict[str, Any]
) -> None:
    decide(call, solved, "refuse", text="还是打不开")
    assert tickets.one("select count(*) from eventkit.timer where kind = 'silence'") == 0


def test_a_link_is_for_its_requester_only(call: Any, solved: dict[str, Any]) -> None:
    for method, more in (("ticket_for_requester", {}), ("decide_solution", {"decision": "confirm"})):
        with pytest.raises(NotFound):
            call(method, **solved | {"person": "E8"}, **more)


def test_a_word_from_the_page_is_the_requesters(call: Any, solved: dict[str, Any]) -> None:
    assert call("reply_to_ticket", actor="E7", **solved, text="谢谢")["asked"] is True
    shown = call("ticket_for_requester", **solved)
    assert [(one["mine"], one["body"]) for one in shown["comments"]] == [(True, "谢谢")]


def silences(tickets: Desk) -> int:
    return int(tickets.one("select count(*) from eventkit.timer where kind = 'silence'"))


def test_a_requester_who_writes_about_a_solution_is_not_silent_until_the_desk_has_answered(
    tickets: Desk, call: Any, solved: dict[str, Any]
) -> None:
    assert silences(tickets) == 1
    call("reply_to_ticket", actor="E7", **solved, text="还是打不开")
    assert silences(tickets) == 0
    # What the desk notes for itself is no answer; what it says to the requester is, and is answered or not.
    call("comment_ticket", actor="E21", number=solved["number"], body="要看日志", public=False)
    assert silences(tickets) == 0
    call("comment_ticket", actor="E21", number=solved["number"], body="请清缓存再试")
    assert silences(tickets) == 1
    assert call("get_ticket", number=solved["number"])["state"] == "resolved"


@pytest.mark.parametrize("way", ["by the link", "by a command"])
def test_the_desk_has_to_answer_a_refusal_in_time(
    desk_under: Callable[..., Desk], calling: Callable[[Desk], Any], way: str
) -> None:
    solution = "solution: {1: 4h, 2: 8h, 3: 24h, 4: 72h}"
    call = calling(desk_under({solution: f"next_response: 10m\n    {solution}"}))
    number = call("open_ticket", title="打不开", requester="E7")["number"]
    call("resolve_ticket", number=number, solution="重启")
    if way == "by the link":
        decide(call, {"number": number, "cycle": 1, "person": "E7"}, "refuse", text="还是打不开")
    else:
        call("reopen_ticket", actor="E7", number=number, reason="还是打不开")
    [clock] = [one for one in call("explain_sla", number=number)["clocks"] if one["target"] == "next_response"]
    assert (clock["state"], clock["target_s"]) == ("running", 600)


MANAGER = {"kind": "department", "person": "E70", "department": "财务部"}
HOLDER = {"kind": "own", "person": "E21"}


@pytest.mark.parametrize(
    ("scope", "actor", "state"),
    [
        pytest.param(MANAGER, "E70", "new", id="a manager of the requester's department"),
        pytest.param({"kind": "own", "person": "E7"}, "E7", "new", id="the requester"),
        pytest.param(HOLDER, "E21", "in_progress", id="whoever holds it"),
        pytest.param(
            {"kind": "group", "person": "E22", "groups": ["华东支持组"]}, "E22", "in_progress", id="a colleague"
        ),
        pytest.param({"kind": "all"}, "token ops", "in_progress", id="a token for everything"),
    ],
)
def test_only_a_word_of_the_desk_is_a_response(
    tickets: Desk, call: Any, scope: dict[str, Any], actor: str, state: str
) -> None:
    wish = {"requester": "E7", "region": "华东", "department": "财务部", "assignee": "E21"}
    number = call("open_ticket", title="打不开", **wish)["number"]
    call("comment_ticket", number=number, body="请尽快", scope=scope, actor=actor)
    assert call("get_ticket", number=number)["state"] == state
    assert ("sla.met" in types(tickets)) == (state == "in_progress")
