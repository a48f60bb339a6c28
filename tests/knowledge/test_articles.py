"""The life of an article, who may read it, and what the callers are told."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.tickets import SlaBreached
from eventkit.errors import NotFound, RuleBroken
from tests.eventkit.desk import eventually
from tests.knowledge.library import READER, Library, feedback, ticket_event


def drafted(library: Library, **fields: Any) -> str:
    return str(library.call("create_article", **{"title": "VPN 配置", "body": "安装客户端。"} | fields)["id"])


def test_an_article_goes_from_draft_to_review_to_publication_to_retirement(library: Library) -> None:
    one = drafted(library, category="操作指南", problem_codes=["VPN-1", "VPN-1"])
    for method, state in (("submit_article", "in_review"), ("publish_article", "published")):
        assert library.call(method, article_id=one)["state"] == state
    assert library.call("retire_article", article_id=one, reason="过时")["retired_reason"] == "过时"
    kinds = [row.type for row in library.rows("select type from eventkit.outbox order by position")]
    assert kinds == [f"liaison.article.{name}.v1" for name in ("drafted", "published", "retired")]
    told = library.told("article.published")[0]
    assert (told["article_id"], told["version"], told["published_by"]) == (one, 1, "E1001")
    assert (told["category"], told["problem_codes"], told["language"]) == ("操作指南", ["VPN-1"], "zh-CN")


def test_an_impossible_step_is_refused(library: Library) -> None:
    for steps, refused in (
        ([], "publish_article"),
        (["submit_article"], "submit_article"),
        (["submit_article", "publish_article"], "publish_article"),
        (["retire_article"], "publish_article"),
        (["retire_article"], "retire_article"),
        (["retire_article"], "submit_article"),
    ):
        one = drafted(library)
        for step in steps:
            library.call(step, article_id=one)
        with pytest.raises(RuleBroken) as caught:
            library.call(refused, article_id=one)
        assert caught.value.field == "state", (steps, refused)


def test_two_writers_do_not_overwrite_each_other(library: Library) -> None:
    one = drafted(library)
    assert library.call("edit_article", article_id=one, version=1, body="先写的")["version"] == 2
    with pytest.raises(RuleBroken, match="version 2 by now") as caught:
        library.call("edit_article", article_id=one, version=1, body="后写的")
    assert caught.value.field == "version"
    assert library.call("get_article", article_id=one)["body"] == "先写的"
    assert library.call("get_article", article_id=one, version=1)["body"] == "安装客户端。"


def test_a_category_is_taken_away_or_stays(library: Library) -> None:
    one = drafted(library, category="操作指南")
    assert library.call("edit_article", article_id=one, version=1, body="先写的")["category"] == "操作指南"
    assert library.call("edit_article", article_id=one, version=2, category=None)["category"] is None
    assert library.call("get_article", article_id=one)["category"] is None


def test_what_was_edited_after_the_review_is_reviewed_again(library: Library) -> None:
    one = drafted(library)
    library.call("submit_article", article_id=one)
    assert library.call("edit_article", article_id=one, version=1, title="VPN 设置")["state"] == "draft"


def test_readers_see_what_is_published_while_the_next_version_is_written(library: Library) -> None:
    one = library.published("VPN 配置", "安装客户端。")
    library.call("edit_article", article_id=one, version=1, title="VPN 新配置", body="重新安装。", level="sensitive")
    seen = library.call("get_article", scope=READER, article_id=one)
    assert (seen["title"], seen["body"], seen["shown_version"]) == ("VPN 配置", "安装客户端。", 1)
    assert library.call("get_article", article_id=one)["shown_version"] == 2
    library.call("publish_article", article_id=one)
    with pytest.raises(NotFound):
        library.call("get_article", scope=READER, article_id=one)
    library.caught_up()
    assert library.found("重新安装") == []
    assert library.found("重新安装", scope={"kind": "all"}) == [one]


def test_drafts_and_sensitive_articles_are_for_specialists(library: Library) -> None:
    draft = drafted(library)
    secret = library.published("内部口令", "见保险柜。", level="sensitive")
    open_one = library.published("VPN 说明", "安装客户端。", level="public")
    for hidden in (draft, secret, "A-999999"):
        with pytest.raises(NotFound):
            library.call("get_article", scope=READER, article_id=hidden)
        with pytest.raises(NotFound):
            library.call("rate_article", scope=READER, article_id=hidden, score=5)
    assert [one["id"] for one in library.call("list_articles", scope=READER)["items"]] == [open_one]
    assert len(library.call("list_articles")["items"]) == 3
    titles = {one["article_id"]: one["title"] for one in library.told("article.published")}
    assert titles == {secret: secret, open_one: "VPN 说明"}


def test_lists_are_filtered_and_come_in_pages(library: Library) -> None:
    ids = [drafted(library, category="数据错误" if n % 2 else None, problem_codes=[f"P-{n}"]) for n in range(5)]
    first = library.call("list_articles", limit=2)
    second = library.call("list_articles", limit=2, cursor=first["next_cursor"])
    assert [one["id"] for one in first["items"] + second["items"]] == ids[:0:-1]
    assert len(library.call("list_articles", filters={"category": "数据错误"})["items"]) == 2
    assert [one["id"] for one in library.call("list_articles", filters={"problem_code": "P-3"})["items"]] == [ids[3]]


def test_hits_come_in_pages(library: Library) -> None:
    ids = {library.published(f"VPN 配置 {n}", "安装客户端。") for n in range(5)}
    library.caught_up()
    first = library.call("search", q="VPN 配置", limit=3)
    second = library.call("search", q="VPN 配置", limit=3, cursor=first["next_cursor"])
    assert {one["id"] for one in first["items"] + second["items"]} == ids
    assert (len(first["items"]), len(second["items"]), second["next_cursor"]) == (3, 2, None)


def test_a_wrong_field_is_named(library: Library) -> None:
    for field, value in {"category": "八卦", "language": "fr", "level": "top", "title": ""}.items():
        with pytest.raises(RuleBroken) as caught:
            drafted(library, **{field: value})
        assert caught.value.field == field


def test_a_question_that_cannot_be_asked_is_refused(library: Library) -> None:
    questions: list[dict[str, Any]] = [{"q": " "}, {"q": "x", "cursor": "-1"}, {"q": "x", "cursor": "99999"}]
    for given in questions:
        with pytest.raises(RuleBroken):
            library.call("search", **given)


def test_a_command_that_comes_twice_under_one_key_is_done_once(library: Library) -> None:
    first, second = (library.call("create_article", title="一", body="二", key="k1") for _ in range(2))
    assert first == second
    assert library.one("select count(*) from article") == 1


def test_a_person_can_be_forgotten(library: Library) -> None:
    from eventkit.forgetting import forget
    from services.knowledge.storage import FORGET

    one = library.published("VPN", "安装客户端。")
    library.caught_up()
    library.call("rate_article", scope=READER, article_id=one, score=1, text="我是林晓雯")
    library.handled(feedback("F-1", "我是林晓雯,食堂周末不开门", author="E2001"))
    assert library.found("林晓雯的工资条") == []
    eventually(lambda: library.one("select count(*) from missing_answer") == 2, what="both are missing")
    assert forget(library.engine, "E2001", FORGET) == 3
    assert [tuple(row) for row in library.rows("select author, text, score from article_feedback")] == [(None, "", 1)]
    for row in library.rows("select * from missing_answer"):
        assert (row.key, row.example, row.example_by, row.count) == (row.id, "", None, 1)


def test_what_people_write_is_no_key_even_before_they_are_forgotten(library: Library) -> None:
    library.handled(feedback("F-1", "食堂周末不开门"), ticket_event(SlaBreached, problem_code="OA-LOGIN"))
    eventually(lambda: library.one("select count(*) from missing_answer") == 2, what="both are missing")
    keys = {row.kind: row.key == row.id for row in library.rows("select kind, key, id from missing_answer")}
    assert keys == {"feedback": True, "problem_code": False}
