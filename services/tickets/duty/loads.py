"""How many open tickets everybody holds and was given today: counts that the database keeps with the tickets."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ARRAY, Column, Date, DateTime, Integer, Select, Table, Text, any_, bindparam, cast, select
from sqlalchemy.dialects.postgresql import insert

from eventkit.work import Work
from services.tickets.tables import metadata

load = Table(
    "person_load",
    metadata,
    Column("person", Text, primary_key=True),
    Column("open_count", Integer, nullable=False, server_default="0"),
    Column("given_on", Date, comment="the day, by UTC, of which given_count is"),
    Column("given_count", Integer, nullable=False, server_default="0"),
    Column("given_at", DateTime(timezone=True)),
    comment="What people hold and were given; triggers on ticket and assignment keep it, whoever writes there",
)


_NAMED = select(load).where(load.c.person == any_(cast(bindparam("people"), ARRAY(Text)))).order_by(load.c.person)
_LOCKED = _NAMED.with_for_update()
_NOTHING = {"open_count": 0, "given_on": None, "given_count": 0, "given_at": None}


@dataclass(frozen=True, slots=True)
class Load:
    """What somebody holds and was given. given_count: on the day asked for."""

    open_count: int
    given_count: int
    given_at: datetime | None


class Loads:
    """What people hold, as one transaction sees it, with what it has changed about that itself."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._stored: dict[str, Any] = {}
        self._moves: dict[str, int] = {}
        self._given: dict[str, tuple[int, datetime]] = {}
        self._expected: set[str] = set()
        # The triggers lock people statement by statement: by then all are locked, in one order.
        work.lock_late(self.lock)

    def expect(self, people: Iterable[str]) -> None:
        """Know who may be given something, or lose it: they are locked together with whoever is locked first."""
        self._expected.update(people)

    def lock(self, people: Collection[str] = ()) -> None:
        """Read what people hold, and all who are expected; until this transaction ends nobody else can change it.

        The rows are locked in the order of their keys. What was read once stays as it is: it is locked.
        """
        wanted = sorted({*people, *self._expected, *self._moves} - self._stored.keys())
        self._stored |= self._read(_LOCKED, wanted) if wanted else {}
        if missing := [person for person in wanted if person not in self._stored]:
            begin = insert(load).values([{"person": person} for person in missing])
            self._work.connection.execute(begin.on_conflict_do_nothing())
            self._stored |= self._read(_LOCKED, missing)

    def locked(self, people: Collection[str], moment: datetime) -> dict[str, Load]:
        """Lock and return what people hold, and were given on the day of a moment."""
        self.lock(people)
        return {person: self._load(person, self._stored[person], moment) for person in people}

    def at_a_glance(self, people: Collection[str], moment: datetime) -> dict[str, Load]:
        """Return the same without keeping others off: each may be given something at the same moment."""
        found = self._read(_NAMED, sorted(people))
        return {person: self._load(person, found.get(person, _NOTHING), moment) for person in people}

    def _read(self, statement: Select[Any], people: list[str]) -> dict[str, Any]:
        found = self._work.connection.execute(statement, {"people": people})
        return {row["person"]: row for row in found.mappings()}

    def _load(self, person: str, stored: Any, moment: datetime) -> Load:
        count, at = self._given.get(person, (0, stored["given_at"]))
        if stored["given_on"] == moment.astimezone(UTC).date():
            count += stored["given_count"]
        return Load(stored["open_count"] + self._moves.get(person, 0), count, at)

    def moved(self, before: str | None, after: str | None) -> None:
        """Keep the counts right while tickets change hands within the transaction."""
        self._move(before, -1)
        self._move(after, 1)

    def _move(self, person: str | None, count: int) -> None:
        if person:
            before = self._moves.get(person, 0)
            self._moves[person] = before + count
            self._work.on_undo(lambda: self._moves.update({person: before}))

    def given(self, person: str, moment: datetime) -> None:
        """Know that somebody was given a ticket in this transaction."""
        before = self._given.get(person)
        self._given[person] = ((before[0] if before else 0) + 1, moment)

        def undo() -> None:
            if before is None:
                del self._given[person]
            else:
                self._given[person] = before

        self._work.on_undo(undo)
