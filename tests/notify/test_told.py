"""Learning, feedback and alerts: who is told, once, through the whole service on real servers."""

from __future__ import annotations

from email import message_from_bytes
from typing import Any

import pytest

from contracts.gateway import AlertFired, AlertResolved
from contracts.tickets import FeedbackAnswered, FeedbackAssigned, FeedbackReceived
from contracts.training import EnrolmentConfirmed, RetrainingAssigned
from contracts.words import ALERTS_SOURCE, LIAISON, FeedbackStatus, Severity
from deploy.local.mailserver import KEEP, TRY_LATER, Verdict
from eventkit.forgetting import forget
from services.notify.storage import FORGET
from tests.eventkit.desk import eventually, reported
from tests.notify.office import (
    DESK_MAIL,
    Office,
    about_alert,
    about_course,
    about_feedback,
    alert_event,
    person,
    suggested,
    suggestion_event,
    training_event,
)


def feedback_event(fact: Any) -> Any:
    return reported(fact, fact.feedback_id, source="/liaison/tickets")


def test_who_failed_learns_what_to_learn_again_and_so_does_the_contact(office: Office) -> None:
    office.start()
    office.knows(person("E5"), person("E6", language="en"))
    failed = training_event(about_course(RetrainingAssigned))
    office.publish(failed, failed)
    office.settled(2)
    texts = office.texts()
    assert "需要重新学习的内容：\n- 审批流\n- 表单" in texts["e5@example.invalid"]
    assert "员工E5 (E5) did not pass the course" in texts["e6@example.invalid"]
    assert len(office.kept()) == 2


def test_an_enrolment_is_confirmed_unless_only_its_completion_was_reported(office: Office) -> None:
    office.start()
    office.knows(person("E5"))
    known = training_event(about_course(EnrolmentConfirmed, reported=True))
    office.publish(known, training_event(about_course(EnrolmentConfirmed)))
    office.handled(known)
    office.settled(1)
    [mail] = office.kept()
    assert "请在此日期前完成：2026-04-30" in mail.text


def test_feedback_reaches_its_owner_and_its_named_author_gets_a_receipt(office: Office) -> None:
    office.start()
    office.knows(person("E7"), person("E8"))
    received = feedback_event(about_feedback(FeedbackReceived))
    office.publish(received, received)
    office.settled(2)
    assert office.mailed() == [
        ("e7@example.invalid", "[F-3] 您的反馈已受理"),
        ("e8@example.invalid", "[F-3] 有一条反馈由您跟进"),
    ]
    texts = office.texts()
    assert "打印太慢。\n请换打印机。" in texts["e8@example.invalid"]
    assert "跟进人：员工E8 (E8)" in texts["e7@example.invalid"]


def test_feedback_that_nobody_owns_goes_to_the_desk_and_an_anonymous_author_gets_nothing(office: Office) -> None:
    office.start()
    office.publish(feedback_event(about_feedback(FeedbackReceived, owner=None, author=None)))
    office.publish(feedback_event(about_feedback(FeedbackAssigned, owner=None, author=None)))
    office.settled(2)
    assert office.mailed() == [(DESK_MAIL, "[F-3] 反馈无人跟进")] * 2
    assert any("原因：原跟进人已离职" in mail.text for mail in office.kept())


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (FeedbackStatus.ACCEPTED, "已受理"),
        (FeedbackStatus.NEEDS_INFORMATION, "需补充信息"),
        (FeedbackStatus.RESOLVED, "已解决"),
    ],
)
def test_a_named_author_reads_the_status_and_the_answer(office: Office, status: FeedbackStatus, words: str) -> None:
    office.start()
    office.knows(person("E7"))
    answered = about_feedback(FeedbackAnswered, status=status, previous_status=None)
    office.publish(feedback_event(answered))
    office.settled(1)
    [mail] = office.kept()
    assert mail.subject == f"[F-3] 您的反馈{words}"
    assert "答复：新打印机下周到。" in mail.text


def test_an_alert_is_told_once_and_so_is_its_end(office: Office) -> None:
    office.start()
    fired, over = about_alert(AlertFired), about_alert(AlertResolved)
    # The doors drop repeats already; these are repeats under other ids.
    office.publish(alert_event(fired), alert_event(fired), alert_event(over), alert_event(over))
    office.settled(2)
    late = alert_event(fired)
    office.publish(late)
    office.handled(late)
    assert office.mailed() == [(DESK_MAIL, "[告警 严重] OutboxStuck"), (DESK_MAIL, "[告警解除] OutboxStuck")]
    importance = {mail.subject: message_from_bytes(mail.raw)["Importance"] for mail in office.kept()}
    assert importance == {"[告警 严重] OutboxStuck": "high", "[告警解除] OutboxStuck": None}
    assert all("处理手册：deploy/RUNBOOK.md#outboxstuck" in mail.text for mail in office.kept())


def test_the_end_of_an_alert_that_nobody_was_told_of_is_not_told(office: Office) -> None:
    office.start()
    over = alert_event(about_alert(AlertResolved))
    office.publish(over)
    office.handled(over)
    assert office.one("select count(*) from delivery") == 0


def test_an_alert_that_begins_again_is_told_again(office: Office) -> None:
    office.start()
    first = about_alert(AlertFired, severity=Severity.WARNING)
    again = about_alert(AlertFired, severity=Severity.WARNING, starts_at=about_alert(AlertResolved).ended_at)
    office.publish(alert_event(first), alert_event(again))
    office.settled(2)
    assert [message_from_bytes(mail.raw)["Importance"] for mail in office.kept()] == [None, None]
    assert office.rows("select distinct priority from delivery") == [(2,)]


def test_neither_the_watchdog_nor_that_our_mails_fail_is_a_mail(office: Office) -> None:
    office.start()
    quiet = [
        alert_event(about_alert(AlertFired, alert=name, about=LIAISON, fingerprint=name), source=ALERTS_SOURCE)
        for name in ("Watchdog", "DeliveriesFailing")
    ]
    office.publish(*quiet)
    for one in quiet:
        office.handled(one)
    assert office.one("select count(*) from delivery") == 0
    assert office.one("select count(*) from alert") == 0


def test_about_ourselves_nothing_is_told_while_mails_do_not_get_out(office: Office) -> None:
    office.start()
    about_us = [about_alert(AlertFired, service="notify", fingerprint=f"n{n}") for n in (1, 2)]
    office.publish(alert_event(about_us[0]))
    office.settled(1)
    office.execute("update delivery set state = 'pending', attempts = 2, settled_at = null")
    second = alert_event(about_us[1])
    office.publish(second)
    office.handled(second)
    assert office.one("select count(*) from delivery") == 1


def test_what_was_told_of_a_forgotten_person_is_gone(office: Office) -> None:
    office.start()
    office.knows(person("E5"), person("E6"), person("E7"), person("E8"))
    office.publish(feedback_event(about_feedback(FeedbackReceived)))
    office.settled(2)
    office.publish(suggestion_event(suggested("T-9", person="E7")))
    eventually(lambda: office.one("select count(*) from companion") == 1)
    assert "打印太慢" in whole(office)
    forget(office.engine, "E7", FORGET)
    assert "打印太慢" not in whole(office)
    assert "员工E7" not in whole(office)


def test_what_others_are_still_to_be_told_of_a_forgotten_person_goes_once_they_are(office: Office) -> None:
    # Given a mail server that is away while E8 is to hear what E7 said, and E7 to have a receipt
    office.verdicts = [TRY_LATER, TRY_LATER]
    office.start()
    office.knows(person("E7"), person("E8"))
    office.publish(feedback_event(about_feedback(FeedbackReceived)))
    eventually(lambda: office.one("select count(*) from delivery where state = 'pending' and attempts = 1") == 2)
    # When E7 is erased
    forget(office.engine, "E7", FORGET)
    # Then E8 still hears it when the server is back, and nothing of it stays
    office.fast_forward("send_mail")
    office.settled(2)
    assert office.states() == {"E7": "cancelled", "E8": "accepted"}
    assert "打印太慢" in office.texts()["e8@example.invalid"]
    assert "打印太慢" not in whole(office)


@pytest.mark.parametrize(
    ("verdict", "mails"), [pytest.param(KEEP, 1, id="it goes out"), pytest.param(TRY_LATER, 0, id="it is put off")]
)
def test_a_message_that_is_being_sent_to_a_forgotten_person_leaves_no_text(
    office: Office, verdict: Verdict, mails: int
) -> None:
    def forget_meanwhile() -> Verdict:
        forget(office.engine, "E7", FORGET)
        return verdict

    office.verdicts = [forget_meanwhile]
    office.start()
    office.knows(person("E7"))
    office.publish(feedback_event(about_feedback(FeedbackAnswered)))
    office.settled(1)
    assert (office.states(), "新打印机" in whole(office)) == ({"E7": "unknown"}, False)
    eventually(lambda: office.one("select count(*) from eventkit.timer") == 0, what="no call is left to be made")
    assert (office.states(), "新打印机" in whole(office)) == ({"E7": "unknown"}, False)
    assert len(office.kept()) == mails


def whole(office: Office) -> str:
    """Return everything in our own tables as one text."""
    rows = office.rows(
        "select to_jsonb(d)::text || convert_from(about_data, 'UTF8') as row from delivery d union all"
        " select to_jsonb(p)::text from person p union all select convert_from(data, 'UTF8') from companion"
    )
    return " ".join(row.row for row in rows)
