"""Every cell of the flow table: one effect within 5 s of publishing, and one also when its consumer is killed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar

import pytest

from deploy.local.mailbox import MailFolder
from tests.eventkit.desk import eventually
from tests.flows import stories
from tests.flows.enterprise import Enterprise, address_of
from tests.flows.stories import CALM, KILLED, Story, deliveries, emitted, facts, number_of, total
from tests.system import System

# The first test of the file waits for six services, and for a row that is played twice.
pytestmark = pytest.mark.timeout(300)
LOGIN, LEDGER, LINE = "OA-LOGIN", "FIN-GL-OPEN", "PRD-LINE-STOP"
FINANCE = "集团/华东分公司/财务部"


@pytest.fixture(scope="module")
def enterprise(system: System) -> Enterprise:
    stories.renew_facts(system)
    return Enterprise(system)


@pytest.fixture(scope="module")
def articles(enterprise: Enterprise) -> Mapping[str, str]:
    """The newest published article of each problem code, which the search finds; four are about signing in."""
    texts = (
        (LOGIN, "OA 密码错误多次后账号被锁定", "三十分钟后自动解锁；急用时请服务台核对工号后解锁。"),
        (LOGIN, "换了手机以后怎么登录 OA", "先请部门文员在人事系统里改号码，次日生效。"),
        (LOGIN, "第一次登录 OA 的步骤", "初始密码在入职邮件里，登录后按提示改密码。"),
        (LOGIN, "OA 无法登录怎么办", "先确认大写锁定，再点“忘记密码”重置。仍无法登录时联系服务台。"),
        (LEDGER, "总账打不开的处理步骤", "先释放凭证号，再清理浏览器缓存，最后重新登录总账。"),
    )
    ids = {}
    for code, title, body in texts:
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


class Flow:
    """One row of the table, published by an enterprise."""

    def __init__(self, enterprise: Enterprise) -> None:
        self.enterprise, self.system = enterprise, enterprise.system


def found(enterprise: Enterprise, question: str) -> list[str]:
    return [hit["title"] for hit in enterprise.ask("GET", "/v1/search", q=question)["items"]]


class _Opened(Flow):
    """Somebody cannot sign in."""

    def publish(self, key: str) -> None:
        request = {"title": "OA 无法登录", "requester": "E2001", "priority": 2, "problem_code": LOGIN}
        ref = f"flow-opened-{key}"
        self.enterprise.publish("oa", "ticket.requested", ref, request, externalref=ref)

    def learn(self, key: str) -> Mapping[str, str]:
        return {"number": number_of(self.system, f"flow-opened-{key}")}

    def effects(self, before: Mapping[str, float], **about: str) -> Mapping[str, Callable[[], Any]]:
        number = about["number"]
        return {
            "notify": lambda: len(deliveries(self.system, number)) == 2,
            "knowledge": lambda: emitted(self.system, "knowledge", "answer.suggested", number),
            "metrics": lambda: _more(self.system, before, "liaison_tickets_opened_total") == 1,
        }


@pytest.fixture(scope="module")
def opened(system: System, enterprise: Enterprise, articles: Mapping[str, str]) -> Story:
    return stories.play(system, _Opened(enterprise))


def _more(system: System, before: Mapping[str, float], name: str, **labels: str) -> float:
    return total(facts(system), name, **labels) - total(before, name, **labels)


def test_an_opened_ticket_brings_a_receipt_with_suggestions_and_a_task(
    system: System, opened: Story, mails: MailFolder
) -> None:
    assert opened.was_in_time("notify"), opened
    for about in (opened.calm_about, opened.about):
        assert deliveries(system, about["number"]) == {("receipt", "E2001"): 1, ("task", "E1002"): 1}
    # A receipt does not wait for suggestions for longer than a killed service may take to come back.
    number = opened.calm_about["number"]
    [receipt] = [mail for mail in mails.newest(1000) if number in mail.text and address_of("E2001") in mail.to]
    assert number in receipt.subject
    assert re.findall(r"^(\d)\. ", receipt.text, re.MULTILINE) == ["1", "2", "3"]
    assert "\n1. OA 无法登录怎么办" in receipt.text.replace("\r", "")
    assert "解决不晚于" in receipt.text


def test_an_opened_ticket_brings_suggestions(system: System, opened: Story) -> None:
    assert opened.was_in_time("knowledge"), opened
    [suggested] = emitted(system, "knowledge", "answer.suggested", opened.about["number"])
    assert suggested["suggestions"][0]["title"] == "OA 无法登录怎么办"
    assert len({one["article_id"] for one in suggested["suggestions"]}) == len(suggested["suggestions"]) == 3


def test_an_opened_ticket_counts_once_as_opened_and_as_open(system: System, opened: Story) -> None:
    assert opened.was_in_time("metrics"), opened
    before = opened.before
    assert _more(system, before, "liaison_tickets_opened_total", priority="2") == 1
    assert total(facts(system), "liaison_tickets_open") == system.one(
        "tickets", "select count(*) from ticket where state not in ('resolved', 'closed')"
    )


class _Breached(Flow):
    """A critical request whose first response falls due a second later."""

    codes: ClassVar = {CALM: "PRD-LINE-SLOW", KILLED: LINE}

    def publish(self, key: str) -> None:
        nearly = (datetime.now(UTC) - timedelta(minutes=14, seconds=59)).isoformat()
        request = {"title": "产线停了", "region": "华南", "priority": 1, "problem_code": self.codes[key]}
        ref = f"flow-late-{key}"
        self.enterprise.publish("oa", "ticket.requested", ref, request, externalref=ref, time=nearly)

    def learn(self, key: str) -> Mapping[str, str]:
        number = number_of(self.system, f"flow-late-{key}")
        eventually(lambda: emitted(self.system, "tickets", "sla.breached", number))
        return {"number": number}

    def effects(self, before: Mapping[str, float], **about: str) -> Mapping[str, Callable[[], Any]]:
        [told] = emitted(self.system, "tickets", "sla.breached", about["number"])
        return {
            "notify": lambda: len(_about_clocks(self.system, about["number"])) == 4,
            "knowledge": lambda: _missing(self.system, "problem_code", told["problem_code"]),
            "metrics": lambda: _more(self.system, before, "liaison_sla_breaches_total") == 1,
        }


@pytest.fixture(scope="module")
def breached(system: System, enterprise: Enterprise, articles: Mapping[str, str], opened: Story) -> Story:
    return stories.play(system, _Breached(enterprise))


def _about_clocks(system: System, number: str) -> dict[tuple[str, str], int]:
    told = deliveries(system, number)
    return {key: count for key, count in told.items() if key[0] in ("warned", "breached")}


def _missing(system: System, kind: str, key: str) -> list[Any]:
    statement = "select count, missing_answer.resolved_at from missing_answer where kind = :kind and key = :key"
    return system.rows("knowledge", statement, kind=kind, key=key)


def test_a_warning_reaches_the_assignee_and_a_breach_the_lead_and_the_manager_too(
    system: System, breached: Story
) -> None:
    assert breached.was_in_time("notify"), breached
    told = _about_clocks(system, breached.about["number"])
    assert told == {("warned", "E1005"): 1, **{("breached", who): 1 for who in ("E1005", "E1003", "E1000")}}


def test_a_breach_that_no_article_covers_is_a_missing_answer(system: System, breached: Story) -> None:
    assert breached.was_in_time("knowledge"), breached
    [missing] = _missing(system, "problem_code", LINE)
    assert (missing.count, missing.resolved_at) == (1, None)


def test_a_breach_counts_once_among_targets_and_breaches(system: System, breached: Story) -> None:
    assert breached.was_in_time("metrics"), breached
    labels = {"target": "first_response", "priority": "1"}
    for name in ("liaison_sla_targets_total", "liaison_sla_breaches_total"):
        assert _more(system, breached.before, name, **labels) == 1, name
    now = facts(system)
    share_met = 1 - total(now, "liaison_sla_breaches_total") / total(now, "liaison_sla_targets_total")
    counted = system.rows(
        "tickets",
        "select count(*) filter (where missed_due_at is null) as met, count(*) as n from clock"
        " where stopped_at is not null or missed_due_at is not null",
    )[0]
    assert share_met == counted.met / counted.n


class _Completed(Flow):
    """A learning platform reports that somebody passed a course."""

    #: Code, title, and title of its material.
    courses: ClassVar = {
        CALM: ("ERP-FIN-03", "关账操作", "关账步骤讲义"),
        KILLED: ("ERP-FIN-01", "总账月结操作", "月结演示录像"),
    }

    def prepare(self) -> None:
        """Write the courses, and who is told about the department."""
        enterprise = self.enterprise
        enterprise.ask("PUT", "/v1/courses/ERP-FIN-02", {"title": "合并报表", "modules": [], "materials": []})
        for code, title, material in self.courses.values():
            known = {
                "title": title,
                "modules": [{"title": "月结", "problem_codes": [LEDGER], "class_hours": 4}],
                "materials": [
                    {"material_id": "m1", "title": material, "url": "https://lms.example.invalid/m1", "summary": "短片"}
                ],
                "next_course": "ERP-FIN-02",
            }
            enterprise.ask("PUT", f"/v1/courses/{code}", known)
        enterprise.ask("PUT", f"/v1/training/contacts/{FINANCE}", {"employee_number": "E2009"})
        # Somebody else of the department takes a course and does not finish it.
        enterprise.ask("POST", f"/v1/courses/{self.courses[KILLED][0]}/enrolments", {"person": "E2009"})

    def publish(self, key: str) -> None:
        report = {"course": self.courses[key][0], "learner": "E2001", "attempt": 1, "passed": True, "score": 0.9}
        self.enterprise.publish("lms", "course.completion_reported", f"flow-course-{key}", report)

    def learn(self, key: str) -> Mapping[str, str]:
        subject = f"{self.courses[key][0]}/E2001"
        eventually(lambda: emitted(self.system, "training", "course.completed", subject))
        return {"subject": subject}

    def effects(self, before: Mapping[str, float], **about: str) -> Mapping[str, Callable[[], Any]]:
        subject = about["subject"]
        [material] = [one for code, _, one in self.courses.values() if subject.startswith(code)]
        wanted = {("course_result", "E2001"), ("course_report", "E2009")}
        return {
            "notify": lambda: wanted <= set(deliveries(self.system, subject)),
            "knowledge": lambda: _is_found(self.enterprise, material),
            "metrics": lambda: _more(self.system, before, "liaison_course_completions_total") == 1,
        }


@pytest.fixture(scope="module")
def completed(system: System, enterprise: Enterprise, articles: Mapping[str, str], breached: Story) -> Story:
    row = _Completed(enterprise)
    row.prepare()
    return stories.play(system, row)


def test_a_completion_reaches_the_learner_and_the_training_contact(
    system: System, completed: Story, mails: MailFolder
) -> None:
    assert completed.was_in_time("notify"), completed
    told = deliveries(system, completed.about["subject"])
    assert told[("course_result", "E2001")] == told[("course_report", "E2009")] == 1
    results = [mail for mail in mails.newest(1000) if address_of("E2001") in mail.to and "总账月结操作" in mail.subject]
    assert any("合并报表" in mail.text for mail in results), "the next step is named"


def test_a_completion_brings_its_materials_into_the_search_and_a_reading_list(
    system: System, enterprise: Enterprise, completed: Story
) -> None:
    assert completed.was_in_time("knowledge"), completed
    assert found(enterprise, "月结演示录像").count("月结演示录像") == 1
    [listed] = emitted(system, "knowledge", "answer.suggested", completed.about["subject"])
    assert [one["title"] for one in listed["suggestions"]] == ["总账打不开的处理步骤"]


def test_a_completion_counts_once_and_in_its_departments_ratio(system: System, completed: Story) -> None:
    assert completed.was_in_time("metrics"), completed
    assert _more(system, completed.before, "liaison_course_completions_total", first="true") == 1
    # E2001 has passed both courses, and E2009 has begun one.
    assert total(facts(system), "liaison_course_completion_ratio", department=FINANCE) == pytest.approx(2 / 3, abs=1e-6)


class _Given(Flow):
    """Somebody finds fault with an article, and with something that no article is about."""

    texts: ClassVar = {
        CALM: ("这篇少了截图", "班车时刻表一直没有更新"),
        KILLED: ("这篇少了一步", "食堂座位预约系统总是闪退"),
    }

    def __init__(self, enterprise: Enterprise, article: str) -> None:
        super().__init__(enterprise)
        self._article = article

    def publish(self, key: str) -> None:
        about, other = self.texts[key]
        said = {"text": about, "author": "E2001", "score": 3, "about_article": self._article}
        for ref, data in ((f"about-{key}", said), (f"other-{key}", {"text": other, "author": "E2001", "score": 1})):
            self.enterprise.publish("oa", "feedback.submitted", ref, data, externalref=ref)

    def learn(self, key: str) -> Mapping[str, str]:
        query = "select id, text from feedback where text = any(:texts)"
        texts = list(self.texts[key])
        rows = eventually(lambda: len(rows := self.system.rows("tickets", query, texts=texts)) == 2 and rows)
        ids = {row.text: str(row.id) for row in rows}
        return {"about": ids[texts[0]], "other": ids[texts[1]]}

    def effects(self, before: Mapping[str, float], **about: str) -> Mapping[str, Callable[[], Any]]:
        system, ids = self.system, about.values()
        [text] = [
            row.text for row in system.rows("tickets", "select text from feedback where id = :id", id=about["other"])
        ]
        return {
            "notify": lambda: all(len(deliveries(system, one)) == 2 for one in ids),
            "knowledge": lambda: _attached(system, about["about"]) and _unanswered(system, text),
            "metrics": lambda: _more(system, before, "liaison_feedback_received_total") == 2,
        }


@pytest.fixture(scope="module")
def given(system: System, enterprise: Enterprise, articles: Mapping[str, str], completed: Story) -> Story:
    return stories.play(system, _Given(enterprise, articles[LEDGER]))


def _attached(system: System, feedback_id: str) -> list[Any]:
    return system.rows("knowledge", "select article_id, score from article_feedback where id = :id", id=feedback_id)


def _unanswered(system: System, text: str) -> list[Any]:
    statement = "select count, example from missing_answer where kind = 'feedback' and example = :text"
    return system.rows("knowledge", statement, text=text)


def test_feedback_reaches_its_owner_and_its_author_gets_the_status(system: System, given: Story) -> None:
    assert given.was_in_time("notify"), given
    for one in ("about", "other"):
        told = deliveries(system, given.about[one])
        assert told == {("feedback_task", "E1001"): 1, ("feedback_receipt", "E2001"): 1}


def test_feedback_is_attached_to_its_article_or_becomes_a_missing_answer(
    system: System, articles: Mapping[str, str], given: Story
) -> None:
    assert given.was_in_time("knowledge"), given
    assert [tuple(row) for row in _attached(system, given.about["about"])] == [(articles[LEDGER], 3)]
    for _, other in _Given.texts.values():
        [missing] = _unanswered(system, other)
        assert missing.count == 1


def test_feedback_counts_once_by_class_and_by_score(system: System, enterprise: Enterprise, given: Story) -> None:
    assert given.was_in_time("metrics"), given
    before = given.before
    assert _more(system, before, "liaison_feedback_received_total", feedback_class="unclassified") == 2
    for score in ("1", "3"):
        assert _more(system, before, "liaison_feedback_scores_total", score=score) == 1
    # When one of the two is classified, it is counted under its class, and no longer under none
    enterprise.ask("POST", f"/v1/feedback/{given.about['other']}/classify", {"class": "improvable"})
    is_there = partial(_more, system, before, "liaison_feedback_answered_total", feedback_class="improvable")
    eventually(lambda: is_there() == 1, what="the class is counted")
    for feedback_class, more in (("improvable", 1), ("unclassified", 1)):
        assert _more(system, before, "liaison_feedback_open", feedback_class=feedback_class) == more


@pytest.mark.parametrize("row", ["opened", "breached", "completed", "given"])
def test_every_message_of_a_row_reaches_the_mail_server_once(
    system: System, mails: MailFolder, request: pytest.FixtureRequest, row: str
) -> None:
    wanted = stories.accepted(system, *request.getfixturevalue(row).subjects)
    assert wanted
    assert [one for one in stories.message_ids(mails) if one in wanted] == wanted


def test_nothing_else_reaches_the_mail_server(system: System, mails: MailFolder, given: Story) -> None:
    assert stories.message_ids(mails) == stories.accepted(system)
