"""Every cell of the flow table: one effect within 5 s, though all is published twice and each consumer is killed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from deploy.local.mailbox import MailFolder
from tests.eventkit.desk import eventually
from tests.flows import stories
from tests.flows.enterprise import Enterprise, address_of
from tests.flows.stories import WITHIN_S, Story, deliveries, emitted, facts, number_of, total
from tests.system import System

LOGIN, LEDGER, LINE = "OA-LOGIN", "FIN-GL-OPEN", "PRD-LINE-STOP"
FINANCE = "集团/华东分公司/财务部"


@pytest.fixture(scope="module")
def enterprise(system: System) -> Enterprise:
    return Enterprise(system)


@pytest.fixture(scope="module")
def articles(enterprise: Enterprise) -> Mapping[str, str]:
    """Two published articles by problem code, which the search finds."""
    texts = {
        LOGIN: ("OA 无法登录怎么办", "先确认大写锁定，再点“忘记密码”重置。仍无法登录时联系服务台。"),
        LEDGER: ("总账打不开的处理步骤", "先释放凭证号，再清理浏览器缓存，最后重新登录总账。"),
    }
    ids = {}
    for code, (title, body) in texts.items():
        wish = {"title": title, "body": body, "category": "操作指南", "problem_codes": [code]}
        ids[code] = enterprise.ask("POST", "/v1/articles", wish)["id"]
        enterprise.ask("POST", f"/v1/articles/{ids[code]}/submit")
        enterprise.ask("POST", f"/v1/articles/{ids[code]}/publish", {})
        eventually(partial(_is_found, enterprise, title))
    return ids


def _is_found(enterprise: Enterprise, title: str) -> bool:
    """Tell whether the search answers with an article; a new index may not answer at once."""
    try:
        return title in found(enterprise, title)
    except AssertionError:
        return False


def found(enterprise: Enterprise, question: str) -> list[str]:
    return [hit["title"] for hit in enterprise.ask("GET", "/v1/search", q=question)["items"]]


@pytest.fixture(scope="module")
def opened(system: System, enterprise: Enterprise, articles: Mapping[str, str]) -> Story:
    before = facts(system)

    def publish() -> None:
        request = {"title": "OA 无法登录", "requester": "E2001", "priority": 2, "problem_code": LOGIN}
        enterprise.publish("oa", "ticket.requested", "flow-opened", request, externalref="flow-opened")

    def learn() -> Mapping[str, Any]:
        return {"number": number_of(system, "flow-opened"), "before": before}

    def effects(number: str, before: Mapping[str, float]) -> Mapping[str, Any]:
        return {
            "notify": lambda: len(deliveries(system, number)) == 2,
            "knowledge": lambda: emitted(system, "knowledge", "answer.suggested", number),
            "metrics": lambda: _more(system, before, "liaison_tickets_opened_total") == 1,
        }

    return stories.play(system, publish, learn, effects)


def _more(system: System, before: Mapping[str, float], name: str, **labels: str) -> float:
    return total(facts(system), name, **labels) - total(before, name, **labels)


def test_an_opened_ticket_brings_a_receipt_with_suggestions_and_a_task(
    system: System, opened: Story, mails: MailFolder
) -> None:
    number = opened.known["number"]
    assert opened.took_s["notify"] <= WITHIN_S
    assert deliveries(system, number) == {("receipt", "E2001"): 1, ("task", "E1002"): 1}
    [receipt] = [mail for mail in mails.newest(1000) if number in mail.text and address_of("E2001") in mail.to]
    assert number in receipt.subject
    assert "OA 无法登录怎么办" in receipt.text
    assert "解决不晚于" in receipt.text


def test_an_opened_ticket_brings_suggestions(system: System, opened: Story) -> None:
    assert opened.took_s["knowledge"] <= WITHIN_S
    [suggested] = emitted(system, "knowledge", "answer.suggested", opened.known["number"])
    assert suggested["suggestions"][0]["title"] == "OA 无法登录怎么办"
    assert len(suggested["suggestions"]) <= 3


def test_an_opened_ticket_counts_once_as_opened_and_as_open(system: System, opened: Story) -> None:
    assert opened.took_s["metrics"] <= WITHIN_S
    before = opened.known["before"]
    assert _more(system, before, "liaison_tickets_opened_total", priority="2") == 1
    assert total(facts(system), "liaison_tickets_open") == system.one(
        "tickets", "select count(*) from ticket where state not in ('resolved', 'closed')"
    )


@pytest.fixture(scope="module")
def breached(system: System, enterprise: Enterprise, articles: Mapping[str, str], opened: Story) -> Story:
    before = facts(system)

    def publish() -> None:
        nearly = (datetime.now(UTC) - timedelta(minutes=14, seconds=58)).isoformat()
        request = {"title": "产线停了", "region": "华南", "priority": 1, "problem_code": LINE}
        enterprise.publish("oa", "ticket.requested", "flow-late", request, externalref="flow-late", time=nearly)

    def learn() -> Mapping[str, Any]:
        number = number_of(system, "flow-late")
        eventually(lambda: emitted(system, "tickets", "sla.breached", number))
        return {"number": number, "before": before}

    def effects(number: str, before: Mapping[str, float]) -> Mapping[str, Any]:
        return {
            "notify": lambda: len(_about_clocks(system, number)) == 4,
            "knowledge": lambda: _missing(system, "problem_code", LINE),
            "metrics": lambda: _more(system, before, "liaison_sla_breaches_total") == 1,
        }

    return stories.play(system, publish, learn, effects)


def _about_clocks(system: System, number: str) -> dict[tuple[str, str], int]:
    told = deliveries(system, number)
    return {key: count for key, count in told.items() if key[0] in ("warned", "breached")}


def _missing(system: System, kind: str, key: str) -> list[Any]:
    statement = "select count, missing_answer.resolved_at from missing_answer where kind = :kind and key = :key"
    return system.rows("knowledge", statement, kind=kind, key=key)


def test_a_warning_reaches_the_assignee_and_a_breach_the_lead_and_the_manager_too(
    system: System, breached: Story
) -> None:
    assert breached.took_s["notify"] <= WITHIN_S
    told = _about_clocks(system, breached.known["number"])
    assert told == {("warned", "E1005"): 1, **{("breached", who): 1 for who in ("E1005", "E1003", "E1000")}}


def test_a_breach_that_no_article_covers_is_a_missing_answer(system: System, breached: Story) -> None:
    assert breached.took_s["knowledge"] <= WITHIN_S
    [missing] = _missing(system, "problem_code", LINE)
    assert (missing.count, missing.resolved_at) == (1, None)


def test_a_breach_counts_once_among_targets_and_breaches(system: System, breached: Story) -> None:
    assert breached.took_s["metrics"] <= WITHIN_S
    labels = {"target": "first_response", "priority": "1"}
    for name in ("liaison_sla_targets_total", "liaison_sla_breaches_total"):
        assert _more(system, breached.known["before"], name, **labels) == 1, name
    now = facts(system)
    share_met = 1 - total(now, "liaison_sla_breaches_total") / total(now, "liaison_sla_targets_total")
    counted = system.rows(
        "tickets",
        "select count(*) filter (where missed_due_at is null) as met, count(*) as n from clock"
        " where stopped_at is not null or missed_due_at is not null",
    )[0]
    assert share_met == counted.met / counted.n


@pytest.fixture(scope="module")
def completed(system: System, enterprise: Enterprise, articles: Mapping[str, str], breached: Story) -> Story:
    before = facts(system)
    materials = [
        {"material_id": "m1", "title": "月结演示录像", "url": "https://lms.example.invalid/m1", "summary": "十二分钟"}
    ]
    course = {
        "title": "总账月结操作",
        "modules": [{"title": "月结", "problem_codes": [LEDGER], "class_hours": 4}],
        "materials": materials,
    }
    enterprise.ask("PUT", "/v1/courses/ERP-FIN-02", {"title": "合并报表", "modules": [], "materials": []})
    enterprise.ask("PUT", "/v1/courses/ERP-FIN-01", course | {"next_course": "ERP-FIN-02"})
    enterprise.ask("PUT", f"/v1/training/contacts/{FINANCE}", {"employee_number": "E2009"})

    def publish() -> None:
        report = {"course": "ERP-FIN-01", "learner": "E2001", "attempt": 1, "passed": True, "score": 0.9}
        enterprise.publish("lms", "course.completion_reported", "flow-course", report)

    def learn() -> Mapping[str, Any]:
        eventually(lambda: system.rows("training", "select * from enrolment where completed_at is not null"))
        [told] = system.rows("training", "select aggregateid from eventkit.outbox where type like '%course.completed%'")
        return {"subject": told.aggregateid, "before": before}

    def effects(subject: str, before: Mapping[str, float]) -> Mapping[str, Any]:
        return {
            "notify": lambda: (
                {("course_result", "E2001"), ("course_report", "E2009")} <= set(deliveries(system, subject))
            ),
            "knowledge": lambda: "月结演示录像" in found(enterprise, "月结演示录像"),
            "metrics": lambda: _more(system, before, "liaison_course_completions_total") == 1,
        }

    return stories.play(system, publish, learn, effects)


def test_a_completion_reaches_the_learner_and_the_training_contact(
    system: System, completed: Story, mails: MailFolder
) -> None:
    assert completed.took_s["notify"] <= WITHIN_S
    told = deliveries(system, completed.known["subject"])
    assert told[("course_result", "E2001")] == told[("course_report", "E2009")] == 1
    results = [mail for mail in mails.newest(1000) if address_of("E2001") in mail.to and "总账月结操作" in mail.subject]
    assert any("合并报表" in mail.text for mail in results), "the next step is named"


def test_a_completion_brings_its_materials_into_the_search_and_a_reading_list(
    system: System, enterprise: Enterprise, completed: Story
) -> None:
    assert completed.took_s["knowledge"] <= WITHIN_S
    assert found(enterprise, "月结演示录像").count("月结演示录像") == 1
    [listed] = emitted(system, "knowledge", "answer.suggested", completed.known["subject"])
    assert [one["title"] for one in listed["suggestions"]] == ["总账打不开的处理步骤"]


def test_a_completion_counts_once_and_in_its_departments_ratio(system: System, completed: Story) -> None:
    assert completed.took_s["metrics"] <= WITHIN_S
    assert _more(system, completed.known["before"], "liaison_course_completions_total", first="true") == 1
    assert total(facts(system), "liaison_course_completion_ratio", department=FINANCE) == 1


@pytest.fixture(scope="module")
def given(system: System, enterprise: Enterprise, articles: Mapping[str, str], completed: Story) -> Story:
    before = facts(system)

    about = {"text": "这篇少了一步", "author": "E2001", "score": 3, "about_article": articles[LEDGER]}
    other = {"text": "食堂座位预约系统总是闪退", "author": "E2001", "score": 1}

    def publish() -> None:
        enterprise.publish("oa", "feedback.submitted", "flow-about", about, externalref="flow-about")
        enterprise.publish("oa", "feedback.submitted", "flow-other", other, externalref="flow-other")

    def learn() -> Mapping[str, Any]:
        rows = eventually(lambda: len(rows := system.rows("tickets", "select id, text from feedback")) == 2 and rows)
        ids = {row.text: row.id for row in rows}
        return {"about": ids[about["text"]], "other": ids[other["text"]], "before": before}

    def effects(about: str, other: str, before: Mapping[str, float]) -> Mapping[str, Any]:
        return {
            "notify": lambda: len(deliveries(system, about)) == len(deliveries(system, other)) == 2,
            "knowledge": lambda: _attached(system, about) and _unanswered(system),
            "metrics": lambda: _more(system, before, "liaison_feedback_received_total") == 2,
        }

    return stories.play(system, publish, learn, effects)


def _attached(system: System, feedback_id: str) -> list[Any]:
    return system.rows("knowledge", "select article_id, score from article_feedback where id = :id", id=feedback_id)


def _unanswered(system: System) -> list[Any]:
    return system.rows("knowledge", "select count, example from missing_answer where kind = 'feedback'")


def test_feedback_reaches_its_owner_and_its_author_gets_the_status(system: System, given: Story) -> None:
    assert given.took_s["notify"] <= WITHIN_S
    for one in ("about", "other"):
        told = deliveries(system, given.known[one])
        assert told == {("feedback_task", "E1001"): 1, ("feedback_receipt", "E2001"): 1}


def test_feedback_is_attached_to_its_article_or_becomes_a_missing_answer(
    system: System, articles: Mapping[str, str], given: Story
) -> None:
    assert given.took_s["knowledge"] <= WITHIN_S
    assert [tuple(row) for row in _attached(system, given.known["about"])] == [(articles[LEDGER], 3)]
    [missing] = _unanswered(system)
    assert (missing.count, missing.example) == (1, "食堂座位预约系统总是闪退")


def test_feedback_counts_once_by_class_and_by_score(system: System, given: Story) -> None:
    assert given.took_s["metrics"] <= WITHIN_S
    before = given.known["before"]
    assert _more(system, before, "liaison_feedback_received_total", feedback_class="unclassified") == 2
    for score in ("1", "3"):
        assert _more(system, before, "liaison_feedback_scores_total", score=score) == 1
