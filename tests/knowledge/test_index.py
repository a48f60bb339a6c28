"""The search index holds what the database says: in any order of writes, through outages and rebuilds."""

from __future__ import annotations

import threading
import time
from math import isnan
from typing import Any

import pytest
from elasticsearch import AuthorizationException, Elasticsearch

from contracts.tickets import TicketOpened
from eventkit.database import open_engine
from eventkit.errors import Unavailable
from liaison.installation import Installation
from services.knowledge import librarian
from services.knowledge import rebuild as rebuilding
from services.knowledge.cutting import Family
from services.knowledge.querying import document, tombstone
from tests.eventkit.desk import eventually
from tests.knowledge.library import Library, feedback, ticket_event


def doc(title: str) -> dict[str, object]:
    shown = {"id": "A-1", "kind": "article", "title": title, "body": "正文", "url": "", "language": "zh-CN"}
    more: dict[str, Any] = {"category": None, "problem_codes": [], "level": "public"}
    return document(shown | more, Family.ZH)


def titles(library: Library) -> list[str]:
    library.index._client.indices.refresh(index=f"{library.prefix}*")
    hits = library.index.ask({"query": {"term": {"published": True}}})
    return [hit["_source"]["title"] for hit in hits]


def test_an_article_is_found_when_it_is_published_and_no_more_when_it_is_retired(library: Library) -> None:
    one = library.published("打印机无法连接网络", "请检查网线,然后重新启动打印机。", problem_codes=["PRN-01"])
    library.caught_up()
    [hit] = library.call("search", q="打印机连不上网络", scope={"kind": "own", "person": "E2"})["items"]
    assert (hit["id"], hit["kind"], hit["url"]) == (one, "article", f"http://desk.invalid/v1/articles/{one}")
    assert hit["title_html"] == "<mark>打印机</mark>无法连接<mark>网络</mark>"
    library.call("retire_article", article_id=one, reason="过时")
    library.caught_up()
    assert library.found("打印机无法连接网络") == []


def test_a_new_version_is_found_only_once_it_is_published(library: Library) -> None:
    one = library.published("打印机", "重启打印机")
    library.call("edit_article", article_id=one, version=1, body="更换硒鼓")
    library.caught_up()
    assert (library.found("硒鼓"), library.found("重启")) == ([], [one])
    library.call("publish_article", article_id=one)
    library.caught_up()
    assert (library.found("硒鼓"), library.found("重启")) == ([one], [])


def test_an_older_write_never_replaces_a_newer_one(library: Library) -> None:
    library.index.put("A-1", 2, doc("新的"))
    library.index.put("A-1", 1, doc("旧的"))
    assert titles(library) == ["新的"]
    library.index.put("A-1", 3, tombstone("A-1"))
    library.index.put("A-1", 2, doc("新的"))
    assert titles(library) == []


def test_indexing_waits_for_the_search_server_and_loses_nothing(library: Library) -> None:
    library.gate.shut()
    kept = library.published("报销单打印", "在报销模块里点打印。")
    gone = library.published("旧的报销流程", "已经作废。")
    library.call("retire_article", article_id=gone)
    with pytest.raises(Unavailable):
        library.found("报销")
    [process] = library.processes
    waiting = process.metrics.registry.get_sample_value
    assert waiting("liaison_knowledge_search_up") == 0
    assert waiting("liaison_knowledge_index_waiting") == 2
    assert (waiting("liaison_knowledge_index_oldest_age_seconds") or 0) > 0
    library.gate.open()
    library.caught_up()
    eventually(lambda: waiting("liaison_knowledge_index_waiting") == 0)
    assert waiting("liaison_knowledge_search_up") == 1
    # The server rested for a moment after it had not answered.
    assert eventually(lambda: _found(library, "报销"), what="the search answers again") == [kept]


def _found(library: Library, question: str) -> list[str]:
    try:
        return library.found(question)
    except Unavailable:
        return []


def test_a_page_does_not_wait_for_a_search_server_that_is_silent(library: Library) -> None:
    [process] = library.processes
    library.gate.shut()
    library.gate.open(silent=True)
    began = time.monotonic()
    assert process.metrics.registry.get_sample_value("liaison_knowledge_search_up") == 0
    assert time.monotonic() - began < 2


def test_what_a_silent_search_server_lacks_is_not_told(library: Library) -> None:
    library.published("年假制度", "每年十天。")
    library.caught_up()
    assert library.gauge("index_missing") == 0
    library.gate.shut()
    library.gate.open(silent=True)
    assert isnan(library.gauge("index_missing") or 0)
    assert library.gauge("index_waiting") == 0


def test_a_rebuild_loses_nothing_that_is_written_meanwhile(library: Library) -> None:
    articles = [library.published(f"文章{n}", f"原来的正文{n}") for n in range(6)]
    library.caught_up()
    before = library.index.generation_read()
    engine = open_engine(library.database_uri, name="rebuild")

    def meanwhile(done: int, total: int) -> None:
        if done == 3:
            # The first one has been read for the rebuild and not been written yet; the last has not been read.
            for one in (articles[0], articles[-1]):
                library.call("edit_article", article_id=one, version=1, body="改过的正文")
                library.call("publish_article", article_id=one)
            library.call("retire_article", article_id=articles[1])
            library.published("新来的", "新来的正文")
            library.caught_up()

    assert rebuilding.rebuild(engine, library.index, meanwhile) >= 6
    found = rebuilding.status(engine, library.index)
    engine.dispose()
    assert found.generation != before
    assert (found.others, found.found, found.wanted, found.is_right) == ([], 6, 6, True)
    assert sorted(library.found("改过")) == [articles[0], articles[-1]]
    assert articles[1] not in library.found("文章")
    assert len(library.found("新来")) == 1


def test_what_a_rebuild_has_left_behind_is_removed_by_the_next(library: Library) -> None:
    library.published("文章", "正文")
    library.caught_up()
    left = library.index.add_generation()
    engine = open_engine(library.database_uri, name="rebuild")
    assert rebuilding.status(engine, library.index).others == [left]
    rebuilding.rebuild(engine, library.index)
    assert len(library.index.generations()) == 1
    assert rebuilding.status(engine, library.index).is_right
    engine.dispose()


def test_an_index_that_is_lost_is_no_answer_and_is_built_anew(library: Library) -> None:
    ids = [library.published(f"年假制度{n}", "年假每年十天,在人事系统里申请。") for n in range(2)]
    library.caught_up()
    assert library.gauge("index_missing") == 0
    with library.closed_index():
        assert library.gauge("index_missing") == 2
    library.lose_the_index()
    assert (library.gauge("search_up"), library.gauge("index_waiting"), library.gauge("index_missing")) == (1, 0, 2)
    # Whoever finds it lost is told that the search cannot be asked
    with pytest.raises(Unavailable):
        library.found("年假")
    # Then it comes back by itself
    assert sorted(eventually(lambda: _found(library, "年假"), what="the index is back")) == ids
    assert library.gauge("index_missing") == 0
    assert library.one("select count(*) from eventkit.timer where kind = 'note_search'") == 0


def test_a_rebuild_within_the_service_gives_way_after_each_document(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    gave_way: list[str] = []
    monkeypatch.setattr(librarian, "give_way", lambda: gave_way.append(threading.current_thread().name))
    for n in range(3):
        library.published(f"年假制度{n}", "年假每年十天。")
    library.caught_up()
    library.lose_the_index()
    with pytest.raises(Unavailable):
        library.found("年假")
    eventually(lambda: _found(library, "年假"), what="the index is back")
    assert [name.partition(" ")[0] for name in gave_way] == ["job"] * 3


def test_searching_does_not_hurry_a_rebuild_that_failed(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("planted")

    library.published("年假制度", "年假每年十天。")
    library.caught_up()
    # Given a lost index, and a rebuild that fails and waits for its next try
    monkeypatch.setattr(librarian, "rebuild", fail)
    library.lose_the_index()
    assert _found(library, "年假") == []
    tried = "select due_at, version, attempts from eventkit.timer where kind = 'rebuild' and running_until is null"
    waits = eventually(lambda: library.rows(f"{tried} and attempts > 0"), what="it was tried in vain")
    # When somebody searches again, nothing changes
    assert _found(library, "年假") == []
    assert library.rows(tried) == waits
    # Then it is built once its time has come
    monkeypatch.undo()
    library.fast_forward("rebuild")
    eventually(lambda: _found(library, "年假"), what="the index is back")


def test_nothing_counts_as_unanswered_because_the_index_is_lost(library: Library) -> None:
    library.published("OA 系统无法登录", "请重设密码。")
    library.caught_up()
    library.lose_the_index()
    library.handled(ticket_event(TicketOpened))
    [told] = eventually(lambda: library.told("answer.suggested"))
    assert (told.get("suggestions", []), told["searched"]) == ([], False)
    eventually(lambda: _found(library, "系统登录"), what="the index is back")
    library.lose_the_index()
    library.handled(feedback("F-1", "系统登录"))
    looked_up = "select count(*) = 0 from eventkit.timer where kind = 'look_up_feedback'"
    eventually(lambda: library.one(looked_up), what="the feedback is looked up")
    assert library.told("search.missed") == []


def test_an_article_published_after_the_loss_does_not_hide_those_before(library: Library) -> None:
    before = library.published("报销制度", "报销单在报销模块里。")
    library.caught_up()
    library.lose_the_index()
    after = library.published("报销打印", "在报销模块里点打印。")
    library.caught_up()
    assert sorted(library.found("报销")) == [before, after]


def test_a_search_server_that_is_new_finds_nothing_until_the_first_article(library: Library) -> None:
    library.lose_the_index()
    assert library.found("报销") == []
    library.lose_the_index()
    one = library.published("报销制度", "报销单在报销模块里。")
    library.caught_up()
    assert library.found("报销") == [one]


def test_the_services_account_reaches_its_own_indices_only(search_server: Installation) -> None:
    with Elasticsearch(search_server.elasticsearch_url) as everything:
        everything.options(ignore_status=400).indices.create(index="someone-else")
    with Elasticsearch(search_server.search_url("knowledge")) as own:
        with pytest.raises(AuthorizationException):
            own.search(index="someone-else")
        with pytest.raises(AuthorizationException):
            own.indices.create(index="somewhere-else")
        with pytest.raises(AuthorizationException):
            own.cluster.health()
