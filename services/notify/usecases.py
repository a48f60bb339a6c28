"""What notify does: decide who is told, reach them, and keep what came of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from contracts.fact import Fact
from contracts.gateway import AlertFired, AlertResolved, PersonChanged
from contracts.knowledge import AnswerSuggested
from contracts.notify import Medium, NotificationAccepted, NotificationFailed
from eventkit.envelope import Event, encode_data
from services.notify import rules
from services.notify.rules import DESK, Answer, RuleBook, Said, State
from services.notify.values import Reader, values_of
from services.notify.wording import FALLBACK_ZONE, FORWARDED, Letter, one_line, render, zone_of

if TYPE_CHECKING:
    from services.notify.channels import MailChannel
    from services.notify.pending import PendingDeliveries, Taken
    from services.notify.settings import Settings
    from services.notify.storage import NotifyStore

_THREAD = re.compile(r"[A-Za-z0-9-]{1,40}")
#: From this priority on, up to 1, a mail is marked as important.
URGENT = 1


def load_recipients(store: NotifyStore, book: RuleBook, events: Sequence[Event[Any]]) -> None:
    """Read everybody whom these events of one type may concern, and what came early for their messages.

    One statement, one more where managers are told, one more where a message waits for another event.
    """
    live = [event for event in events if not _is_past(event)]
    if live and (waited_for := rules.waited_for(book[live[0].type])):
        store.load_early(live, waited_for)
    store.load_people({number for event in live for number in rules.people_named(event.data)})
    managed = (event.data.assignee for event in live if rules.manager_matters(book[event.type]))
    holders = (store.person(number) for number in dict.fromkeys(managed) if number)
    store.load_people({holder.manager for holder in holders if holder and holder.manager})


def tell(store: NotifyStore, book: RuleBook, event: Event[Any]) -> None:
    """Decide who is told of an event and have it sent. History tells nobody (design: History)."""
    if _is_past(event) or store.has_told(event):
        return

    def manager_of(number: str) -> str | None:
        holder = store.person(number)
        return holder.manager if holder else None

    for (recipient, _), rule in rules.recipients(book[event.type], event.data, manager_of, event.actor).items():
        state, reason = rules.readiness(recipient, None if recipient == DESK else store.person(recipient))
        row = store.add_delivery(event, rule, recipient, state, reason)
        if state is State.PENDING:
            store.have_sent(row)
        elif state is State.WAITING_CONTACT:
            store.wait_for_contact(row, store.now + rules.CONTACT_WAIT)


def tell_of_alert(store: NotifyStore, book: RuleBook, event: Event[Any]) -> None:
    """Tell of an alert: once when it begins, and of its end if its beginning was told."""
    fact: AlertFired | AlertResolved = event.data
    if _is_past(event):
        return
    if isinstance(fact, AlertResolved):
        is_news = store.end_alert(fact)
    else:
        is_news = rules.is_ours_to_tell(fact, store.is_failing) and store.begin_alert(fact)
    if is_news:
        tell(store, book, event)


def load_waiting(store: NotifyStore, events: Sequence[Event[AnswerSuggested]]) -> None:
    """Lock and read in one go the messages that wait for these events."""
    store.load_waiting(AnswerSuggested.TYPE, [event.data.about_subject for event in events])


def take_suggestions(store: NotifyStore, event: Event[AnswerSuggested]) -> None:
    """Put what was suggested into the message that waits for it, or keep it for one that is yet to come.

    A message that has gone, or was tried, went without. What was suggested for nobody is waited for by nobody.
    """
    fact = event.data
    about = rules.belongs_to(fact)
    if about is None or fact.person is None or _is_past(event):
        return
    data = encode_data(msgspec.structs.replace(fact, person=None))
    waiters = store.waiters(event.type, *about)
    if not waiters:
        store.keep_early(event.type, *about, data)
    for row in waiters:
        if row["state"] in (State.PENDING, State.WAITING_CONTACT) and not row["attempts"]:
            complete = store.give(row, data)
            if complete["state"] == State.PENDING:
                # Where more is to be sent than can be, whoever waited in vain does not go behind what came later.
                store.have_sent(complete, min(store.now, row["waits_until"]))


def _is_past(event: Event[Any]) -> bool:
    return event.history or bool(getattr(event.data, "retroactive", False))


def take_person(store: NotifyStore, fact: PersonChanged) -> None:
    """Keep a person's newest state and send what waited for it."""
    store.load_changing([fact.employee_number])
    if not store.save_person(fact):
        return
    for row in store.waiting_for(fact.employee_number):
        _ready_or_not(store, row)


def give_up_waiting(store: NotifyStore, delivery_id: str) -> None:
    """Send the desk what still waits for its recipient's address, with a note for whom it was."""
    row = store.delivery(delivery_id)
    if row is None or row["state"] != State.WAITING_CONTACT:
        return
    if not _ready_or_not(store, row):
        row = store.change(row, State.PENDING, "sent to the desk instead", by_desk=True, ready_at=store.now)
        store.have_sent(row)


def _ready_or_not(store: NotifyStore, row: dict[str, Any]) -> bool:
    """Move a waiting delivery on if its recipient can be reached, or has left; tell whether it moved."""
    state, reason = rules.readiness(row["recipient"], store.person(row["recipient"]))
    if state is State.WAITING_CONTACT:
        return False
    store.stop_waiting(row)
    if state is State.CANCELLED:
        store.change(row, state, reason, settled_at=store.now)
    else:
        store.have_sent(store.change(row, state, reason, ready_at=store.now))
    return True


def send(pending: PendingDeliveries, settings: Settings, channel: MailChannel, delivery_id: str) -> Answer:
    """Make the call for one delivery, outside any transaction of the service, and say what came of it.

    The recipient is looked at again: somebody who has left since gets nothing.
    """
    taken = pending.take(delivery_id)
    if taken is None:
        return Answer(Said.NOTHING)
    contact = taken.people.get(taken.recipient)
    state, reason = (State.PENDING, "") if taken.by_desk else rules.readiness(taken.recipient, contact)
    if state is State.CANCELLED:
        return Answer(Said.LEFT, reason=reason, attempt=taken.attempts)
    if state is State.WAITING_CONTACT:
        return Answer(Said.NO_ADDRESS, reason=reason, attempt=taken.attempts)
    try:
        letter = written(taken, settings, channel.domain)
    except Exception as error:  # A fault of the words is ours to mend; the message is kept and tried again.
        return Answer(Said.LATER, reason=f"no text: {type(error).__name__}", attempt=taken.attempts)
    answer = channel.send(letter)
    return Answer(answer.said, answer.code, answer.reason, taken.attempts)


def written(taken: Taken, settings: Settings, domain: str) -> Letter:
    """Return the mail of a delivery, in its reader's language and time zone."""
    languages = settings.languages
    contact = None if taken.by_desk else taken.people.get(taken.recipient)
    language = languages.best(contact.language if contact else "")
    none = language.words["none"]

    def called(number: str) -> str:
        known = taken.people.get(number)
        return f"{one_line(known.name)} ({number})" if known else number

    zone = zone_of(contact.time_zone if contact else FALLBACK_ZONE)
    recipient = "" if taken.by_desk else taken.recipient
    reader = Reader(language, zone, called, settings.url, recipient, settings.links)
    values = (values_of(taken.companion, reader) if taken.companion else {}) | values_of(taken.about, reader)
    values["name"] = one_line(contact.name) if contact else language.words["desk"]
    subject, text = render(languages.template(language, taken.template), values, none)
    if taken.by_desk:
        values |= {"recipient": called(taken.recipient), "subject": subject, "text": text}
        subject, text = render(languages.template(language, FORWARDED), values, none)
    return Letter(
        message_id=f"<{_thread_of(taken.about)}{taken.id}@{domain}>",
        to_name=values["name"],
        to_address=contact.email if contact and contact.email else settings.desk_mail,
        subject=subject,
        text=text,
        is_urgent=taken.priority <= URGENT,
    )


def _thread_of(about: Fact) -> str:
    """Return how a Message-ID names the ticket of a mail, so that an answer to it finds the ticket again (T1)."""
    number = getattr(about, "number", None)
    return f"{number}." if number and _THREAD.fullmatch(number) else ""


def record(store: NotifyStore, delivery_id: str, answer: Answer, *, interrupted: bool = False) -> None:
    """Keep what came of a call, tell of it, and have it made again where that is right."""
    row = store.delivery(delivery_id)
    # A process that was frozen comes back with an old answer; its delivery has moved on without it.
    if row is None or answer.attempt not in (0, row["attempts"]):
        return
    if answer.said is Said.NOTHING:
        answer = _left_over(store, row, interrupted=interrupted)
        if answer.said is Said.NOTHING:
            return
    if row["state"] == State.PENDING:
        # The call was claimed and never begun: the process died, or could not reach the database.
        store.have_sent(row, store.now + rules.retry_delay(1))
        return
    if row["state"] != State.SENDING:
        return
    unclear = row["unclear_attempts"] + (answer.said is Said.UNCLEAR)
    since = row["ready_at"] or row["created_at"]
    tries = rules.Tries(row["attempts"], unclear, rules.AfterCrash(row["after_crash"]), since)
    step = rules.next_step(answer.said, tries, store.now)
    settled_at = None if step.state in (State.PENDING, State.WAITING_CONTACT) else store.now
    row = store.change(
        row, step.state, answer.reason, code=answer.code, unclear_attempts=unclear, settled_at=settled_at
    )
    if step.state is State.PENDING:
        store.have_sent(row, step.again_at)
    elif step.state is State.WAITING_CONTACT:
        store.wait_for_contact(row, store.now + rules.CONTACT_WAIT)
    elif step.state is not State.CANCELLED:
        store.announce(row, _outcome(store, row))


def _left_over(store: NotifyStore, row: dict[str, Any], *, interrupted: bool) -> Answer:
    """Return what a call that found nothing to send means.

    After a crash nobody knows what came of the first call. A job that was armed anew while its call ran, since what
    it waited for had come, is called a second time, too. It must outlast the first call: if that one's process dies,
    nobody else would notice.
    """
    if row["state"] == State.SENDING:
        ends_at = row["tried_at"] + timedelta(seconds=rules.LEASE_S)
        if interrupted or store.now >= ends_at:
            return Answer(Said.UNCLEAR, reason="the process died during the call", attempt=row["attempts"])
        store.have_sent(row, ends_at)
    return Answer(Said.NOTHING)


def _outcome(store: NotifyStore, row: dict[str, Any]) -> Fact:
    about: dict[str, Any] = {
        "delivery_id": row["id"],
        "medium": Medium(row["medium"]),
        "rule": row["rule"],
        "about_type": row["about_type"],
        "about_subject": row["about_subject"],
        "priority": row["priority"],
        "recipient": None if row["recipient"] == DESK else row["recipient"],
        "by_desk": row["by_desk"],
    }
    if row["state"] == State.ACCEPTED:
        delay_s = max((store.now - row["arrived_at"]).total_seconds(), 0.0)
        return NotificationAccepted(**about, delay_s=delay_s)
    return NotificationFailed(**about, outcome=row["state"], reason=row["reason"])
