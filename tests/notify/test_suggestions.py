"""A receipt waits a moment for what may help; it goes once, with or without it, whichever event comes first."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from contracts.knowledge import SuggestedFor, Suggestion
from contracts.tickets import TicketOpened
from contracts.training import CourseCompleted
from deploy.local.mailserver import KEEP, TRY_LATER, Verdict
from eventkit.envelope import Event
from eventkit.work import Work
from services.notify import usecases
from services.notify.rules import LEASE_S
from services.notify.settings import Settings
from services.notify.storage import NotifyStore
from tests.eventkit.desk import eventually, reported
from tests.notify.office import (
    Office,
    about,
    about_course,
    person,
    suggested,
    suggestion_event,
    ticket_event,
    training_event,
)

LINK = "https://desk.invalid/v1/articles/A-1"
#: Long enough that no test confuses having waited to the end with having been given what it waited for.
PATIENT_S = 40


@pytest.fixture
def patient(office: Office, tmp_path: Path) -> Office:
    """Notify whose receipts wait so long that only what they wait for can set them going."""
    shipped = Path(Settings.__module__.replace(".", "/")).parent / "rules" / "notify.yaml"
    rules = tmp_path / "patient.yaml"
    rules.write_text(shipped.read_text("utf-8").replace("at_most_s: 3", f"at_most_s: {PATIENT_S}"), "utf-8")
    office.env["LIAISON_NOTIFY_RULES"] = str(rules)
    office.env["LIAISON_URL"] = "https://desk.invalid"
    return office


def receipts(office: Office) -> list[str]:
    return [mail.text.replace("\r", "") for mail in office.kept() if mail.to == ("e1@example.invalid",)]


def test_a_receipt_goes_with_suggestions_as_soon_as_they_come_and_the_task_does_not_wait(patient: Office) -> None:
    patient.start()
    patient.knows(person("E1"), person("E2"))
    patient.publish(ticket_event(about(TicketOpened)))
    eventually(lambda: patient.states() == {"E1": "pending", "E2": "accepted"})
    assert receipts(patient) == []
    answer = suggestion_event(suggested())
    patient.publish(answer, answer)
    patient.settled(2)
    [receipt] = receipts(patient)
    assert "T-1" in receipt
    assert "解决不晚于：2026-03-02 20:30" in receipt
    assert f"1. 打印机 不出纸\n   {LINK}\n2. 更换墨盒\n   https://desk.invalid/v1/articles/A-2\n" in receipt


def test_a_receipt_numbers_three_suggestions_in_their_order(patient: Office) -> None:
    patient.start()
    patient.knows(person("E1"), person("E2"))
    three = [Suggestion(article_id=f"A-{n}", title=f"文章{n}", url=f"/v1/articles/A-{n}") for n in (7, 3, 5)]
    patient.publish(ticket_event(about(TicketOpened)), suggestion_event(suggested(suggestions=tuple(three))))
    patient.settled(2)
    [receipt] = receipts(patient)
    assert re.findall(r"^(\d\. .+)$", receipt, re.MULTILINE) == ["1. 文章7", "2. 文章3", "3. 文章5"]


def test_suggestions_that_come_before_the_ticket_are_in_its_receipt(patient: Office) -> None:
    patient.start()
    patient.knows(person("E1"), person("E2"))
    answer = suggestion_event(suggested())
    patient.publish(answer)
    patient.handled(answer)
    patient.publish(ticket_event(about(TicketOpened)))
    patient.settled(2)
    assert [LINK in receipt for receipt in receipts(patient)] == [True]


@pytest.mark.parametrize("ticket_first", [True, False])
def test_ticket_and_suggestions_in_one_batch_meet_in_either_order(patient: Office, ticket_first: bool) -> None:
    patient.publish(*[_told(one) for one in (person("E1"), person("E2"))])
    pair = [ticket_event(about(TicketOpened)), suggestion_event(suggested())]
    patient.publish(*(pair if ticket_first else pair[::-1]))
    patient.start()
    patient.settled(2)
    assert [LINK in receipt for receipt in receipts(patient)] == [True]


def _told(fact: Any) -> Event[Any]:
    return reported(fact, fact.employee_number, source="/hr")


def test_that_nothing_was_found_is_an_answer_too(patient: Office) -> None:
    patient.start()
    patient.knows(person("E1"), person("E2"))
    patient.publish(ticket_event(about(TicketOpened)), suggestion_event(suggested(suggestions=(), searched=False)))
    patient.settled(2)
    [receipt] = receipts(patient)
    assert "文章" not in receipt


def test_without_an_answer_the_receipt_goes_after_three_seconds_and_a_late_one_changes_nothing(office: Office) -> None:
    office.start()
    office.knows(person("E1"), person("E2"))
    office.publish(ticket_event(about(TicketOpened)))
    office.settled(2)
    waited_s = office.one("select extract(epoch from tried_at - created_at) from delivery where rule = 'receipt'")
    assert 3 <= waited_s < 5
    [receipt] = receipts(office)
    assert "文章" not in receipt
    late = suggestion_event(suggested())
    office.publish(late)
    office.handled(late)
    assert len(receipts(office)) == 1
    assert office.one("select count(*) from companion") == 0
    assert office.one("select count(*) from eventkit.timer") == 0


def test_suggestions_for_another_ticket_or_for_a_course_of_that_name_do_not_set_a_receipt_going(
    patient: Office,
) -> None:
    patient.start()
    patient.knows(person("E1"), person("E2"))
    others = [
        suggestion_event(suggested("T-2")),
        suggestion_event(suggested("T-1", suggested_for=SuggestedFor.COURSE)),
        suggestion_event(suggested("T-1", suggested_for=SuggestedFor.OTHER)),
    ]
    patient.publish(ticket_event(about(TicketOpened)), *others)
    for other in others:
        patient.handled(other)
    assert patient.states()["E1"] == "pending"
    patient.publish(suggestion_event(suggested()))
    patient.settled(2)
    assert len(receipts(patient)) == 1


def test_a_requester_whose_address_comes_late_gets_the_suggestions_too(patient: Office) -> None:
    patient.start()
    patient.knows(person("E2"))
    patient.publish(ticket_event(about(TicketOpened)), suggestion_event(suggested()))
    eventually(lambda: patient.states() == {"E1": "waiting_contact", "E2": "accepted"})
    patient.knows(person("E1"))
    patient.settled(2)
    assert [LINK in receipt for receipt in receipts(patient)] == [True]


def test_a_receipt_that_was_put_off_is_not_hurried_by_suggestions(patient: Office) -> None:
    patient.start()
    patient.knows(person("E1"))
    patient.verdicts = [KEEP, TRY_LATER]
    patient.publish(ticket_event(about(TicketOpened, assignee=None)))
    eventually(lambda: len(patient.kept()) == 1)
    patient.fast_forward("send_mail")
    eventually(lambda: patient.rows("select 1 from delivery where state = 'pending' and attempts = 1"))
    due = patient.one("select due_at from eventkit.timer")
    answer = suggestion_event(suggested())
    patient.publish(answer)
    patient.handled(answer)
    assert patient.one("select due_at from eventkit.timer") == due


def test_suggestions_that_come_too_late_do_not_put_a_receipt_behind_what_came_meanwhile(patient: Office) -> None:
    book = Settings.from_env(patient.env).rules

    def use(told: Any) -> None:
        with patient.engine.begin() as connection:
            now = connection.execute(text("select now()")).scalar_one()
            work = Work(connection, source="/liaison/notify", now=now)
            told(NotifyStore(work))
            work.flush()

    # Given a receipt whose wait ended long ago, and that nobody has got round to sending
    use(lambda store: usecases.take_person(store, person("E1")))
    use(lambda store: usecases.tell(store, book, ticket_event(about(TicketOpened, assignee=None))))
    for table, moment in (("delivery", "waits_until"), ("eventkit.timer", "due_at")):
        patient.execute(f"update {table} set {moment} = '2026-03-02T09:00Z' where {moment} is not null")
    before = patient.rows("select id, due_at from eventkit.timer order by id")
    # When its suggestions come after all
    use(lambda store: usecases.take_suggestions(store, suggestion_event(suggested())))
    # Then it has them, and its place
    assert patient.one("select count(*) from delivery where companion_data is not null") == 1
    assert patient.rows("select id, due_at from eventkit.timer order by id") == before


def test_what_nobody_waits_for_is_not_kept_for_ever_and_never_with_the_person(patient: Office) -> None:
    patient.start()
    nobody = suggestion_event(suggested("T-8", person=None))
    early = suggestion_event(suggested("T-9"))
    patient.publish(nobody, early)
    patient.handled(early)
    patient.handled(nobody)
    [row] = patient.rows("select id, convert_from(data, 'UTF8') as data from companion")
    assert row.id == "liaison.answer.suggested.v1 liaison.ticket.opened.v1 T-9"
    assert "E1" not in row.data
    patient.execute("update companion set came_at = came_at - interval '1 hour'")
    patient.publish(suggestion_event(suggested("T-10")))
    eventually(lambda: [row.id[-4:] for row in patient.rows("select id from companion")] == ["T-10"])


def test_history_gives_nobody_suggestions(patient: Office) -> None:
    patient.start()
    old = suggestion_event(suggested(), history=True)
    patient.publish(old)
    patient.handled(old)
    assert patient.one("select count(*) from companion") == 0


def test_both_events_at_the_same_moment_in_two_replicas_meet_in_the_mail(patient: Office) -> None:
    book = Settings.from_env(patient.env).rules

    def transaction(use: Any) -> tuple[Any, Any]:
        connection = patient.engine.connect()
        begun = connection.begin()
        now = connection.execute(text("select now()")).scalar_one()
        work = Work(connection, source="/liaison/notify", now=now)
        use(NotifyStore(work))
        work.flush()
        return connection, begun

    # Neither sees what the other has written.
    both = [
        transaction(lambda store: usecases.tell(store, book, ticket_event(about(TicketOpened, assignee=None)))),
        transaction(lambda store: usecases.take_suggestions(store, suggestion_event(suggested()))),
    ]
    for connection, begun in both:
        begun.commit()
        connection.close()
    patient.start()
    patient.knows(person("E1"))
    patient.fast_forward("send_mail")
    patient.settled(2)
    assert [LINK in receipt for receipt in receipts(patient)] == [True]


def test_suggestions_that_come_while_the_receipt_is_being_sent_make_no_second_one(patient: Office) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def wait() -> Verdict:
        arrived.set()
        go_on.wait(30)
        return KEEP

    patient.start()
    patient.knows(person("E1"))
    patient.verdicts = [KEEP, wait]
    patient.publish(ticket_event(about(TicketOpened, assignee=None)))
    eventually(lambda: len(patient.kept()) == 1)
    patient.fast_forward("send_mail")
    assert arrived.wait(15)
    answer = suggestion_event(suggested())
    patient.publish(answer)
    patient.handled(answer)
    go_on.set()
    patient.settled(2)
    assert len(receipts(patient)) == 1
    assert patient.one("select count(*) from eventkit.timer") == 0


@pytest.mark.parametrize(("since_s", "state"), [(0.0, "sending"), (LEASE_S, "unknown")])
def test_a_receipt_whose_process_died_is_not_lost_although_its_job_was_armed_anew(
    patient: Office, since_s: float, state: str
) -> None:
    """The job was claimed, then armed anew by the suggestions, then the delivery was taken, then the process died."""
    process = patient.start()
    patient.knows(person("E1"))
    process.stop()
    patient.processes.remove(process)
    with patient.engine.begin() as connection:
        now = connection.execute(text("select now()")).scalar_one()
        work = Work(connection, source="/liaison/notify", now=now)
        fact = ticket_event(about(TicketOpened, assignee="E1", requester=None))
        usecases.tell(NotifyStore(work), Settings.from_env(patient.env).rules, fact)
        work.flush()
    patient.execute(
        "update delivery set state = 'sending', attempts = 1, tried_at = now() - make_interval(secs => :s)", s=since_s
    )
    patient.start()
    if state == "unknown":
        patient.settled(1)
    else:
        due = "select extract(epoch from due_at - now()) from eventkit.timer"
        eventually(lambda: LEASE_S - 20 < patient.one(due) <= LEASE_S)
    assert (patient.states(), patient.kept()) == ({"E1": state}, [])


def test_the_result_of_a_course_goes_with_its_reading_list_and_the_contact_is_told_at_once(patient: Office) -> None:
    patient.start()
    patient.knows(person("E5"), person("E6"))
    done = training_event(about_course(CourseCompleted))
    patient.publish(done, done)
    eventually(lambda: patient.states() == {"E5": "pending", "E6": "accepted"})
    patient.publish(suggestion_event(suggested("C-7/E5", suggested_for=SuggestedFor.COURSE, person="E5")))
    patient.settled(2)
    texts = patient.texts()
    assert "成绩：92%" in texts["e5@example.invalid"]
    assert "下一步，请学习课程：OA 流程进阶 (C-8)" in texts["e5@example.invalid"]
    assert f"延伸阅读：\n1. 打印机 不出纸\n   {LINK}" in texts["e5@example.invalid"]
    assert "员工E5 (E5) 已完成课程" in texts["e6@example.invalid"]
    assert len(patient.kept()) == 2
