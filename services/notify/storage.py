"""Notify's tables, and what is asked of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    any_,
    bindparam,
    func,
    select,
    text,
    update,
)

from contracts.fact import Fact
from contracts.gateway import PersonChanged
from eventkit.envelope import Event, decode_data, encode_data, new_id, partitionkey_of
from eventkit.work import Row, Work, array_of
from services.notify.rules import Contact, Rule, State, people_named

metadata = MetaData()
_moment = DateTime(timezone=True)

person = Table(
    "person",
    metadata,
    Column("employee_number", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("language", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("manager", Text),
    Column("active", Boolean, nullable=False),
    comment="How to reach people, from person.changed; an older version never overwrites a newer",
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("recipient", Text, nullable=False, comment="employee number, or `the desk`"),
    Column("medium", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("after_crash", Text, nullable=False, comment="repeat or unknown, as the rule said when this was decided"),
    Column("about_type", Text, nullable=False),
    Column("about_subject", Text, nullable=False),
    Column("about_data", LargeBinary, nullable=False, comment="the event's data, JSON, from which the text is made"),
    Column("traceparent", Text),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("code", Integer, nullable=False, comment="the channel's last code, 0 for none"),
    Column("attempts", SmallInteger, nullable=False),
    Column("unclear_attempts", SmallInteger, nullable=False, comment="tries that may have gone out"),
    Column("by_desk", Boolean, nullable=False, comment="the recipient had no address, so the desk gets it"),
    Column("arrived_at", _moment, nullable=False, comment="when the event arrived at Liaison"),
    Column("created_at", _moment, nullable=False),
    Column("ready_at", _moment, comment="since when it could be sent"),
    Column("tried_at", _moment),
    Column("settled_at", _moment),
    UniqueConstraint("source", "event_id", "recipient", "medium", name="delivery_once"),
    Index("delivery_open", "state", "created_at", postgresql_where=text("settled_at is null")),
    Index("delivery_waiting", "recipient", postgresql_where=text("state = 'waiting_contact'")),
    comment="One message to one person by one channel about one event",
)

#: Locks that keep `we wait for this person` and `this person is known now` from missing each other.
_CONTACT_LOCKS = 64
_CONTACT_LOCK_SPACE = 0x11A16
#: A repeat that comes after the inbox has forgotten its event is found by our own rows (design: kept).
_INBOX_KEPT = timedelta(days=30)


class NotifyStore:
    """What one transaction of notify reads and writes."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._people: dict[str, Contact | None] = {}
        self._waiting_read: set[str] = set()
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
        """Add a delivery in its first state."""
        now = self.now
        return self._work.rows(delivery).add(
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

    def load_deliveries(self, ids: Sequence[str]) -> None:
        """Lock and read deliveries in one statement."""
        self._work.rows(delivery).preload(ids)

    def delivery(self, delivery_id: str) -> Row | None:
        """Lock and return a delivery."""
        return self._work.rows(delivery).get(delivery_id)

    def change(self, row: Row, state: State, reason: str, **values: Any) -> Row:
        """Put a delivery into another state."""
        return self._work.rows(delivery).change(row, state=state.value, reason=reason, **values)

    def have_sent(self, row: Row, at: datetime | None = None) -> None:
        """Have a delivery sent after the commit, or at a later moment."""
        kind = f"send_{row['medium']}"
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


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery that is being sent, as it was just before the call. people: those whom its event names, by number."""

    id: str
    recipient: str
    medium: str
    template: str
    priority: int
    by_desk: bool
    attempts: int
    about: Fact
    people: Mapping[str, Contact]


class Counter:
    """Where the one who makes the call fetches what is to be sent; its transaction is over before the call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take(self, delivery_id: str) -> Taken | None:
        """Mark a pending delivery as being sent and return it; None when there is nothing to send any more."""
        with self._engine.begin() as connection:
            row = connection.execute(_TAKE, {"delivery_id": delivery_id}).one_or_none()
        if row is None:
            return None
        # Past the commit: an event that cannot be read any more must count as a try, or it would be tried for ever.
        about = decode_data(row.about_type, bytes(row.about_data))
        numbers = list(people_named(about) | {row.recipient})
        among = person.c.employee_number == any_(array_of(person, "employee_number", numbers))
        with self._engine.connect() as connection:
            people = [Contact(*one) for one in connection.execute(select(*_CONTACT).where(among))]
        return Taken(
            row.id,
            row.recipient,
            row.medium,
            row.template,
            row.priority,
            row.by_desk,
            row.attempts,
            about,
            {one.employee_number: one for one in people},
        )


_CONTACT = [person.c[name] for name in Contact.__dataclass_fields__]
_TAKE = (
    update(delivery)
    .where(delivery.c.id == bindparam("delivery_id"), delivery.c.state == State.PENDING.value)
    .values(state=State.SENDING.value, attempts=delivery.c.attempts + 1, tried_at=func.clock_timestamp())
    .returning(delivery)
)

#: What erases a person (S6): how they are reached, and the text of what they were told.
FORGET = (
    "delete from person where employee_number = :number",
    "update delivery set about_data = '{}' where recipient = :number and state in"
    " ('accepted', 'failed', 'unknown', 'cancelled')",
    "update delivery set about_data = '{}', state = 'cancelled', reason = 'the person was erased', settled_at = now()"
    " where recipient = :number and state in ('pending', 'waiting_contact')",
)
