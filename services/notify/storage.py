"""What notify reads and writes in a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import any_, delete, select, text

from contracts.fact import Fact
from contracts.gateway import AlertFired, AlertResolved, PersonChanged
from eventkit.envelope import Event, encode_data, new_id, partitionkey_of
from eventkit.work import Row, Work, array_of
from services.notify.rules import (
    ALERT_KEPT,
    EARLY_KEPT,
    Contact,
    Rule,
    State,
    occurrence_of,
    people_named,
)
from services.notify.tables import alert, companion, delivery, metadata, person

__all__ = ["FORGET", "NotifyStore", "companion_id", "metadata"]

#: Locks that keep `we wait for this person` and `this person is known now` from missing each other.
_CONTACT_LOCKS = 64
_CONTACT_LOCK_SPACE = 0x11A16
#: A repeat that comes after the inbox has forgotten its event is found by our own rows (design: kept).
_INBOX_KEPT = timedelta(days=30)
#: What is left of a message's text when it is erased.
FORGOTTEN = b"{}"


class NotifyStore:
    """What one transaction of notify reads and writes."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._people: dict[str, Contact | None] = {}
        self._waiting_read: set[str] = set()
        self._companions_read: set[str] = set()
        self._waiters: dict[str, list[str]] = {}
        self._locked: set[str] = set()

    @property
    def now(self) -> datetime:
        """The transaction's moment by the database's clock."""
        return self._work.now

    def load_people(self, numbers: Iterable[str]) -> None:
        """Read these people, in one statement unless somebody is unknown."""
        wanted = {number for number in numbers if number not in self._people}
        if not wanted:
            return
        self._read_people(wanted)
        if unknown := wanted - self._people.keys():
            # Somebody who becomes known right now is seen here, or else will see the deliveries that wait.
            self._lock_contacts(unknown, shared=True)
            self._read_people(unknown)
            self._people |= dict.fromkeys(unknown - self._people.keys())

    def _read_people(self, numbers: Iterable[str]) -> None:
        among = person.c.employee_number == any_(array_of(person, "employee_number", list(numbers)))
        for row in self._work.connection.execute(select(*_CONTACT).where(among)):
            self._people[row.employee_number] = Contact(*row)

    def _lock_contacts(self, numbers: Iterable[str], *, shared: bool) -> None:
        wanted = [f"{number} {shared}" for number in numbers]
        if all(one in self._locked for one in wanted):
            return
        self._locked.update(wanted)
        lock = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        self._work.connection.execute(
            text(
                f"select {lock}(:space, slot) from (select distinct abs(hashtext(number) % :slots) as slot"
                " from unnest(cast(:numbers as text[])) as n (number) order by slot offset 0) as slots"
            ),
            {"space": _CONTACT_LOCK_SPACE, "slots": _CONTACT_LOCKS, "numbers": list(numbers)},
        )

    def person(self, number: str) -> Contact | None:
        """Return what is known of somebody."""
        self.load_people([number])
        return self._people[number]

    def load_changing(self, numbers: Sequence[str]) -> None:
        """Lock and read people who change, and the deliveries that wait for them."""
        self._lock_contacts(numbers, shared=False)
        self._work.rows(person).preload(numbers)
        unread = [number for number in numbers if number not in self._waiting_read]
        if unread:
            self._waiting_read.update(unread)
            among = delivery.c.recipient == any_(array_of(delivery, "recipient", unread))
            self._work.rows(delivery).find(among & (delivery.c.state == State.WAITING_CONTACT.value))

    def save_person(self, fact: PersonChanged) -> bool:
        """Keep what we need of a person's state. Returns False when it is no newer than what is kept."""
        rows = self._work.rows(person)
        values = {name: getattr(fact, name) for name in (*Contact.__dataclass_fields__, "version")}
        row = rows.get(fact.employee_number)
        if row is None:
            rows.add(**values)
        elif row["version"] < fact.version:
            rows.change(row, **values)
        else:
            return False
        self._know(Contact(**{name: values[name] for name in Contact.__dataclass_fields__}))
        return True

    def _know(self, contact: Contact) -> None:
        number = contact.employee_number
        known, before = number in self._people, self._people.get(number)
        self._people[number] = contact

        def undo() -> None:
            if known:
                self._people[number] = before
            else:
                del self._people[number]

        self._work.on_undo(undo)

    def waiting_for(self, number: str) -> list[Row]:
        """Return the deliveries that wait for somebody's address."""
        rows = self._work.rows(delivery).seen()
        return [row for row in rows if row["recipient"] == number and row["state"] == State.WAITING_CONTACT]

    def has_told(self, event: Event[Any]) -> bool:
        """Tell whether an event that is older than the inbox's memory has led to deliveries before."""
        if self.now - event.time < _INBOX_KEPT:
            return False
        found = select(delivery.c.id).where(delivery.c.source == event.source, delivery.c.event_id == event.id)
        return self._work.connection.execute(found.limit(1)).first() is not None

    def add_delivery(self, event: Event[Any], rule: Rule, recipient: str, state: State, reason: str) -> Row:
        """Add a delivery in its first state, with what it waits for if that is here already."""
        now = self.now
        early = self._early(rule.waits_for, event.type, event.subject) if rule.waits_for else None
        row = self._work.rows(delivery).add(
            id=new_id(),
            source=event.source,
            event_id=event.id,
            recipient=recipient,
            medium=rule.medium.value,
            rule=rule.name,
            template=rule.template,
            priority=rule.priority,
            after_crash=rule.after_crash.value,
            about_type=event.type,
            about_subject=event.subject,
            about_data=encode_data(event.data),
            people=sorted(people_named(event.data) | ({event.actor} if event.actor else set())),
            forget_text=False,
            waits_for=rule.waits_for,
            waits_until=now + timedelta(seconds=rule.at_most_s) if rule.waits_for else None,
            companion_data=early,
            traceparent=event.traceparent,
            state=state.value,
            reason=reason,
            code=0,
            attempts=0,
            unclear_attempts=0,
            by_desk=False,
            arrived_at=event.arrived_at or event.time,
            created_at=now,
            ready_at=now if state is State.PENDING else None,
            settled_at=now if state is State.CANCELLED else None,
        )
        if rule.waits_for:
            self._note_waiter(row)
        return row

    def load_early(self, events: Sequence[Event[Any]], types: Sequence[str]) -> None:
        """Read in one statement what has come early for the messages about these events. types: what they wait for."""
        self._work.rows(companion).preload(
            [companion_id(kind, event.type, event.subject) for event in events for kind in types]
        )

    def _early(self, kind: str, about_type: str, about_subject: str) -> bytes | None:
        row = self._work.rows(companion).get(companion_id(kind, about_type, about_subject))
        return bytes(row["data"]) if row else None

    def load_waiting(self, kind: str, subjects: Sequence[str]) -> None:
        """Lock and read the deliveries about these subjects that wait, or have waited, for an event of a type."""
        unread = [subject for subject in subjects if subject not in self._companions_read]
        if unread:
            self._companions_read.update(unread)
            among = delivery.c.about_subject == any_(array_of(delivery, "about_subject", unread))
            # `is not null` is what the index is made for.
            waits = delivery.c.waits_for.is_not(None) & (delivery.c.waits_for == kind)
            for row in self._work.rows(delivery).find(among & waits):
                self._note_waiter(row)

    def waiters(self, kind: str, about_type: str, about_subject: str) -> list[Row]:
        """Return the deliveries about an event that wait, or have waited, for an event of a type."""
        self.load_waiting(kind, [about_subject])
        ids = self._waiters.get(companion_id(kind, about_type, about_subject), ())
        rows = self._work.rows(delivery)
        return [row for one in ids if (row := rows.get(one)) is not None]

    def _note_waiter(self, row: Row) -> None:
        one = companion_id(row["waits_for"], row["about_type"], row["about_subject"])
        self._waiters.setdefault(one, []).append(row["id"])

    def keep_early(self, kind: str, about_type: str, about_subject: str, data: bytes) -> None:
        """Keep an event for a message that is yet to come, and drop those for which none came."""
        rows = self._work.rows(companion)
        one = companion_id(kind, about_type, about_subject)
        if rows.get(one) is None:
            rows.add(id=one, data=data, came_at=self.now)
            old = delete(companion).where(companion.c.came_at < self.now - EARLY_KEPT)
            self._work.connection.execute(old)

    def give(self, row: Row, data: bytes) -> Row:
        """Give a delivery what it has waited for."""
        return self._work.rows(delivery).change(row, companion_data=data)

    def load_alerts(self, facts: Sequence[AlertFired | AlertResolved]) -> None:
        """Lock and read what was told of these occurrences."""
        self._work.rows(alert).preload([occurrence_of(fact) for fact in facts])

    def begin_alert(self, fact: AlertFired) -> bool:
        """Note that the desk is told of an occurrence; False when it was told before."""
        rows = self._work.rows(alert)
        if rows.get(occurrence_of(fact)) is not None:
            return False
        rows.add(id=occurrence_of(fact), told_at=self.now)
        self._work.connection.execute(delete(alert).where(alert.c.ended_at < self.now - ALERT_KEPT))
        return True

    def end_alert(self, fact: AlertResolved) -> bool:
        """Note that the desk is told of an occurrence's end; False when it was told before, or of no beginning."""
        rows = self._work.rows(alert)
        row = rows.get(occurrence_of(fact))
        if row is None or row["ended_at"] is not None:
            return False
        rows.change(row, ended_at=self.now)
        return True

    def is_failing(self) -> bool:
        """Tell whether messages have lately not been getting out: one was tried twice and still waits."""
        waits = text(
            "select exists (select from delivery where settled_at is null and state = 'pending' and attempts > 1)"
        )
        return bool(self._work.connection.execute(waits).scalar_one())

    def load_deliveries(self, ids: Sequence[str]) -> None:
        """Lock and read deliveries in one statement."""
        self._work.rows(delivery).preload(ids)

    def delivery(self, delivery_id: str) -> Row | None:
        """Lock and return a delivery."""
        return self._work.rows(delivery).get(delivery_id)

    def change(self, row: Row, state: State, reason: str, **values: Any) -> Row:
        """Put a delivery into another state. One that is settled needs no text of an erased person any more."""
        if row["forget_text"] and values.get("settled_at"):
            values["about_data"] = FORGOTTEN
        return self._work.rows(delivery).change(row, state=state.value, reason=reason, **values)

    def have_sent(self, row: Row, at: datetime | None = None) -> None:
        """Have a delivery sent after the commit or at a later moment, unless it still waits for another event."""
        kind = f"send_{row['medium']}"
        if at is None and row["companion_data"] is None:
            at = row["waits_until"]
        self._work.job(kind, key=row["id"], subject=row["id"], payload={}, due_at=at)

    def wait_for_contact(self, row: Row, until: datetime) -> None:
        """Come back to a delivery when its recipient has not become known by then."""
        self._work.arm("give_up_waiting", key=row["id"], subject=row["id"], due_at=until, payload={})

    def stop_waiting(self, row: Row) -> None:
        """Take back `wait_for_contact`."""
        self._work.cancel("give_up_waiting", key=row["id"])

    def announce(self, row: Row, fact: Fact) -> None:
        """Emit what became of a delivery, as part of the trace that its event belongs to."""
        source = self._work.source
        self._work.emit_as(
            Event(
                id=new_id(),
                source=source,
                type=fact.TYPE,
                subject=row["id"],
                time=self.now,
                data=fact,
                partitionkey=partitionkey_of(source, row["id"]),
                traceparent=row["traceparent"],
            )
        )


_CONTACT = [person.c[name] for name in Contact.__dataclass_fields__]


def companion_id(kind: str, about_type: str, about_subject: str) -> str:
    """Return the key of an event of a kind that belongs to the event of a type about a subject."""
    return f"{kind} {about_type} {about_subject}"


#: What erases a person (S6): how they are reached, and the text of what they, and others about them, were told.
FORGET = (
    "delete from person where employee_number = :number",
    # Whether a call that is under way succeeds is nobody's to know any more.
    "update delivery set about_data = '{}', state = case state when 'sending' then 'unknown' else 'cancelled' end,"
    " reason = 'the person was erased', settled_at = now() where recipient = :number and settled_at is null",
    # What others are still to be told needs its text until then. Marked before the settled ones are looked for, so
    # that one which is settled at this moment is either found below, or finds the mark.
    "update delivery set forget_text = true where :number = any(people) and settled_at is null",
    "update delivery set about_data = '{}' where settled_at is not null"
    " and (recipient = :number or :number = any(people))",
)
