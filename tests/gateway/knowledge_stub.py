"""A knowledge service that answers every call with what it was asked, over the real broker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from eventkit.definition import Method, ServiceDefinition
from eventkit.errors import NotFound, RuleBroken, Unavailable
from eventkit.work import Work
from liaison.installation import Installation
from tests.gateway.desk_stub import answering

HEAD = {
    "id": "A-000001",
    "state": "draft",
    "language": "zh-CN",
    "level": "internal",
    "title": "VPN 配置",
    "version": 1,
    "created_at": "2026-11-02T08:30:00Z",
    "changed_at": "2026-11-02T08:30:00Z",
}
HIT = {
    "id": "A-000001",
    "kind": "article",
    "title": "VPN 配置",
    "title_html": "<mark>VPN</mark> 配置",
    "excerpt_html": "安装客户端。",
    "url": "http://desk.invalid/v1/articles/A-000001",
    "language": "zh-CN",
    "score": 1.5,
}
MISS = {
    "id": "0a",
    "kind": "query",
    "language": "zh-CN",
    "example": "班车",
    "count": 2,
    "first_seen_at": "2026-11-02T08:30:00Z",
    "last_seen_at": "2026-11-02T08:30:00Z",
}
ANSWERS: Mapping[str, Any] = {
    "search": {"items": [HIT], "next_cursor": "1", "by_sound": True},
    "list_articles": {"items": [HEAD], "next_cursor": "A-000001"},
    "list_missing_answers": {"items": [MISS], "next_cursor": None},
    "rate_article": {"article_id": "A-000001", "score": 4},
    "get_article": HEAD | {"body": "安装客户端。", "shown_version": 1},
}
COMMANDS = ("create_article", "edit_article", "submit_article", "publish_article", "retire_article", "rate_article")
#: Every call, as (method, arguments, actor).
Asked = list[tuple[str, Mapping[str, Any], str | None]]


def _method(name: str, calls: Asked) -> Method:
    def answer(work: Work, arguments: Mapping[str, Any]) -> Any:
        calls.append((name, arguments, work.actor))
        if arguments.get("article_id") == "none":
            raise NotFound("no article none", field="article_id")
        if arguments.get("version") == 99:
            raise RuleBroken("the article is at version 3 by now", field="version")
        if arguments.get("q") == "away":
            raise Unavailable("the search server is away")
        return ANSWERS.get(name, HEAD)

    return Method(name, answer, is_command=name in COMMANDS)


@contextmanager
def running_knowledge(installation: Installation) -> Iterator[Asked]:
    """Run the stub under the name `knowledge` and give what it is asked."""
    calls: Asked = []
    methods = {name: _method(name, calls) for name in {*COMMANDS, *ANSWERS}}
    with answering(installation, ServiceDefinition("knowledge", methods=methods)):
        yield calls
