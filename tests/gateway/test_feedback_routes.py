"""The feedback routes: what goes to tickets, under whose name, and what comes back."""

from __future__ import annotations

from typing import Any

import pytest

from eventkit.rpc import RpcClient
from services.gateway.feedback_receipts import hash_of
from tests.eventkit.desk import eventually
from tests.gateway.desk_stub import Tickets
from tests.gateway.door import SCOPE, Door

CODE = "0000-0000-0000-0000-0000-0000"


@pytest.mark.parametrize(
    ("path", "body", "method", "arguments"),
    [
        (
            "",
            {"text": "慢", "score": 2},
            "submit_feedback",
            {"text": "慢", "score": 2, "way": "web", "author": "E1001"},
        ),
        ("/F1/classify", {"class": "improvable"}, "classify_feedback", {"feedback_id": "F1", "class": "improvable"}),
        (
            "/F1/answer",
            {"status": "resolved", "answer": "已换"},
            "answer_feedback",
            {"feedback_id": "F1", "status": "resolved", "answer": "已换"},
        ),
        ("/F1/assign", {"owner": "E2"}, "assign_feedback", {"feedback_id": "F1", "owner": "E2"}),
        ("/F1/information", {"text": "三楼"}, "add_to_feedback", {"feedback_id": "F1", "text": "三楼"}),
    ],
)
def test_commands_are_passed_on(
    door: Door, tickets: Tickets, path: str, body: Any, method: str, arguments: dict[str, Any]
) -> None:
    answer = door.ask("POST", f"/v1/feedback{path}", door.token("admin"), body)
    assert answer.status_code == (201 if method == "submit_feedback" else 200), answer.text
    assert tickets.asked == [(method, {**arguments, "scope": SCOPE}, "E1001")]
    assert (answer.json()["status_text"], answer.json().get("receipt_code")) == ("已受理", None)


def test_a_list_is_asked_for_with_filters_and_cursor(door: Door, tickets: Tickets) -> None:
    path = "/v1/feedback?class=settled&status=resolved&owner=E2&unowned=true&limit=7&cursor=F9"
    answer = door.ask("GET", path, door.token("engineer")).json()
    filters = {"feedback_class": "settled", "status": "resolved", "owner": "E2", "unowned": True}
    expected = {"filters": filters, "limit": 7, "cursor": "F9", "scope": SCOPE | {"kind": "group"}}
    assert tickets.asked == [("list_feedback", expected, "E1001")]
    assert (answer["items"][0]["feedback_id"], answer["next_cursor"]) == ("F2026-000001", "F2026-000001")


@pytest.mark.parametrize(
    ("role", "person", "body"),
    [
        pytest.param("requester", "E1001", {"anonymous": True}, id="who asks for it"),
        pytest.param("engineer", None, {}, id="a token of nobody"),
        pytest.param("engineer", "E1001", {"anonymous": True, "way": "paper_box"}, id="a slip that names nobody"),
    ],
)
def test_an_anonymous_call_carries_nothing_of_the_caller(
    door: Door, tickets: Tickets, role: str, person: str | None, body: dict[str, Any]
) -> None:
    answer = door.ask("POST", "/v1/feedback", door.token(role, person=person), {"text": "慢", **body})
    [(method, arguments, actor)] = tickets.asked
    way, kind = body.get("way", "web"), "own" if role == "requester" else "all"
    receipt = hash_of(answer.json()["receipt_code"])
    assert receipt is not None
    assert (method, actor) == ("submit_feedback", None)
    assert arguments == {"text": "慢", "way": way, "receipt": receipt, "scope": {"kind": kind}}
    assert answer.headers["cache-control"] == "no-store"


def test_an_anonymous_submission_sent_again_with_its_key_is_one_and_gets_the_same_code(
    door: Door, tickets: Tickets
) -> None:
    first, second = door.token("admin"), door.token("admin")
    codes = [
        door.ask("POST", "/v1/feedback", token, {"text": "慢", "anonymous": True}, idempotency_key="k1").json()
        for token in (first, first, second)
    ]
    assert codes[0] == codes[1]
    assert codes[1]["receipt_code"] != codes[2]["receipt_code"]
    assert len(tickets.asked) == 2


@pytest.mark.parametrize("author", ["E2041", None])
def test_a_specialist_types_in_what_came_by_another_way(door: Door, tickets: Tickets, author: str | None) -> None:
    body = {"text": "食堂太挤", "way": "paper_box"} | ({"author": author} if author else {})
    answer = door.ask("POST", "/v1/feedback", door.token("engineer"), body)
    assert answer.status_code == 201
    [(_, arguments, actor)] = tickets.asked
    assert (arguments["author"], arguments["way"], actor) == (author, "paper_box", "E1001")


@pytest.mark.parametrize(
    ("path", "body", "method", "arguments"),
    [
        ("/status", {"code": CODE}, "feedback_status", {}),
        ("/information", {"code": CODE.lower(), "text": "三楼"}, "add_to_feedback_by_receipt", {"text": "三楼"}),
    ],
)
def test_a_code_is_enough_and_only_its_hash_goes_further(
    door: Door, tickets: Tickets, path: str, body: Any, method: str, arguments: dict[str, Any]
) -> None:
    answer = door.ask("POST", f"/v1/feedback{path}", None, body)
    assert (answer.status_code, answer.json()["status_text"]) == (200, "已受理")
    assert "text" not in answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert tickets.asked == [(method, {"receipt": hash_of(CODE), **arguments}, None)]


@pytest.mark.parametrize(
    ("path", "body"),
    [("", {"text": "慢", "anonymous": True}), ("/information", {"code": CODE, "text": "三楼"})],
)
def test_a_command_in_nobodys_name_that_the_broker_delivers_again_is_done_once(
    door: Door, tickets: Tickets, path: str, body: dict[str, Any]
) -> None:
    token = None if path else door.token("admin")
    with door.calls_to("tickets") as calls:
        assert door.ask("POST", f"/v1/feedback{path}", token, body).is_success
        [call] = calls()
    again = RpcClient(door.installation.amqp_uri("gateway"), "gateway")
    eventually(lambda: again.connected, what="a connection to call by")
    again.call("tickets", call.method, call.arguments, key=call.key)
    again.close()
    assert len(tickets.asked) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("GET", "/none", None, 404, "feedback_id"),
        ("POST", "", {"text": ""}, 422, "text"),
        ("POST", "", {"text": "x\x00"}, 422, "text"),
        ("POST", "", {"text": "x", "anonymous": True, "author": "E2"}, 422, "author"),
        ("POST", "", {"text": "x", "txet": "y"}, 422, "txet"),
        ("POST", "/F1/classify", {"class": "nice"}, 422, "class"),
        ("POST", "/F1/answer", {"status": "other"}, 422, "status"),
        ("POST", "/status", {"code": "not-a-code"}, 404, "code"),
        ("POST", "/status", {}, 422, "code"),
        ("GET", "?class=nice", None, 422, "class"),
        ("GET", "?colour=red", None, 422, "colour"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(
    door: Door, tickets: Tickets, method: str, path: str, body: Any, status: int, field: str
) -> None:
    answer = door.ask(method, f"/v1/feedback{path}", door.token("admin"), body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["errors"][0]["field"] == field
