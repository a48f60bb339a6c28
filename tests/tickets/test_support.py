"""Levels of support (T4) on a real broker and database: key user, escalation, the vendor's part, the ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.gateway import PersonChanged
from eventkit.errors import RuleBroken
from tests.eventkit.desk import Desk, eventually, reported
from tests.tickets.rehearsal import Rehearsal, on
from tests.tickets.stories import asked, engineer, told, types

SUPPORT = """support:
  1: {target: 30m, auto: true}
  2: {target: 2h, auto: true}
  3: {group: 技术支持组, target: 1h}
  4: {group: 厂商组, target: 48h}
default_group"""


@pytest.fixture
def desk(desk_under: Callable[..., Desk]) -> Desk:
    desk = desk_under({"default_group": SUPPORT})
    desk.publish(engineer("E21", "华东支持组"), engineer("E31", "技术支持组"), engineer("E41", "厂商组"))
    return desk


@pytest.fixture
def call(desk: Desk, calling: Callable[[Desk], Any]) -> Any:
    call = calling(desk)
    eventually(lambda: desk.one("select count(*) from person") == 3)
    return call


def missed_internal_cycles(desk: Desk) -> list[int]:
    return [data["cycle"] for kind, data in told(desk) if (kind, data.get("target")) == ("sla.breached", "internal")]


def level_and_holder(desk: Desk) -> list[Any]:
    return [
        (row.support_level, row.group_name, row.assignee) for row in desk.rows("select * from ticket order by number")
    ]


def test_a_ticket_is_escalated_by_hand_to_the_next_level_with_a_target_of_its_own(desk: Desk, call: Any) -> None:
    number = call("open_ticket", title="打不开", region="华东")["number"]
    call("escalate_ticket", number=number, reason="要看日志")
    assert level_and_holder(desk) == [(3, "技术支持组", "E31")]
    [escalated] = [data for kind, data in told(desk) if kind == "ticket.escalated"]
    assert (escalated["level"], escalated["previous_level"], escalated["reason"]) == (3, 2, "要看日志")
    internal = [one for one in call("explain_sla", number=number)["clocks"] if one["target"] == "internal"]
    assert [(one["cycle"], one["state"]) for one in internal] == [(1, "met"), (2, "running")]
    assert [one["target_s"] for one in internal] == [7200, 3600]


def test_a_missed_internal_target_escalates_by_itself_once(desk: Desk, call: Any) -> None:
    now = datetime.now(UTC)
    desk.publish(asked("ERP-1", time=now - timedelta(hours=2, seconds=1), arrived_at=now))
    eventually(lambda: level_and_holder(desk) == [(3, "技术支持组", "E31")])
    assert types(desk).count("ticket.escalated") == 1
    # The third level has no `auto`: its miss is told, and the ticket stays.
    with desk.engine.begin() as connection:
        connection.exec_driver_sql("update eventkit.timer set due_at = now() where key like '%%internal/2'")
    eventually(
        lambda: (
            [data["cycle"] for kind, data in told(desk) if kind == "sla.breached" and data["target"] == "internal"]
            == [1, 2]
        )
    )
    assert level_and_holder(desk) == [(3, "技术支持组", "E31")]


@pytest.fixture
def rehearsal(desk_under: Callable[..., Desk], tmp_path: Path) -> Rehearsal:
    return Rehearsal(desk_under({"default_group": SUPPORT}), tmp_path / "policy.yaml")


@pytest.mark.parametrize("found_by", [("comment_ticket", {"body": "看看"}), ("change_ticket", {"urgency": 2}), None])
def test_a_missed_internal_target_escalates_whoever_finds_the_miss(
    rehearsal: Rehearsal, found_by: tuple[str, dict[str, Any]] | None
) -> None:
    number = rehearsal.opened("02 09:00")
    if found_by:
        # Somebody is here between the due moment and the timer.
        method, fields = found_by
        rehearsal.call("02 11:01", method, number=number, **fields)
    for _ in ("the miss", "its effect", "no second one"):
        rehearsal.fire("02 11:01")
    assert [data["level"] for data in rehearsal.told("ticket.escalated")] == [3]
    assert len(rehearsal.told("sla.breached", target="internal")) == 1


def test_a_refused_solution_has_an_internal_target_again_and_escalates(rehearsal: Rehearsal) -> None:
    number = rehearsal.opened("02 09:00")
    rehearsal.call("02 10:00", "resolve_ticket", number=number, solution="重启")
    rehearsal.call("02 12:00", "reopen_ticket", number=number, reason="还是不行")
    rehearsal.fire("02 14:00")
    rehearsal.fire("02 14:00")
    assert [data["due_at"] for data in rehearsal.told("sla.breached", target="internal")] == ["2026-03-02T06:00:00Z"]
    assert [data["level"] for data in rehearsal.told("ticket.escalated")] == [3]


def test_a_late_escalation_by_hand_is_a_miss_and_the_only_escalation(rehearsal: Rehearsal) -> None:
    number = rehearsal.opened("02 09:00")
    rehearsal.call("02 11:01", "escalate_ticket", number=number, reason="要看日志")
    rehearsal.fire("02 11:02")
    assert rehearsal.told("sla.met", target="internal") == []
    assert len(rehearsal.told("sla.breached", target="internal")) == 1
    assert [data["level"] for data in rehearsal.told("ticket.escalated")] == [3]


def test_a_requester_is_told_nothing_of_internal_targets(rehearsal: Rehearsal) -> None:
    number = rehearsal.opened("02 09:00", priority=4)
    own = {"kind": "own", "person": "E7"}

    def seen(scope: dict[str, Any]) -> tuple[set[str], list[datetime | None]]:
        clocks = rehearsal.call("02 09:30", "explain_sla", number=number, scope=scope)["clocks"]
        [listed] = rehearsal.call("02 09:30", "list_tickets", scope=scope)["items"]
        written = rehearsal.call("02 09:30", "comment_ticket", number=number, body="在", actor="E7", scope=scope)
        shown = rehearsal.call("02 09:30", "get_ticket", number=number, scope=scope)
        return {one["target"] for one in clocks}, [one["due_next_at"] for one in (listed, written, shown)]

    assert seen({"kind": "all"}) == ({"first_response", "solution", "internal"}, [on("02 11:00")] * 3)
    assert seen(own) == ({"first_response", "solution"}, [None] * 3)
    # What is due to the requester next, they see.
    urgent = rehearsal.opened("02 09:00", priority=1)
    assert rehearsal.call("02 09:00", "get_ticket", number=urgent, scope=own)["due_next_at"] == on("02 09:15")


@pytest.mark.parametrize(
    ("who", "sees"),
    [
        pytest.param({"kind": "own", "person": "E71"}, True, id="a key user who holds it"),
        pytest.param({"kind": "group", "person": "E21", "groups": ["华东支持组"]}, True, id="an engineer of its group"),
        pytest.param({"kind": "group", "person": "E7", "groups": ["华东支持组"]}, False, id="an engineer who asked"),
        pytest.param({"kind": "group", "person": "E6", "groups": ["别的组"]}, False, id="an engineer who watches"),
    ],
)
def test_an_internal_target_is_for_whoever_works_on_the_ticket(
    rehearsal: Rehearsal, who: dict[str, Any], sees: bool
) -> None:
    number = rehearsal.opened("02 09:00", region="华东", priority=4, assignee="E71")
    rehearsal.call("02 09:00", "watch_ticket", number=number, person="E6")
    clocks = rehearsal.call("02 09:30", "explain_sla", number=number, scope=who)["clocks"]
    assert ("internal" in {one["target"] for one in clocks}) is sees
    shown = rehearsal.call("02 09:30", "get_ticket", number=number, scope=who)["due_next_at"]
    assert shown == (on("02 11:00") if sees else None)


def test_who_hands_an_overdue_ticket_to_the_vendor_has_missed_the_solution(
    desk_under: Callable[..., Desk], tmp_path: Path
) -> None:
    waits = {"default_group": SUPPORT, "solution: [awaiting_user]": "solution: [awaiting_vendor]"}
    desk = Rehearsal(desk_under(waits), tmp_path / "policy.yaml")
    number = desk.opened("02 09:00", priority=1)
    desk.call("02 13:01", "escalate_ticket", number=number, level=4, reason="硬件坏了")
    assert len(desk.told("sla.breached", target="solution")) == 1


def test_an_overdue_ticket_that_is_merged_keeps_its_miss(rehearsal: Rehearsal) -> None:
    number, into = rehearsal.opened("02 09:00"), rehearsal.opened("02 09:00")
    rehearsal.call("02 11:01", "merge_ticket", number=number, into=into)
    assert [data["number"] for data in rehearsal.told("sla.breached", target="internal")] == [number]


def test_a_departments_key_user_is_its_first_helper(desk: Desk, call: Any) -> None:
    data = PersonChanged(employee_number="E71", version=1, name="小王", roles=("key_user",), department="财务部")
    desk.publish(reported(data, "E71"))
    eventually(lambda: desk.one("select count(*) from person where is_key_user") == 1)
    first = call("open_ticket", title="打不开", region="华东", department="财务部")["number"]
    # Nobody is their own first helper, and other departments have none.
    call("open_ticket", title="打不开", region="华东", department="财务部", requester="E71")
    call("open_ticket", title="打不开", region="华东", department="采购部")
    assert [holder for *_, holder in level_and_holder(desk)] == ["E71", "E21", "E21"]
    assert [level for level, *_ in level_and_holder(desk)] == [1, 2, 2]
    [decision] = call("ticket_assignments", number=first)["items"]
    assert decision["person"] == "E71"
    shown = [(one["person"], one["score"], one["open_count"], one["passed"]) for one in decision["candidates"]]
    assert shown == [("E71", 0, 0, None)]
    call("escalate_ticket", number=first, reason="不会")
    assert level_and_holder(desk)[0] == (2, "华东支持组", "E21")


def test_the_vendors_number_promise_and_root_cause_are_kept(desk: Desk, call: Any) -> None:
    number = call("open_ticket", title="打不开", region="华东")["number"]
    promised = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    shown = call("escalate_ticket", number=number, level=4, reason="硬件坏了", vendor="某厂", promised_at=promised)
    assert shown["state"] == "awaiting_vendor"
    found = call("note_vendor", number=number, vendor_number="V-77", root_cause="电源")
    found = call("ticket_support", number=number)
    assert (found["level"], found["vendor"], found["vendor_number"], found["root_cause"]) == (4, "某厂", "V-77", "电源")
    assert datetime.fromisoformat(found["promised_at"]) == datetime.fromisoformat(promised)
    fields = [one["field"] for one in call("ticket_changes", number=number)["items"]]
    assert {"support_level", "vendor", "promised_at", "vendor_number", "root_cause"} <= set(fields)


@pytest.mark.parametrize(
    ("method", "arguments", "field"),
    [
        ("escalate_ticket", {"reason": "附件为机密★1年文件"}, "reason"),
        ("escalate_ticket", {"level": 4, "reason": "硬件坏了", "vendor": "【秘密】某厂"}, "vendor"),
        ("note_vendor", {"vendor_number": "密级：机密"}, "vendor_number"),
        ("note_vendor", {"root_cause": "绝密！"}, "root_cause"),
    ],
)
def test_a_marking_is_refused_in_what_is_said_of_levels_and_vendors(
    desk: Desk, call: Any, method: str, arguments: dict[str, Any], field: str
) -> None:
    number = call("open_ticket", title="打不开", region="华东")["number"]
    with pytest.raises(RuleBroken, match="保密规定") as caught:
        call(method, number=number, **arguments)
    assert caught.value.field == field
    assert "ticket.escalated" not in types(desk)


def test_a_visit_on_site_needs_an_appointment_that_is_not_over(call: Any) -> None:
    number = call("open_ticket", title="打不开", region="华东")["number"]
    soon = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    call("diagnose_ticket", number=number, mode="on_site", appointment_at=soon)
    assert call("ticket_support", number=number)["diagnosis_mode"] == "on_site"
    for appointment in ("2020-01-01T00:00:00Z", None):
        with pytest.raises(RuleBroken) as caught:
            call("diagnose_ticket", number=number, mode="on_site", appointment_at=appointment)
        assert caught.value.field == "appointment_at"
    call("diagnose_ticket", number=number, mode="remote")


@pytest.mark.parametrize("level", [1, 2])
def test_nobody_escalates_down(call: Any, level: int) -> None:
    number = call("open_ticket", title="打不开", region="华东")["number"]
    with pytest.raises(RuleBroken) as caught:
        call("escalate_ticket", number=number, level=level, reason="x")
    assert caught.value.field == "level"


def test_the_ledger_adds_up_to_the_life_to_the_second(desk: Desk, call: Any) -> None:
    now = datetime.now(UTC)
    desk.publish(asked("ERP-1", time=now - timedelta(minutes=90), arrived_at=now))
    number = eventually(lambda: call("list_tickets")["items"])[0]["number"]
    call("escalate_ticket", number=number, reason="要看日志")
    call("resolve_ticket", number=number, solution="重启")
    call("close_ticket", number=number)
    row = desk.rows("select opened_at, closed_at from ticket")[0]
    ledger = call("ticket_ledger", number=number)
    life_s = (row.closed_at - row.opened_at).total_seconds()
    assert ledger["life_s"] == pytest.approx(life_s, abs=1e-3)
    for sums in ledger["sums"].values():
        assert sum(sums.values()) == pytest.approx(life_s, abs=1e-3)
    assert set(ledger["sums"]["level"]) == {"2", "3"}


AT_THE_VENDORS_BY_ITSELF = SUPPORT.replace(
    "3: {group: 技术支持组, target: 1h}", "3: {group: 技术支持组, target: 1h, auto: true}"
)


def test_a_ticket_that_went_to_the_vendor_is_answered_by_the_first_word_of_the_desk(
    desk_under: Callable[..., Desk], calling: Callable[[Desk], Any]
) -> None:
    desk = desk_under({"default_group": AT_THE_VENDORS_BY_ITSELF})
    call = calling(desk)
    number = call("open_ticket", title="打不开", region="华东", requester="E7")["number"]
    call("escalate_ticket", number=number, level=3, reason="要看日志")
    # When nobody has said a word, and the third level's own target is missed
    with desk.engine.begin() as connection:
        connection.exec_driver_sql("update eventkit.timer set due_at = now() where key like '%%internal/2'")
    waiting = eventually(lambda: [one for one in call("list_tickets")["items"] if one["state"] == "awaiting_vendor"])
    # Then the requester still waits for a first answer
    assert (waiting[0]["support_level"], waiting[0]["responded_at"]) == (4, None)
    assert not {"ticket.responded", "sla.met"} & {kind for kind, data in told(desk) if data.get("target") != "internal"}
    call("comment_ticket", actor="E41", number=number, body="厂商明天来")
    assert call("get_ticket", number=number)["responded_at"] is not None
    assert "ticket.responded" in types(desk)


KEY_USER = {"kind": "own", "person": "E71", "groups": [], "department": "财务部"}
REQUESTER = {"kind": "own", "person": "E7", "groups": [], "department": "财务部"}
STEPS: dict[str, dict[str, Any]] = {
    "respond_ticket": {},
    "resolve_ticket": {"solution": "重启"},
    "escalate_ticket": {"reason": "不会"},
    "diagnose_ticket": {"mode": "remote"},
    "note_vendor": {"vendor_number": "V-77"},
}


@pytest.fixture
def with_key_user(desk: Desk, call: Any) -> str:
    """A ticket of E7 that key user E71 has, who is no engineer and in no group."""
    data = PersonChanged(employee_number="E71", version=1, name="小王", roles=("key_user",), department="财务部")
    desk.publish(reported(data, "E71"))
    eventually(lambda: desk.one("select count(*) from person where is_key_user") == 1)
    return str(call("open_ticket", title="打不开", region="华东", department="财务部", requester="E7")["number"])


@pytest.mark.parametrize("step", STEPS)
def test_a_key_user_works_on_what_they_hold_with_a_requesters_right(call: Any, with_key_user: str, step: str) -> None:
    with pytest.raises(RuleBroken, match="whoever holds"):
        call(step, actor="E7", number=with_key_user, scope=REQUESTER, **STEPS[step])
    call(step, actor="E71", number=with_key_user, scope=KEY_USER, **STEPS[step])


def test_a_key_users_word_is_the_desks(desk: Desk, call: Any, with_key_user: str) -> None:
    call("comment_ticket", actor="E71", number=with_key_user, scope=KEY_USER, body="要问专家", public=False)
    call("comment_ticket", actor="E71", number=with_key_user, scope=KEY_USER, body="请重启")
    assert "ticket.responded" in types(desk)
    read = {who["person"]: call("ticket_comments", number=with_key_user, scope=who) for who in (KEY_USER, REQUESTER)}
    assert [one["body"] for one in read["E71"]["items"]] == ["要问专家", "请重启"]
    assert [one["body"] for one in read["E7"]["items"]] == ["请重启"]


def test_the_bottleneck_of_a_key_users_missed_ticket_lies_on_their_level(
    desk: Desk, call: Any, with_key_user: str
) -> None:
    with desk.engine.begin() as connection:
        connection.exec_driver_sql("update eventkit.timer set due_at = now() where key like '%%/first_response/1'")
    eventually(lambda: desk.one("select count(*) from clock where missed_due_at is not null") == 1)
    now = datetime.now(UTC)
    period = {"begin_at": (now - timedelta(days=1)).isoformat(), "end_at": (now + timedelta(days=1)).isoformat()}
    [bottleneck] = call("ticket_statistics", **period)["bottlenecks"]
    assert (bottleneck["step"], bottleneck["level"]) == ("work", 1)
