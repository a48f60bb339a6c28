"""The routes of people: arguments go to tickets as they should, and errors come back as problems."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.gateway.desk_stub import (
    CHANGE,
    COMMENT,
    DECISION,
    DUTY,
    ENTRY,
    LEDGER,
    SLA,
    STATISTICS,
    SUPPORT,
    SWAP,
    Tickets,
)
from tests.gateway.door import REQUESTED, SCOPE, Door, attributes


def test_a_list_is_asked_for_by_department_type_and_span_of_opening(door: Door, tickets: Tickets) -> None:
    asked = {"department": "财务部", "request_type": "account", "opened_from": "2026-03-02T00:00:00+08:00"}
    assert door.ask("GET", f"/v1/tickets?{urlencode(asked)}", door.token("admin")).status_code == 200
    assert tickets.asked[0][1]["filters"] == asked


NAIVE = "2026-03-02T00:00:00"


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("GET", f"/v1/tickets?opened_before={NAIVE}", None, "opened_before"),
        ("GET", f"/v1/statistics/tickets?begin_at={NAIVE}&end_at={NAIVE}Z", None, "begin_at"),
        ("GET", f"/v1/duty?group=G&at={NAIVE}", None, "at"),
        ("POST", "/v1/duty/swaps", SWAP | {"end_at": NAIVE}, "end_at"),
        ("PUT", "/v1/tickets/T1/diagnosis", {"mode": "on_site", "appointment_at": NAIVE}, "appointment_at"),
        ("PUT", "/v1/tickets/T1/vendor", {"promised_at": NAIVE}, "promised_at"),
        ("POST", "/v1/tickets/T1/escalate", {"reason": "要厂商", "promised_at": NAIVE}, "promised_at"),
    ],
)
def test_a_moment_without_an_offset_is_refused_with_its_field(
    door: Door, tickets: Tickets, method: str, path: str, body: Any, field: str
) -> None:
    answer = door.ask(method, path, door.token("admin"), body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert tickets.asked == []


def test_a_shift_without_an_offset_is_refused(door: Door, tickets: Tickets) -> None:
    shift = {"group": "G", "level": 2, "person": "E1", "begin_at": NAIVE, "end_at": f"{NAIVE}Z"}
    assert door.ask("PUT", "/v1/duty/roster", door.token("admin"), {"shifts": [shift]}).status_code == 422
    assert tickets.asked == []


@pytest.mark.parametrize(
    ("path", "body", "method", "arguments"),
    [
        (
            "",
            {"title": "x", "region": "上海"},
            "open_ticket",
            {"title": "x", "description": "", "channel": "web", "region": "上海"},
        ),
        ("/T1/respond", {"comment": "在看"}, "respond_ticket", {"number": "T1", "comment": "在看"}),
        ("/T1/resolve", {"solution": "换了"}, "resolve_ticket", {"number": "T1", "solution": "换了"}),
        ("/T1/reopen", {"reason": "又坏"}, "reopen_ticket", {"number": "T1", "reason": "又坏"}),
        ("/T1/close", {}, "close_ticket", {"number": "T1"}),
        ("/T1/comments", {"body": "请重启"}, "comment_ticket", {"number": "T1", "body": "请重启", "public": True}),
    ],
)
def test_commands_are_passed_on(
    door: Door, tickets: Tickets, path: str, body: Any, method: str, arguments: dict[str, Any]
) -> None:
    answer = door.ask("POST", f"/v1/tickets{path}", door.token("admin"), body)
    assert answer.status_code == (201 if method in ("open_ticket", "comment_ticket") else 200), answer.text
    assert tickets.asked == [(method, arguments | {"scope": SCOPE}, "E1001")]
    assert answer.json()["state_text"] == "待处理"


def test_a_list_is_asked_for_with_filters_and_cursor(door: Door, tickets: Tickets) -> None:
    path = "/v1/tickets?state=new&priority=2&group=G&assignee=E2&region=R&q=坏&limit=7&cursor=T9&view=group&sort=due"
    answer = door.ask("GET", path, door.token("admin")).json()
    filters = {"state": "new", "priority": 2, "group": "G", "assignee": "E2", "region": "R", "q": "坏"}
    assert tickets.asked == [
        (
            "list_tickets",
            {"filters": filters, "view": "group", "sort": "due", "limit": 7, "cursor": "T9", "scope": SCOPE},
            "E1001",
        )
    ]
    assert (answer["items"][0]["number"], answer["next_cursor"]) == ("T2026-000001", "T2026-000001")


@pytest.mark.parametrize(
    ("path", "method", "shown"),
    [
        pytest.param("comments", "ticket_comments", {"items": [COMMENT]}, id="comments"),
        pytest.param("changes", "ticket_changes", {"items": [CHANGE]}, id="changes"),
        pytest.param("sla", "explain_sla", SLA, id="service levels"),
        pytest.param("support", "ticket_support", SUPPORT, id="level of support"),
        pytest.param("ledger", "ticket_ledger", LEDGER, id="who held it for how long"),
        pytest.param("assignments", "ticket_assignments", {"items": [DECISION]}, id="why it was given to whom"),
    ],
)
def test_what_belongs_to_a_ticket_is_shown(
    door: Door, tickets: Tickets, path: str, method: str, shown: dict[str, Any]
) -> None:
    answer = door.ask("GET", f"/v1/tickets/T1/{path}", door.token("admin"))
    assert answer.json() == shown
    assert tickets.asked == [(method, {"number": "T1", "scope": SCOPE}, "E1001")]


def test_a_command_with_one_key_is_done_once_for_each_caller(door: Door, tickets: Tickets) -> None:
    first, second = door.token("admin"), door.token("admin")
    answers = [
        door.ask("POST", "/v1/tickets", token, {"title": "x"}, idempotency_key="k1").json()["number"]
        for token in (first, first, second)
    ]
    assert answers == ["T2026-000001", "T2026-000001", "T2026-000002"]
    assert len(tickets.asked) == 2


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("GET", "/none", None, 404, "number"),
        ("POST", "/closed/close", {}, 422, "state"),
        ("POST", "", {}, 422, "title"),
        ("POST", "", {"title": "x", "priority": 9}, 422, "priority"),
        ("POST", "", {"title": "x", "titel": "y"}, 422, "titel"),
        ("POST", "", {"title": "x", "category": "类" * 86}, 422, "category"),
        ("GET", "?priority=x", None, 422, "priority"),
        ("GET", "?limit=0", None, 422, "limit"),
        ("GET", "?colour=red", None, 422, "colour"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(
    door: Door, tickets: Tickets, method: str, path: str, body: Any, status: int, field: str
) -> None:
    answer = door.ask(method, f"/v1/tickets{path}", door.token("admin"), body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["errors"][0]["field"] == field


def test_a_body_that_is_not_json_and_a_path_that_is_not_there_are_problems(door: Door) -> None:
    token = door.token("admin")
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    answer = door.http.post("/v1/tickets", content=b"{", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:liaison:problem:unreadable")
    assert door.ask("GET", "/nowhere", token).json()["status"] == 404
    assert door.ask("DELETE", "/v1/tickets", token).json()["status"] == 405


def test_a_body_without_end_is_cut_off(door: Door) -> None:
    headers = {"authorization": f"Bearer {door.token('admin')}", "content-type": "application/json"}
    answer = door.http.post("/v1/tickets", content=b" " * 3_000_000, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


def test_tickets_that_do_not_answer_are_a_503_with_retry_after(door: Door) -> None:
    answer = door.ask("GET", "/v1/tickets/T1", door.token("admin"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_levels_of_support_are_passed_on(door: Door, tickets: Tickets) -> None:
    admin = door.token("admin")
    door.ask("POST", "/v1/tickets/T1/escalate", admin, {"reason": "要厂商", "level": 4, "vendor": "某厂"})
    door.ask("PUT", "/v1/tickets/T1/diagnosis", admin, {"mode": "remote"})
    door.ask("PUT", "/v1/tickets/T1/vendor", admin, {"vendor_number": "V-1"})
    assert [(method, arguments) for method, arguments, _ in tickets.asked] == [
        ("escalate_ticket", {"number": "T1", "reason": "要厂商", "level": 4, "vendor": "某厂", "scope": SCOPE}),
        ("diagnose_ticket", {"number": "T1", "mode": "remote", "scope": SCOPE}),
        ("note_vendor", {"number": "T1", "vendor_number": "V-1", "scope": SCOPE}),
    ]


def test_duty_is_loaded_swapped_and_shown(door: Door, tickets: Tickets) -> None:
    admin = door.token("admin")
    loaded = door.ask("PUT", "/v1/duty/roster", admin, {"sheet": "组,级别,工号,开始,结束"})
    swapped = door.ask("POST", "/v1/duty/swaps", admin, SWAP)
    shown = door.ask("GET", "/v1/duty?group=网络组", admin)
    assert (loaded.json()["shifts"], swapped.json(), shown.json()) == (1, SWAP, DUTY)
    assert [(method, arguments) for method, arguments, _ in tickets.asked] == [
        ("load_roster", {"sheet": "组,级别,工号,开始,结束", "scope": SCOPE}),
        ("swap_duty", SWAP | {"scope": SCOPE}),
        ("show_duty", {"group": "网络组", "scope": SCOPE}),
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "called", "arguments"),
    [
        ("PATCH", "/v1/tickets/T1", {"priority": 2}, "change_ticket", {"number": "T1", "priority": 2}),
        (
            "POST",
            "/v1/tickets/bulk/change",
            {"numbers": ["T1"], "change": {"assignee": "E2"}},
            "change_many",
            {"numbers": ["T1"], "change": {"assignee": "E2"}},
        ),
        ("POST", "/v1/tickets/bulk/close", {"numbers": ["T1"]}, "close_many", {"numbers": ["T1"]}),
        (
            "POST",
            "/v1/tickets/T1/links",
            {"kind": "child_of", "target": "T2"},
            "link_ticket",
            {"number": "T1", "kind": "child_of", "target": "T2", "remove": False},
        ),
        ("GET", "/v1/tickets/T1/links", None, "ticket_links", {"number": "T1"}),
        ("POST", "/v1/tickets/T1/merge", {"into": "T2"}, "merge_ticket", {"number": "T1", "into": "T2"}),
        ("POST", "/v1/tickets/T1/watchers", {}, "watch_ticket", {"number": "T1", "remove": False}),
        ("GET", "/v1/quick-texts", None, "quick_texts", {}),
        (
            "PUT",
            "/v1/quick-texts/restart",
            {"body": "请重启"},
            "put_quick_text",
            {"name": "restart", "body": "请重启"},
        ),
    ],
)
def test_changes_and_what_binds_tickets_are_passed_on(
    door: Door, tickets: Tickets, method: str, path: str, body: Any, called: str, arguments: dict[str, Any]
) -> None:
    answer = door.ask(method, path, door.token("admin"), body)
    assert answer.status_code == 200, answer.text
    assert tickets.asked == [(called, arguments | {"scope": SCOPE}, "E1001")]


def test_text_with_a_marking_of_secrecy_is_refused_at_the_door_with_advice(door: Door) -> None:
    marked = {"title": "服务器清单", "description": "【机密】\n10.0.0.1"}
    event = {"id": "m1", "type": REQUESTED, "source": "/erp", "time": "2026-01-01T00:00:00Z"}
    answer = door.post_binary(attributes(**event), marked)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "data.description")
    assert "保密规定" in answer.json()["errors"][0]["reason"]


def test_statistics_and_the_register_are_asked_for(door: Door, tickets: Tickets) -> None:
    admin = door.token("admin")
    period = {"begin_at": "2026-01-01T00:00:00Z", "end_at": "2026-02-01T00:00:00Z"}
    assert door.ask("GET", f"/v1/statistics/tickets?{urlencode(period)}", admin).json() == STATISTICS
    assert door.ask("POST", "/v1/register", admin, {"kind": "risk", "title": "x"}).json() == ENTRY
    assert door.ask("PATCH", "/v1/register/R2026-0001", admin, {"status": "blocked"}).json() == ENTRY
    assert door.ask("GET", "/v1/register/R2026-0001", admin).json() == ENTRY
    assert door.ask("GET", "/v1/register?status=blocked", admin).json() == {"items": [ENTRY]}
    assert [(method, arguments) for method, arguments, _ in tickets.asked] == [
        ("ticket_statistics", period | {"scope": SCOPE}),
        ("put_register_entry", {"kind": "risk", "title": "x", "scope": SCOPE}),
        ("put_register_entry", {"status": "blocked", "id": "R2026-0001", "scope": SCOPE}),
        ("get_register_entry", {"id": "R2026-0001", "scope": SCOPE}),
        ("list_register", {"filters": {"status": "blocked"}, "scope": SCOPE}),
    ]
