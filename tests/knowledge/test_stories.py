"""What knowledge does when something happens elsewhere; every event comes twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.tickets import SlaBreached, TicketOpened, TicketResolved
from contracts.training import CourseCompleted, Material
from eventkit.envelope import Event
from tests.eventkit.desk import eventually, reported
from tests.knowledge.library import OPENED_AT, SPECIALIST, Library, feedback, ticket_event

SOLUTION = "在登录页点“忘记密码”,按短信验证码重设密码后即可登录。"


def completed(learner: str, *materials: Material, attempt: int = 1, **more: Any) -> Event[Any]:
    data = CourseCompleted(
        course="ERP-101",
        course_title="ERP 基础操作",
        learner=learner,
        attempt=attempt,
        completed_at=OPENED_AT,
        problem_codes=("ERP-LOGIN",),
        materials=materials,
    )
    return reported(data, f"ERP-101/{learner}", source="/liaison/training", **more)


def suggested(library: Library) -> list[dict[str, Any]]:
    return library.told("answer.suggested")


def misses(library: Library, **filters: Any) -> list[tuple[str, str, int]]:
    items = library.call("list_missing_answers", with_feedback=True, **filters)["items"]
    return [(item["kind"], item["example"], item["count"]) for item in items]


def all_made(library: Library, kind: str) -> None:
    """Wait until no call of a kind is left to be made."""
    query = "select count(*) from eventkit.timer where kind = :kind"
    eventually(lambda: library.one(query, kind=kind) == 0, what=f"every {kind} is made")


def test_a_ticket_gets_up_to_three_suggestions_once(library: Library) -> None:
    by_code = library.published("单点登录说明", "请先绑定手机。", problem_codes=["OA-LOGIN"])
    by_text = library.published("OA 系统无法登录怎么办", SOLUTION)
    library.published("年假制度", "每年十天。")
    library.published("OA 系统无法登录的内部原因", "只给专员看。", level="sensitive")
    library.caught_up()
    library.handled(ticket_event(TicketOpened, problem_code="OA-LOGIN"))
    all_made(library, "suggest")
    [told] = suggested(library)
    assert (told["suggested_for"], told["about_subject"], told["person"]) == ("ticket", "T-1", "E2001")
    assert [one["article_id"] for one in told["suggestions"]] == [by_code, by_text]
    assert told["suggestions"][0]["url"] == f"http://desk.invalid/v1/articles/{by_code}"


def test_a_ticket_that_four_articles_fit_gets_the_best_three(library: Library) -> None:
    last = library.published("报表导出的内部说明", "系统无法打开报表时,先看网络。")
    fitting = [library.published(f"OA 系统无法登录怎么办，之{n}", SOLUTION) for n in "一二三"]
    library.caught_up()
    library.handled(ticket_event(TicketOpened))
    [told] = eventually(lambda: suggested(library))
    assert {one["article_id"] for one in told["suggestions"]} == set(fitting)
    assert len(told["suggestions"]) == 3
    assert set(library.found("OA 系统无法登录")) == {*fitting, last}


def test_a_ticket_that_nothing_fits_is_told_so(library: Library) -> None:
    library.published("年假制度", "每年十天。")
    library.caught_up()
    library.handled(ticket_event(TicketOpened))
    [told] = eventually(lambda: suggested(library))
    assert (told.get("suggestions", []), told.get("searched", True)) == ([], True)


def test_a_search_that_does_not_answer_in_time_is_told_and_not_asked_again(library: Library) -> None:
    library.published("OA 系统无法登录", SOLUTION)
    library.caught_up()
    library.gate.shut()
    library.gate.open(silent=True)
    library.handled(ticket_event(TicketOpened))
    [told] = eventually(lambda: suggested(library), timeout_s=4)
    assert (told.get("suggestions", []), told["searched"]) == ([], False)
    library.gate.shut()
    library.gate.open()
    library.handled(ticket_event(TicketOpened, "T-2"))
    all_made(library, "suggest")
    assert len(suggested(library)) == 2


def test_history_gets_no_suggestions_and_no_drafts(library: Library) -> None:
    library.handled(
        ticket_event(TicketOpened, history=True), ticket_event(TicketResolved, "T-9", history=True, solution=SOLUTION)
    )
    library.handled(ticket_event(TicketOpened, "T-2"))
    all_made(library, "suggest")
    assert [told["about_subject"] for told in suggested(library)] == ["T-2"]
    assert library.told("article.drafted") == []


def test_a_solution_becomes_a_draft_once_and_follows_the_ticket_until_a_person_works_on_it(library: Library) -> None:
    library.handled(ticket_event(TicketResolved, solution=SOLUTION, problem_code="OA-LOGIN", category="登录问题"))
    [told] = library.told("article.drafted")
    assert (told["from_ticket"], told["category"], told["problem_codes"]) == ("T-1", "登录问题", ["OA-LOGIN"])
    library.handled(ticket_event(TicketResolved, sequence=2, solution="原因是账号被锁,请联系管理员解锁后再登录系统。"))
    article = library.call("get_article", article_id=told["article_id"])
    assert (article["version"], article["state"]) == (2, "draft")
    assert "账号被锁" in article["body"]
    library.call("edit_article", article_id=told["article_id"], version=2, body="写好的文章")
    library.handled(ticket_event(TicketResolved, sequence=3, solution=SOLUTION))
    assert library.call("get_article", article_id=told["article_id"])["body"] == "写好的文章"
    assert len(library.told("article.drafted")) == 1


def test_a_solution_that_says_too_little_is_no_draft(library: Library) -> None:
    library.handled(
        ticket_event(TicketResolved, solution="已解决"), ticket_event(TicketResolved, "T-2", solution="重启后好了")
    )
    assert library.told("article.drafted") == []


def test_a_solution_of_one_short_chinese_sentence_is_a_draft(library: Library) -> None:
    library.handled(ticket_event(TicketResolved, solution="已重置密码，请用新密码登录。"))
    assert len(library.told("article.drafted")) == 1


def test_the_materials_of_a_completed_course_are_found_and_its_learner_gets_a_reading_list(library: Library) -> None:
    first = library.published("ERP 登录", "用工号登录。", problem_codes=["ERP-LOGIN"])
    video = Material(material_id="v1", title="凭证录入演示", url="http://lms.invalid/v1", summary="如何录入会计凭证")
    slides = Material(material_id="s1", title="报表导出讲义")
    library.handled(completed("E2001", video, slides), completed("E2002", video, slides))
    library.caught_up()
    [hit] = library.call("search", q="会计凭证怎么录入")["items"]
    assert (hit["kind"], hit["id"], hit["url"]) == ("material", "ERP-101/v1", "http://lms.invalid/v1")
    told = suggested(library)
    assert sorted(one["about_subject"] for one in told) == ["ERP-101/E2001", "ERP-101/E2002"]
    assert {one["suggestions"][0]["article_id"] for one in told} == {first}
    assert library.one("select max(version) from index_entry where kind = 'material'") == 1
    # A later completion knows that the course has other materials by now.
    library.handled(completed("E2003", slides, time=told_at(library) + timedelta(seconds=5)))
    library.caught_up()
    assert library.found("会计凭证") == []
    library.handled(completed("E2004", video, time=OPENED_AT))
    library.caught_up()
    assert library.found("会计凭证") == []


def test_materials_that_a_course_got_meanwhile_are_found_though_the_later_report_is_of_an_earlier_end(
    library: Library,
) -> None:
    nine = OPENED_AT.replace(hour=9, minute=0)
    video, slides = Material(material_id="m1", title="凭证录入演示"), Material(material_id="m2", title="报表导出讲义")
    library.handled(completed("E2001", video, time=nine - timedelta(minutes=10), arrived_at=nine))
    later = nine + timedelta(minutes=65)
    library.handled(completed("E2002", video, slides, time=nine - timedelta(minutes=20), arrived_at=later))
    library.caught_up()
    assert (library.found("凭证录入"), library.found("报表导出")) == (["ERP-101/m1"], ["ERP-101/m2"])


def told_at(library: Library) -> Any:
    return library.one("select max(seen_at) from course_material")


def test_the_problem_code_of_a_breach_is_missing_until_an_article_is_about_it(library: Library) -> None:
    events = [ticket_event(SlaBreached, f"T-{n}", problem_code="OA-LOGIN") for n in (1, 2)]
    library.handled(*events, ticket_event(SlaBreached, "T-3"))
    assert misses(library) == [("problem_code", "OA 系统无法登录", 2)]
    told = library.told("search.missed")
    assert [(one["missed_by"], one["problem_code"]) for one in told] == [("breach", "OA-LOGIN")] * 2
    one = library.published("登录", SOLUTION, problem_codes=["OA-LOGIN"])
    library.handled(ticket_event(SlaBreached, "T-4", problem_code="OA-LOGIN"))
    assert misses(library) == []
    [resolved] = library.call("list_missing_answers", resolved=True)["items"]
    assert (resolved["resolved_by"], resolved["count"]) == (one, 2)
    library.call("retire_article", article_id=one)
    library.handled(ticket_event(SlaBreached, "T-5", problem_code="OA-LOGIN"))
    assert misses(library) == [("problem_code", "OA 系统无法登录", 3)]


def test_feedback_on_an_article_is_attached_to_it(library: Library) -> None:
    one = library.published("年假制度", "每年十天。")
    library.handled(feedback("F-1", "写得很清楚", about_article=one, score=5, author="E2001"))
    library.call("rate_article", article_id=one, score=2, scope={"kind": "own", "person": "E2002"})
    library.call("rate_article", article_id=one, score=3, scope={"kind": "own", "person": "E2002"})
    article = library.call("get_article", article_id=one)
    assert (article["ratings"], article["mean_score"]) == (2, 4.0)
    assert [fact["score"] for fact in library.told("article.rated")] == [5, 2, 3]
    assert misses(library) == []


def test_other_feedback_is_missing_an_answer_unless_an_article_has_it(library: Library) -> None:
    library.published("年假制度", "年假每年十天,在人事系统里申请。")
    library.caught_up()
    library.handled(
        feedback("F-1", "年假在哪里申请?"), feedback("F-2", "食堂周末不开门"), feedback("F-3", "食堂周末不开门")
    )
    all_made(library, "look_up_feedback")
    assert misses(library) == [("feedback", "食堂周末不开门", 2)]
    assert [one["missed_by"] for one in library.told("search.missed")] == ["feedback"] * 2


def test_what_feedback_said_is_left_out_for_those_who_may_not_read_it_all(library: Library) -> None:
    library.handled(feedback("F-1", "食堂周末不开门"), feedback("F-2", "登录太慢，李四不理人", problem_code="OA-LOGIN"))
    assert library.found("班车时刻表") == []
    eventually(lambda: len(misses(library)) == 3, what="all are missing")
    ways: list[dict[str, Any]] = [{}, {"with_feedback": False}]
    for given in ways:
        shown = library.call("list_missing_answers", **given)["items"]
        assert {(item["kind"], item["example"], item["count"]) for item in shown} == {
            ("feedback", None, 1),
            ("problem_code", None, 1),
            ("query", "班车时刻表", 1),
        }


def test_feedback_waits_for_a_search_server_that_is_away(library: Library) -> None:
    library.gate.shut()
    library.handled(feedback("F-1", "食堂周末不开门", author="E2001"))
    assert misses(library) == []
    library.gate.open()
    eventually(lambda: misses(library) == [("feedback", "食堂周末不开门", 1)])


def test_feedback_is_not_taken_for_unanswered_because_the_search_is_broken(library: Library) -> None:
    library.published("年假制度", "年假每年十天,在人事系统里申请。")
    library.caught_up()
    # Given an index that answers every question with an error which does not say that the server is away
    with library.closed_index():
        library.handled(feedback("F-1", "年假在哪里申请?"))
        tried = "select from eventkit.timer where kind = 'look_up_feedback' and running_until is null and attempts > 0"
        eventually(lambda: library.rows(tried), what="it was looked up in vain")
    assert misses(library) == []
    # When it works again, and the time has come
    library.fast_forward("look_up_feedback")
    all_made(library, "look_up_feedback")
    assert misses(library) == []
    assert library.told("search.missed") == []


def test_a_search_that_finds_nothing_is_remembered_once(library: Library) -> None:
    library.published("年假制度", "每年十天。")
    library.caught_up()
    for _ in range(3):
        assert library.found("班车时刻表") == []
    assert library.found("班车时刻表", category="登录问题") == []
    eventually(lambda: misses(library) == [("query", "班车时刻表", 1)])
    [told] = library.told("search.missed")
    assert told["missed_by"] == "search"
    assert "班车" not in str(told)
    [miss] = library.call("list_missing_answers")["items"]
    one = library.call("create_article", title="班车", body="班车时刻表见公告。")["id"]
    library.call("submit_article", article_id=one)
    library.call("publish_article", article_id=one, answers=[miss["id"]], scope=SPECIALIST)
    assert misses(library) == []


def test_a_question_that_bears_a_marking_is_answered_and_leaves_nothing_behind(library: Library) -> None:
    assert library.found("机密★十年 核心交换机部署图") == []
    assert library.rows("select from eventkit.timer where kind = 'note_search'") == []
    assert misses(library) == []


@pytest.mark.parametrize(
    ("before", "answer", "question", "mark"),
    [
        ("这里说的是别的事情。" * 500, "打印机卡纸时先打开后盖。", "打印机卡纸", "<mark>打印机卡纸</mark>"),
        ("This is about other things. " * 180, "When a printer jams, open it.", "printer jams", "<mark>jams</mark>"),
        ("This is about other things. " * 3500, "When a printer jams, open it.", "printer jams", "<mark>jams</mark>"),
    ],
    ids=["Chinese", "English", "as long as may be"],
)
def test_an_answer_at_the_end_of_a_long_article_is_an_answer(
    library: Library, before: str, answer: str, question: str, mark: str
) -> None:
    one = library.published("手册", before + answer)
    library.caught_up()
    found = library.call("search", q=question)
    assert ([item["id"] for item in found["items"]], found["by_sound"]) == ([one], False)
    assert mark in found["items"][0]["excerpt_html"]
    library.handled(feedback("F-1", question))
    all_made(library, "look_up_feedback")
    assert library.one("select count(*) from eventkit.timer where kind = 'note_search'") == 0
    assert misses(library) == []


def test_what_is_written_differently_is_found(library: Library) -> None:
    one = library.published("OA 登录密码", "登录密码九十天一换。")
    library.caught_up()
    for question, by_sound in (("登陆密码", True), ("登錄密碼", False), ("ＯＡ 登录", False)):
        answer = library.call("search", q=question)
        assert ([item["id"] for item in answer["items"]], answer["by_sound"]) == ([one], by_sound), question
