"""The knowledge routes: arguments go to knowledge as they should, and errors come back as problems."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.door import SCOPE, Door
from tests.gateway.knowledge_stub import Asked


@pytest.mark.parametrize(
    ("http", "path", "body", "method", "arguments"),
    [
        (
            "POST",
            "",
            {"title": "一", "body": "二", "category": "操作指南"},
            "create_article",
            {"title": "一", "body": "二", "category": "操作指南", "problem_codes": [], "level": "internal"},
        ),
        ("PUT", "/A-1", {"version": 2, "body": "三"}, "edit_article", {"version": 2, "body": "三"}),
        ("PUT", "/A-1", {"version": 2, "category": None}, "edit_article", {"version": 2, "category": None}),
        ("POST", "/A-1/submit", None, "submit_article", {}),
        ("POST", "/A-1/publish", {"answers": ["0a"]}, "publish_article", {"answers": ["0a"]}),
        ("POST", "/A-1/retire", {"reason": "过时"}, "retire_article", {"reason": "过时"}),
        ("POST", "/A-1/rate", {"score": 4}, "rate_article", {"score": 4, "text": ""}),
    ],
)
def test_commands_are_passed_on(
    door: Door, knowledge: Asked, http: str, path: str, body: Any, method: str, arguments: dict[str, Any]
) -> None:
    answer = door.ask(http, f"/v1/articles{path}", door.token("admin"), body)
    assert answer.status_code == (201 if method == "create_article" else 200), answer.text
    named = {"article_id": "A-1"} if path else {}
    assert knowledge == [(method, arguments | named | {"scope": SCOPE}, "E1001")]


def test_a_search_is_passed_on_and_its_hits_come_back(door: Door, knowledge: Asked) -> None:
    path = "/v1/search?q=VPN 配置&language=zh-CN&category=操作指南&limit=7&cursor=14"
    answer = door.ask("GET", path, door.token("requester")).json()
    assert (answer["items"][0]["title_html"], answer["next_cursor"], answer["by_sound"]) == (
        "<mark>VPN</mark> 配置",
        "1",
        True,
    )
    given = {"q": "VPN 配置", "language": "zh-CN", "category": "操作指南", "limit": 7, "cursor": "14"}
    assert knowledge == [("search", given | {"scope": SCOPE | {"kind": "own"}}, "E1001")]


def test_lists_and_articles_are_passed_on(door: Door, knowledge: Asked) -> None:
    token = door.token("engineer")
    assert door.ask("GET", "/v1/articles?state=draft&limit=3", token).json()["next_cursor"] == "A-000001"
    assert door.ask("GET", "/v1/articles/A-1?version=2", token).json()["body"] == "安装客户端。"
    assert door.ask("GET", "/v1/missing-answers?resolved=true", token).json()["items"][0]["count"] == 2
    assert [(name, {**given, "scope": None}) for name, given, _ in knowledge] == [
        ("list_articles", {"filters": {"state": "draft"}, "limit": 3, "cursor": None, "scope": None}),
        ("get_article", {"article_id": "A-1", "version": 2, "scope": None}),
        ("list_missing_answers", {"resolved": True, "limit": 50, "with_feedback": False, "scope": None}),
    ]


@pytest.mark.parametrize(
    ("role", "may_read"),
    [("engineer", False), ("trainer", False), ("manager", False), ("lead", True), ("admin", True)],
)
def test_only_who_may_read_all_feedback_reads_it_among_the_missing_answers(
    door: Door, knowledge: Asked, role: str, may_read: bool
) -> None:
    answer = door.ask("GET", "/v1/missing-answers", door.token(role))
    assert answer.status_code == 200, answer.text
    [(_, given, _)] = knowledge
    assert given["with_feedback"] is may_read


@pytest.mark.parametrize(
    ("http", "path", "body", "status", "field"),
    [
        ("GET", "/v1/search?q=away", None, 503, None),
        ("GET", "/v1/search", None, 422, "q"),
        ("GET", "/v1/search?q=x&limit=51", None, 422, "limit"),
        ("GET", "/v1/articles/none", None, 404, "article_id"),
        ("PUT", "/v1/articles/A-1", {"version": 99, "body": "三"}, 422, "version"),
        ("POST", "/v1/articles", {"title": "一", "body": "二", "titel": "三"}, 422, "titel"),
    ],
)
def test_what_goes_wrong_is_told(
    door: Door, knowledge: Asked, http: str, path: str, body: Any, status: int, field: str | None
) -> None:
    answer = door.ask(http, path, door.token("admin"), body)
    assert answer.status_code == status, answer.text
    assert [one["field"] for one in answer.json().get("errors", [])] == ([field] if field else [])
    assert ("retry-after" in answer.headers) is (status == 503)


@pytest.mark.parametrize(
    ("role", "http", "path"),
    [
        ("requester", "POST", "/v1/articles"),
        ("requester", "GET", "/v1/missing-answers"),
        ("engineer", "POST", "/v1/articles/A-1/publish"),
        ("engineer", "POST", "/v1/articles/A-1/retire"),
    ],
)
def test_not_everybody_may_do_everything(door: Door, knowledge: Asked, role: str, http: str, path: str) -> None:
    assert door.ask(http, path, door.token(role), {}).status_code == 403
    assert knowledge == []
