"""The services that the faults happen to: a source that emits, a desk that handles, a clock that fires.

They do what real ones do, and nothing else: one business row and one event for each event, a row for each timer.
Titles make the desk misbehave: `bad` breaks a rule until its gate opens, `later` waits until its gate opens,
`kill` ends the process, `nul` cannot be stored, `unbound` breaks the statement before it reaches the database.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Engine,
    Identity,
    Integer,
    MetaData,
    Table,
    Text,
    func,
    text,
)

from contracts.gateway import TicketRequested
from contracts.tickets import TicketOpened
from contracts.words import TicketState
from eventkit.definition import Done, Failed, Unknown
from eventkit.envelope import Event
from eventkit.errors import RuleBroken, TryLater
from eventkit.service import Outside, Stored, answers, fires, handles, records
from eventkit.timers import Timer
from eventkit.work import Work

_NAME = os.environ.get("LIAISON_TEST_NAME", "faults")
# Time that a handler takes, so that a second delivery comes while the first still runs.
_SLOW_S = float(os.environ.get("LIAISON_TEST_SLOW_S", "0"))
# How long a call may take before its process is taken for dead.
_LEASE_S = 1.0

metadata = MetaData()


def _position() -> Column[int]:
    return Column("position", BigInteger, Identity(always=True), primary_key=True)


effect = Table(
    "fault_effect",
    metadata,
    _position(),
    Column("event_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("sequence", BigInteger),
    Column("pid", Integer, nullable=False),
    Column("happened_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    comment="One row for each time an event took effect; the oracle wants one for each event",
)
written = Table(
    "fault_written",
    metadata,
    Column("event_id", Text, primary_key=True),
    comment="What the source says that it has emitted, written in the same transaction",
)
repeat = Table(
    "fault_repeat",
    metadata,
    _position(),
    Column("pid", Integer, nullable=False),
    Column("events", Integer, nullable=False),
    comment="Events that were handed in again and dropped",
)
unknown = Table(
    "fault_unknown",
    metadata,
    _position(),
    Column("events", Integer, nullable=False),
    comment="Events of types that nobody handles, acknowledged and counted",
)
gate = Table(
    "fault_gate",
    metadata,
    Column("name", Text, primary_key=True),
    Column("is_open", Boolean, nullable=False, server_default=text("false")),
)
ticket = Table(
    "fault_ticket",
    metadata,
    Column("number", Text, primary_key=True),
    Column("generation", Integer, nullable=False, comment="counts how often the timer was armed"),
    Column("is_armed", Boolean, nullable=False),
)
fired = Table(
    "fault_fired",
    metadata,
    _position(),
    Column("number", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("fired_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
)
ended = Table(
    "fault_ended",
    metadata,
    _position(),
    Column("number", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    comment="Generations of timers that were cancelled or replaced before they fired",
)
outside = Table(
    "fault_outside",
    metadata,
    _position(),
    Column("key", Text, nullable=False),
    comment="The world outside: a row for each call that reached it",
)
recorded = Table(
    "fault_recorded",
    metadata,
    _position(),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    comment="What the service believes to have come of its calls",
)


class DeskStore:
    """Writes the business rows, and misbehaves when asked to."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def record(self, event: Event[TicketRequested]) -> None:
        """Write the one row and announce it, unless the title says otherwise."""
        self._misbehave(event)
        self.work.rows(effect).append(
            event_id=event.id, source=event.source, subject=event.subject, sequence=event.sequence, pid=os.getpid()
        )
        self.work.emit(
            TicketOpened(
                number=event.subject,
                title=event.id,
                state=TicketState.NEW,
                priority=3,
                channel=event.data.channel,
                opened_at=event.time,
            ),
            subject=event.subject,
        )

    def _misbehave(self, event: Event[TicketRequested]) -> None:
        title = event.data.title
        if title == "bad" and not self._is_open("bad"):
            raise RuleBroken("bad title")
        if title == "later" and not self._is_open("later"):
            raise TryLater("the gate is shut", delay_s=0.1)
        if title == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if title == "nul":
            self.work.rows(gate).add(name="with \x00 inside")
        if title == "unbound":
            self.work.rows(ticket).add(number=event.subject, generation=object(), is_armed=True)
        if _SLOW_S:
            time.sleep(_SLOW_S)

    def _is_open(self, name: str) -> bool:
        row = self.work.connection.execute(text("select is_open from fault_gate where name = :name"), {"name": name})
        return bool(row.scalar())


class DeskService:
    """Handles requests: what consumers, held events and drains are tried on."""

    name = _NAME
    store: DeskStore = Stored(DeskStore)

    @handles(TicketRequested, emits=(TicketOpened,))
    def on_ticket_requested(self, event: Event[TicketRequested]) -> None:
        """Write one row and announce one event."""
        self.store.record(event)


class SourceService:
    """Has an outbox and a relay; what is in the outbox is written by the test."""

    name = _NAME

    @answers()
    def ping(self, arguments: Any) -> str:
        """Answer, so that the process has something to offer."""
        return "pong"


class ClockStore:
    """The tickets whose timers fall due."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def lock(self, numbers: Sequence[str]) -> None:
        """Lock the timers' subjects, as every real service does."""
        self.work.rows(ticket).preload(numbers)
        if _SLOW_S:
            time.sleep(_SLOW_S)

    def breach(self, timer: Timer) -> None:
        """Record that the timer fired, unless it is a poisoned one."""
        if timer.key.startswith("nul"):
            self.work.rows(gate).add(name="with \x00 inside")
        if timer.key.startswith("bad"):
            raise RuleBroken("bad timer")
        row = self.work.rows(ticket).get(timer.subject)
        if row is not None:
            self.work.rows(ticket).change(row, is_armed=False)
        generation = timer.payload["generation"]
        self.work.rows(fired).append(number=timer.subject, generation=generation, due_at=timer.due_at)

    def record_call(self, timer: Timer, outcome: Done | Failed | Unknown) -> None:
        """Record what came of a call, unless it is a poisoned one."""
        if timer.key.startswith("nul"):
            self.work.rows(gate).add(name="with \x00 inside")
        if timer.key.startswith("bad"):
            raise RuleBroken("bad call")
        self.work.rows(recorded).append(kind=timer.kind, key=timer.key, outcome=type(outcome).__name__)


class ClockService:
    """Fires timers."""

    name = _NAME
    store: ClockStore = Stored(ClockStore)

    def lock_tickets(self, timers: Sequence[Timer]) -> None:
        """Lock the subjects of a batch of timers."""
        self.store.lock([timer.subject for timer in timers])

    @fires("breach", preload="lock_tickets")
    def on_breach(self, timer: Timer) -> None:
        """Record one firing."""
        self.store.breach(timer)


class World:
    """What lies outside, which keeps no track of who has called before."""

    def __init__(self, env: Mapping[str, str], engine: Engine) -> None:
        self._engine = engine

    def take(self, key: str) -> str:
        """Take one call."""
        with self._engine.begin() as connection:
            connection.execute(outside.insert().values(key=key))
        return "reached"


class CallerService:
    """Calls the world outside: of one kind of call a repeat does no harm, of the other it does."""

    name = _NAME
    store: ClockStore = Stored(ClockStore)
    world = Outside(World)

    def call(self, timer: Timer) -> str:
        """Reach the world outside."""
        answer: str = self.world.take(timer.key)
        return answer

    @records("repeatable", call="call", repeat_after_crash=True, lease_s=_LEASE_S)
    def on_repeatable(self, timer: Timer, outcome: Done | Failed | Unknown) -> None:
        """Write down what came of it."""
        self.store.record_call(timer, outcome)

    @records("once", call="call", repeat_after_crash=False, lease_s=_LEASE_S)
    def on_once(self, timer: Timer, outcome: Done | Failed | Unknown) -> None:
        """Write down what came of it."""
        self.store.record_call(timer, outcome)


SERVICES = {"source": SourceService, "desk": DeskService, "clock": ClockService, "caller": CallerService}
