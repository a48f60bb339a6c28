"""Kinds of request: own fields, secrecy, alarms; and requests for the same thing (T1, S6)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from contracts.words import Secrecy
from eventkit.errors import RuleBroken
from tests.eventkit.desk import Desk, eventually
from tests.tickets.stories import asked, told, types

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


def test_fifty_requests_for_the_same_thing_at_once_are_one_ticket_with_fifty_occurrences(
    tickets: Desk, call: Any
) -> None:
    # Given fifty events of one fingerprint on subjects of their own, and fifty calls at the same time
    tickets.publish(*[asked(f"MON-{n}", fingerprint="disk-full/db-7", title="磁盘满") for n in range(25)])
    callers = [
        threading.Thread(
            target=call, args=("open_ticket",), kwargs={"title": "磁盘满", "fingerprint": "disk-full/db-7"}
        )
        for _ in range(25)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    # Then each source has one ticket: events of one publisher, calls of one caller
    eventually(lambda: tickets.one("select sum(occurrences) from ticket") == 50)
    assert [row.occurrences for row in tickets.rows("select occurrences from ticket")] == [25, 25]


def test_once_it_is_solved_the_same_thing_is_a_new_ticket(tickets: Desk, call: Any) -> None:
    first = call("open_ticket", title="磁盘满", fingerprint="disk-full/db-7")["number"]
    assert call("open_ticket", title="磁盘满", fingerprint="disk-full/db-7")["number"] == first
    call("resolve_ticket", number=first, solution="清理")
    assert call("open_ticket", title="磁盘满", fingerprint="disk-full/db-7")["number"] != first
    assert types(tickets).count("ticket.opened") == 2
