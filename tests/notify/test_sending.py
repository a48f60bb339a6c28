"""One mail and its fate: tried again, refused, lost; promise 1 at the border to the outside."""

from __future__ import annotations

from email import message_from_bytes
from typing import Any

import httpx
import pytest

from contracts.notify import NotificationAccepted, NotificationFailed
from contracts.tickets import SlaBreached, SlaWarned, TicketOpened
from deploy.local.mailserver import DROP, KEEP, KEEP_AND_DROP, REFUSE, TRY_LATER
from tests.eventkit.desk import eventually
from tests.notify.office import Office, about, person, ticket_event


def row(office: Office) -> Any:
    [one] = office.rows("select * from delivery")
    return one


def warn(office: Office) -> None:
    """Have one mail sent by a rule that leaves unknown outcomes unknown."""
    office.knows(person("E2"))
    office.publish(ticket_event(about(SlaWarned)))


def breach(office: Office) -> None:
    """Have one mail sent by a rule that repeats after unknown outcomes."""
    office.knows(person("E2"))
    office.publish(ticket_event(about(SlaBreached, group_lead=None)))


def tried(office: Office, attempts: int) -> None:
    wanted = [(attempts, "pending")]
    eventually(lambda: office.rows("select attempts, state from delivery") == wanted, what=f"{attempts} tries")


def test_a_mail_that_is_put_off_is_tried_again_and_accepted_once(office: Office) -> None:
    office.verdicts = [TRY_LATER]
    office.start()
    warn(office)
    tried(office, 1)
    assert (row(office).code, row(office).reason) == (451, "451 4.3.0 try again later")
    assert 3 < office.one("select extract(epoch from due_at - now()) from eventkit.timer") <= 5
    office.fast_forward("send_mail")
    office.settled(1)
    assert (row(office).state, row(office).attempts, row(office).code) == ("accepted", 2, 250)
    assert len(office.kept()) == 1
    assert [kind for kind, _ in office.emitted()] == [NotificationAccepted.TYPE]


def test_a_mail_that_is_refused_for_good_fails_and_says_so(office: Office) -> None:
    office.verdicts = [REFUSE]
    office.start()
    warn(office)
    office.settled(1)
    [(kind, data)] = office.emitted()
    assert (row(office).state, row(office).attempts, row(office).code) == ("failed", 1, 550)
    assert (kind, data["outcome"], data["reason"]) == (NotificationFailed.TYPE, "failed", "550 5.1.1 no such mailbox")
    assert office.one("select count(*) from eventkit.timer") == 0


def test_a_mail_server_that_is_away_is_waited_for(office: Office) -> None:
    port, office.env["SMTP_URI"] = office.smtp_port, "smtp://127.0.0.1:1"
    office.start()
    warn(office)
    tried(office, 1)
    assert row(office).reason.startswith("ConnectionRefusedError")
    office.processes.pop().stop()
    office.env["SMTP_URI"] = f"smtp://127.0.0.1:{port}"
    office.start()
    office.fast_forward("send_mail")
    office.settled(1)
    assert row(office).state == "accepted"


def test_a_mail_is_given_up_after_a_day_of_trying(office: Office) -> None:
    office.verdicts = [TRY_LATER, TRY_LATER]
    office.start()
    warn(office)
    tried(office, 1)
    office.execute("update delivery set ready_at = ready_at - interval '24 h'")
    office.fast_forward("send_mail")
    office.settled(1)
    assert row(office).state == "failed"
    assert [data["outcome"] for _, data in office.emitted()] == ["failed"]


@pytest.mark.parametrize("verdict", [DROP, KEEP_AND_DROP])
def test_a_lost_answer_leaves_the_outcome_unknown(office: Office, verdict: Any) -> None:
    office.verdicts = [verdict]
    office.start()
    warn(office)
    office.settled(1)
    assert (row(office).state, row(office).attempts) == ("unknown", 1)
    [(kind, data)] = office.emitted()
    assert (kind, data["outcome"]) == (NotificationFailed.TYPE, "unknown")


def test_a_lost_answer_is_repeated_under_the_same_id_where_the_rule_says_so(office: Office) -> None:
    office.verdicts = [KEEP_AND_DROP]
    office.start()
    breach(office)
    tried(office, 1)
    office.fast_forward("send_mail")
    office.settled(1)
    assert (row(office).state, row(office).attempts, row(office).unclear_attempts) == ("accepted", 2, 1)
    ids = [message_from_bytes(mail.raw)["Message-ID"] for mail in office.kept()]
    assert ids == [f"<T-1.{row(office).id}@liaison.invalid>"] * 2


def test_answers_that_are_always_lost_do_not_fill_a_mailbox(office: Office) -> None:
    office.verdicts = [KEEP_AND_DROP] * 9
    office.start()
    breach(office)
    for attempts in (1, 2):
        tried(office, attempts)
        office.fast_forward("send_mail")
    office.settled(1)
    assert (row(office).state, len(office.kept())) == ("unknown", 3)


def test_what_was_perhaps_taken_once_is_never_called_failed(office: Office) -> None:
    office.verdicts = [KEEP_AND_DROP, REFUSE]
    office.start()
    breach(office)
    tried(office, 1)
    office.fast_forward("send_mail")
    office.settled(1)
    assert row(office).state == "unknown"


def crashed_while(office: Office, state: str) -> None:
    """Leave a delivery as a process leaves it that died during its call: claimed, and its lease over."""
    office.execute("update eventkit.timer set attempts = 1, running_until = now() - interval '1 s' where is_job")
    if state == "sending":
        office.execute("update delivery set state = 'sending', attempts = 1, tried_at = now()")


@pytest.mark.parametrize(
    ("begin", "at", "state", "mails"),
    [
        pytest.param(warn, "sending", "unknown", 0, id="left unknown"),
        pytest.param(breach, "sending", "accepted", 1, id="repeated"),
        pytest.param(warn, "pending", "accepted", 1, id="never begun, so nothing is unknown"),
    ],
)
def test_a_crash_during_the_call_ends_as_the_rule_says(
    office: Office, begin: Any, at: str, state: str, mails: int
) -> None:
    office.verdicts = [TRY_LATER]
    process = office.start()
    begin(office)
    tried(office, 1)
    process.stop()
    office.processes.remove(process)
    office.execute("update delivery set attempts = 0")
    office.execute("update eventkit.timer set due_at = now() where is_job")
    crashed_while(office, at)
    office.start()
    eventually(lambda: office.one("select count(*) from eventkit.timer where running_until is not null") == 0)
    office.fast_forward("send_mail")
    office.settled(1)
    assert (row(office).state, len(office.kept())) == (state, mails)


def test_somebody_who_left_between_two_tries_gets_nothing(office: Office) -> None:
    office.verdicts = [TRY_LATER]
    office.start()
    warn(office)
    tried(office, 1)
    office.knows(person("E2", version=2, active=False))
    office.fast_forward("send_mail")
    office.settled(1)
    assert (row(office).state, row(office).reason) == ("cancelled", "the person has left")
    assert office.emitted() == []


def test_an_address_that_went_away_is_waited_for_again(office: Office) -> None:
    office.verdicts = [TRY_LATER]
    office.start()
    warn(office)
    tried(office, 1)
    office.knows(person("E2", version=2, email=None))
    office.fast_forward("send_mail")
    eventually(lambda: office.states() == {"E2": "waiting_contact"})
    office.knows(person("E2", version=3, email="other@example.invalid"))
    office.settled(1)
    assert [to for to, _ in office.mailed()] == ["other@example.invalid"]


def test_a_process_that_was_frozen_during_its_call_does_not_overrule_what_came_since(office: Office) -> None:
    def freeze() -> Any:
        # Somebody else has meanwhile found the outcome lost and recorded it.
        office.execute("update delivery set state = 'unknown', settled_at = now()")
        office.execute("delete from eventkit.timer")
        return KEEP

    office.verdicts = [freeze]
    office.start()
    warn(office)
    eventually(lambda: len(office.kept()) == 1)
    office.publish(ticket_event(about(SlaWarned)))
    eventually(lambda: len(office.kept()) == 2)
    eventually(lambda: office.one("select count(*) from delivery where state = 'accepted'") == 1)
    assert office.one("select count(*) from delivery where state = 'unknown'") == 1
    assert len(office.emitted()) == 1


def test_a_message_that_has_been_settled_is_not_sent_by_a_job_that_is_left_over(office: Office) -> None:
    office.verdicts = [TRY_LATER]
    office.start()
    warn(office)
    tried(office, 1)
    office.execute("update delivery set state = 'cancelled', settled_at = now()")
    office.fast_forward("send_mail")
    eventually(lambda: office.one("select count(*) from eventkit.timer") == 0)
    assert (office.kept(), office.emitted(), office.states()) == ([], [], {"E2": "cancelled"})


def test_an_address_that_is_none_fails_at_once(office: Office) -> None:
    office.start()
    office.knows(person("E2", email="a,b@c>d"))
    office.publish(ticket_event(about(SlaWarned)))
    office.settled(1)
    assert row(office).state == "failed"


def test_a_title_can_break_neither_the_header_nor_the_end_of_the_mail(office: Office) -> None:
    office.start()
    office.knows(person("E1", name="王\r\nBcc: evil@example.invalid"), person("E2"))
    title = "打印机\r\nBcc: evil@example.invalid\r\n.\r\n坏了 {name} \u2028 x"
    office.publish(ticket_event(about(TicketOpened, title=title)))
    office.settled(2)
    assert len(office.kept()) == 2
    for mail in office.kept():
        assert message_from_bytes(mail.raw)["Bcc"] is None
        assert mail.subject.endswith("打印机 Bcc: evil@example.invalid . 坏了 {name} x")


def test_the_page_shows_what_is_under_way(office: Office) -> None:
    process = office.start()
    office.publish(ticket_event(about(SlaWarned)))
    eventually(lambda: office.states() == {"E2": "waiting_contact"})
    page = httpx.get(f"http://127.0.0.1:{process.page_port}/metrics", trust_env=False).text
    assert 'liaison_notify_pending{medium="mail",state="waiting_contact"} 1.0' in page
    assert 'liaison_notify_pending{medium="mail",state="pending"} 0.0' in page
    assert 'liaison_notify_oldest_pending_age_seconds{medium="mail",state="waiting_contact"}' in page
