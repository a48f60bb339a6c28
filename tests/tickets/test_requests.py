"""Kinds of request: own fields, secrecy, alarms; and requests for the same thing (T1, S6)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from contracts.words import Secrecy, TicketState
from eventkit import partitions, topology
from eventkit.errors import RuleBroken
from services.tickets.storage import TicketStore
from tests.eventkit.desk import Desk, eventually
from tests.tickets.rehearsal import Rehearsal, on
from tests.tickets.stories import asked, told, types, update

TYPES = """request_types:
  data_leak: {title: 数据泄露报告, group: 信息安全组, priority: 1, secrecy: sensitive, alarm: true,
    fields: {system: {title: 涉及系统, required: true}}}
  account: {title: 账号, fields: {number: {title: 工号, pattern: "E[0-9]+"}}}
default_group"""


@pytest.fixture
def tickets(desk_under: Callable[..., Desk]) -> Desk:
    return desk_under({"default_group": TYPES})


def test_a_type_gives_group_priority_and_level_and_alarms(tickets: Desk, call: Any) -> None:
    wish = {"title": "客户名单外泄", "description": "张三发到网盘", "request_type": "data_leak"}
    opened = call("open_ticket", **wish, fields={"system": "CRM"}, requester="E7")
    assert (opened["group"], opened["priority"], opened["secrecy"]) == ("信息安全组", 1, "sensitive")
    assert (opened["title"], opened["fields"]) == ("客户名单外泄", {"system": "CRM"})
    [(kind, data)] = told(tickets)
    assert (kind, data["alarm"], data["request_type"]) == ("ticket.opened", True, "data_leak")


def test_events_of_a_sensitive_ticket_carry_no_text(tickets: Desk, call: Any) -> None:
    number = call("open_ticket", title="客户名单外泄", request_type="data_leak", fields={"system": "CRM"})["number"]
    call("resolve_ticket", number=number, solution="已删除网盘文件")
    call("reopen_ticket", number=number, reason="网盘还在")
    payloads = b"".join(bytes(row.payload) for row in tickets.rows("select payload from eventkit.outbox"))
    for text in ("外泄", "网盘", "CRM"):
        assert text.encode() not in payloads
    assert {data["title"] for _, data in told(tickets)} == {f"敏感工单 {number}"}


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"request_type": "data_leak"}, "fields.system"),
        ({"request_type": "data_leak", "fields": {"system": "x", "colour": "red"}}, "fields.colour"),
        ({"request_type": "account", "fields": {"number": "七"}}, "fields.number"),
        ({"request_type": "coffee"}, "request_type"),
        ({"fields": {"system": "x"}}, "fields"),
        ({"description": "【机密】见附件"}, "description"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_field(call: Any, wish: dict[str, Any], field: str) -> None:
    with pytest.raises(RuleBroken) as caught:
        call("open_ticket", title="打不开", **wish)
    assert caught.value.field == field


def test_a_marking_is_refused_in_solutions_and_comments_too(call: Any) -> None:
    number = call("open_ticket", title="打不开")["number"]
    for method, text in (("resolve_ticket", {"solution": "绝密"}), ("comment_ticket", {"body": "秘密★一年"})):
        with pytest.raises(RuleBroken, match="保密规定"):
            call(method, number=number, **text)


def test_an_event_that_does_not_fit_its_type_is_kept_with_the_reason(tickets: Desk) -> None:
    tickets.publish(asked("ERP-1", request_type="data_leak"))
    tickets.start()
    [row] = eventually(lambda: tickets.rows("select reason from eventkit.held_event where state = 'dead'"))
    assert "fields.system: 涉及系统 is needed" in row.reason


def test_raising_the_level_later_keeps_texts_from_then_on(tickets: Desk, call: Any) -> None:
    number = call("open_ticket", title="普通")["number"]
    call("change_ticket", number=number, secrecy=str(Secrecy.SENSITIVE))
    assert told(tickets)[-1][1]["title"] == f"敏感工单 {number}"


@pytest.fixture
def in_two_partitions(tickets: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose two consumers have both looked for the tickets of their first events before either writes any."""
    for parts in topology.partition_parts(
        tickets.definition.name, topology.handled_types(tickets.definition), generation=1, partitions=2
    ):
        for part in parts:
            tickets.admin.declare(part)
    with tickets.engine.begin() as connection:
        partitions.advance(connection, generation=1, partitions=2)
    both, came, preload = threading.Barrier(2), set[int](), TicketStore.preload

    def look(store: TicketStore, **wanted: Any) -> None:
        preload(store, **wanted)
        if threading.get_ident() not in came:
            came.add(threading.get_ident())
            both.wait(timeout=30)

    monkeypatch.setattr(TicketStore, "preload", look)
    return tickets


def test_fifty_events_for_the_same_thing_at_once_are_one_ticket_with_fifty_occurrences(in_two_partitions: Desk) -> None:
    tickets = in_two_partitions
    tickets.publish(*[asked(f"MON-{n}", fingerprint="disk-full/db-7", title="磁盘满") for n in range(50)])
    tickets.start()
    eventually(lambda: tickets.one("select sum(occurrences) from ticket") == 50)
    assert tickets.one("select count(*) from ticket") == 1
    assert (types(tickets).count("ticket.opened"), types(tickets).count("ticket.changed")) == (1, 49)
    assert tickets.one("select count(*) from eventkit.held_event") == 0


def test_fifty_calls_for_the_same_thing_at_once_are_one_ticket_whoever_asks(tickets: Desk, call: Any) -> None:
    wish = {"title": "磁盘满", "fingerprint": "disk-full/db-7"}
    with ThreadPoolExecutor(10) as callers:
        opened = list(callers.map(lambda n: call("open_ticket", actor=f"E{n}", requester=f"E{n}", **wish), range(50)))
    assert len({one["number"] for one in opened}) == 1
    [row] = tickets.rows("select occurrences, requester, watchers from ticket")
    assert row.occurrences == 50
    assert {row.requester, *row.watchers} == {f"E{n}" for n in range(50)}


def test_who_asks_for_the_same_thing_again_sees_the_ticket_and_cannot_end_it(tickets: Desk, call: Any) -> None:
    first, second = ({"kind": "own", "person": person} for person in ("E7", "E8"))
    wish = {"title": "磁盘满", "fingerprint": "disk-full/db-7"}
    number = call("open_ticket", actor="E7", scope=first, **wish)["number"]
    assert call("open_ticket", actor="E8", scope=second, **wish)["number"] == number
    assert call("get_ticket", number=number, scope=second)["occurrences"] == 2
    assert [one["number"] for one in call("list_tickets", scope=second)["items"]] == [number]
    # A word of theirs is no answer of the desk's, and the ticket stays in the hands of who asked first.
    call("comment_ticket", actor="E8", number=number, body="我这里也是", scope=second)
    assert "ticket.responded" not in types(tickets)
    call("resolve_ticket", number=number, solution="清理")
    with pytest.raises(RuleBroken, match="only watches"):
        call("close_ticket", actor="E8", number=number, scope=second)


def test_another_request_for_the_same_thing_is_a_change_that_never_comes_before_the_last_one(
    tickets: Desk, tmp_path: Path
) -> None:
    desk = Rehearsal(tickets, tmp_path / "policy.yaml")

    def changed_at(arrival: str, sequence: int, time: str) -> datetime:
        """Return when the ticket was last changed, as it keeps it and as it was told."""
        desk.receive(arrival, asked("ERP-1", sequence, time=on(time), arrived_at=on(arrival)))
        [row] = tickets.rows("select changed_at from ticket")
        [*_, told_at] = tickets.rows("select headers ->> 'ce-time' as time from eventkit.outbox order by position")
        changed: datetime = row.changed_at
        assert datetime.fromisoformat(told_at.time) == changed
        return changed

    changed_at("02 09:00", 1, "02 09:00")
    desk.call("02 10:00", "comment_ticket", number=desk.told("ticket.opened")[0]["number"], body="在看")
    assert changed_at("02 10:05", 2, "02 09:30") == on("02 10:00")
    assert changed_at("02 11:00", 3, "02 11:00") == on("02 11:00")


def test_a_sensitive_ticket_is_shown_to_nobody_who_asks_for_the_same_thing(tickets: Desk, call: Any) -> None:
    wish = {"title": "外泄", "request_type": "data_leak", "fields": {"system": "CRM"}, "fingerprint": "leak/crm"}
    numbers = [call("open_ticket", actor=one, requester=one, **wish)["number"] for one in ("E7", "E8", "E7")]
    assert numbers[0] == numbers[2] != numbers[1]
    assert [row.watchers for row in tickets.rows("select watchers from ticket")] == [[], []]


def test_a_reopened_ticket_counts_the_same_thing_again(call: Any) -> None:
    wish = {"title": "磁盘满", "fingerprint": "disk-full/db-7"}
    number = call("open_ticket", **wish)["number"]
    call("resolve_ticket", number=number, solution="清理")
    call("reopen_ticket", number=number, reason="又满了")
    assert call("open_ticket", **wish)["number"] == number


def test_a_reopened_ticket_leaves_the_same_thing_to_the_ticket_that_counts_it_now(call: Any) -> None:
    wish = {"title": "磁盘满", "fingerprint": "disk-full/db-7"}
    first = call("open_ticket", **wish)["number"]
    call("resolve_ticket", number=first, solution="清理")
    second = call("open_ticket", **wish)["number"]
    call("reopen_ticket", number=first, reason="又满了")
    assert call("open_ticket", **wish)["number"] == second


def test_what_is_solved_and_asked_for_again_in_one_batch_is_a_new_ticket(tickets: Desk) -> None:
    tickets.publish(
        asked("MON-1", fingerprint="disk-full/db-7"),
        update("MON-1", 2, state=TicketState.RESOLVED),
        asked("MON-2", fingerprint="disk-full/db-7"),
    )
    tickets.start()
    eventually(lambda: tickets.one("select count(*) from eventkit.inbox where state = 'handled'") == 3)
    assert [row.occurrences for row in tickets.rows("select occurrences from ticket")] == [1, 1]


def test_once_it_is_solved_the_same_thing_is_a_new_ticket(tickets: Desk, call: Any) -> None:
    first = call("open_ticket", title="磁盘满", fingerprint="disk-full/db-7")["number"]
    assert call("open_ticket", title="磁盘满", fingerprint="disk-full/db-7")["number"] == first
    call("resolve_ticket", number=first, solution="清理")
    assert call("open_ticket", title="磁盘满", fingerprint="disk-full/db-7")["number"] != first
    assert types(tickets).count("ticket.opened") == 2
