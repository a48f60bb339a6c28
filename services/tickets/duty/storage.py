"""Who can hold tickets, the roster, and why each ticket was given to whom: tables and queries."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    SmallInteger,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from eventkit.work import Row, Rows, Work
from services.tickets.duty.assignment import Assignment, Candidate, away_of
from services.tickets.duty.roster import Gap, Post, Roster, Shift, Span, Swap
from services.tickets.tables import OPEN, metadata, person, ticket

_moment = DateTime(timezone=True)
#: A group whose last shift ended longer ago than this keeps no roster any more: everybody counts as on duty.
_ROSTER_KEPT = timedelta(days=7)
#: Ties go to who was given fewer in this span.
_TURN = timedelta(hours=24)

shift = Table(
    "duty_shift",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("group_name", Text, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("person", Text, nullable=False),
    Column("begin_at", _moment, nullable=False),
    Column("end_at", _moment, nullable=False),
    Column("stand_in", Text),
    Index("duty_shift_by_group", "group_name", "end_at"),
)

swap = Table(
    "duty_swap",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("group_name", Text, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("giver", Text, nullable=False),
    Column("taker", Text, nullable=False),
    Column("begin_at", _moment, nullable=False),
    Column("end_at", _moment, nullable=False),
    Column("agreed_by", Text),
    Index("duty_swap_by_group", "group_name", "end_at"),
)

gap = Table(
    "duty_gap",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("group_name", Text, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("begin_at", _moment, nullable=False),
    Column("end_at", _moment, nullable=False),
    Column("goes_on", Boolean, nullable=False),
    comment="The gaps that the last look found, so that each is told once",
)

assignment = Table(
    "assignment",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("number", Text, nullable=False),
    Column("at", _moment, nullable=False),
    Column("group_name", Text, nullable=False),
    Column("person", Text),
    Column("waits_for", Text),
    Column("skill_lifted", Boolean, nullable=False),
    Column("judged", JSONB, nullable=False, comment="person, score, open_count, capacity, why passed over"),
    Index("assignment_by_number", "number", "id"),
    Index("assignment_by_person", "person", "at"),
    comment="Why each ticket was given to whom (T3)",
)

_HELD = (
    select(func.count())
    .where(ticket.c.assignee == person.c.employee_number, OPEN)
    .correlate(person)
    .scalar_subquery()
    .label("held")
)


def _given(what: Any, since: datetime) -> Any:
    condition = and_(assignment.c.person == person.c.employee_number, assignment.c.at >= since)
    return select(what).where(condition).correlate(person).scalar_subquery()


class DutyStore:
    """What one transaction sees and changes of duty. people: this transaction's view of them."""

    def __init__(self, work: Work, people: Rows) -> None:
        self.work = work
        self._people = people
        self._shifts = work.rows(shift)
        self._swaps = work.rows(swap)
        self._assignments = work.rows(assignment)
        self._engineers: dict[str, list[Row]] = {}
        self._recent: dict[tuple[Table, str], list[Any]] = {}
        self._rosters: dict[str, Roster] = {}
        # How many open tickets people held when they were read, and what this transaction has changed about that.
        self._held: dict[str, int] = {}
        self._moves: dict[str, int] = {}
        self._given_here: dict[str, tuple[int, datetime]] = {}
        self.changed_people: set[str] = set()

    def preload(self, groups: Collection[str]) -> None:
        """Read in three statements who may hold the tickets of groups, and their rosters."""
        self._read_engineers(groups)
        for table in (shift, swap):
            self._read_recent(table, groups)

    def candidates(self, group: str, level: int, moment: datetime, default_capacity: int) -> list[Candidate]:
        """Return everybody who may ever hold this group's tickets, as they are at a moment."""
        engineers = self.engineers_of(group)
        on_duty = self._on_duty(Post(group, level), moment, engineers)
        return [
            Candidate(
                person=(number := row["employee_number"]),
                groups=row["groups"],
                open_count=self._held.get(number, 0) + self._moves.get(number, 0),
                capacity=default_capacity if row["capacity"] is None else row["capacity"],
                skills=row["skills"],
                active=row["active"],
                away=row["away_spans"],
                on_duty=on_duty is None or number in on_duty,
                given_count=row["given_count"] + self._given_here.get(number, (0, moment))[0],
                given_at=self._given_here[number][1] if number in self._given_here else row["given_at"],
            )
            for row in engineers
        ]

    def engineers_of(self, group: str) -> Sequence[Row]:
        """Return the engineers of a group: as the database has them, with this transaction's changes."""
        if group not in self._engineers:
            self._read_engineers([group])
        if not self.changed_people:
            return self._engineers[group]
        stored = [row for row in self._engineers[group] if row["employee_number"] not in self.changed_people]
        changed = (self._people.get(number) for number in sorted(self.changed_people))
        fresh = [row for row in changed if row is not None and row["is_engineer"] and group in row["groups"]]
        for row in fresh:
            self._count_held(row["employee_number"])
        return stored + [{"given_count": 0, "given_at": None, "away_spans": away_of(row), **row} for row in fresh]

    def _read_engineers(self, groups: Collection[str]) -> None:
        since = self.work.now - _TURN
        columns = (
            person,
            _HELD,
            _given(func.count(), since).label("given_count"),
            _given(func.max(assignment.c.at), since).label("given_at"),
        )
        statement = select(*columns).where(person.c.groups.overlap(list(groups)), person.c.is_engineer)
        found = [dict(row) for row in self.work.connection.execute(statement).mappings()]
        # What this transaction has changed since is counted from what was read first.
        self._held = {row["employee_number"]: row.pop("held") for row in found} | self._held
        engineers = [{**row, "away_spans": away_of(row)} for row in found]
        for group in groups:
            self._engineers[group] = [row for row in engineers if group in row["groups"]]

    def _count_held(self, number: str) -> None:
        if number not in self._held:
            statement = select(func.count()).where(ticket.c.assignee == number, OPEN)
            self._held[number] = self.work.connection.execute(statement).scalar() or 0

    def moved(self, before: str | None, after: str | None) -> None:
        """Keep the open counts right while tickets change hands within the transaction."""
        self._move(before, -1)
        self._move(after, 1)

    def _move(self, employee_number: str | None, count: int) -> None:
        if employee_number:
            before = self._moves.get(employee_number, 0)
            self._moves[employee_number] = before + count
            self.work.on_undo(lambda: self._moves.update({employee_number: before}))

    def note(self, decided: Assignment, moment: datetime) -> None:
        """Keep why a ticket was given to somebody, or waits."""
        self._assignments.append(
            number=decided.ticket_id,
            at=moment,
            group_name=decided.group,
            person=decided.person,
            waits_for=decided.waits_for,
            skill_lifted=decided.skill_lifted,
            judged=[
                {
                    "person": one.person,
                    "score": round(one.score, 3),
                    "open_count": one.open_count,
                    "capacity": one.capacity,
                    "passed": one.passed,
                }
                for one in decided.judged
            ],
        )
        if decided.person:
            number = decided.person
            before = self._given_here.get(number)
            self._given_here[number] = ((before[0] if before else 0) + 1, moment)

            def undo() -> None:
                if before is None:
                    del self._given_here[number]
                else:
                    self._given_here[number] = before

            self.work.on_undo(undo)

    def assignments_of(self, number: str) -> list[Row]:
        """Return every assignment of a ticket, oldest first."""
        statement = select(assignment).where(assignment.c.number == number).order_by(assignment.c.id)
        return [dict(row) for row in self.work.connection.execute(statement).mappings()]

    def _on_duty(self, post: Post, moment: datetime, engineers: Sequence[Row]) -> set[str] | None:
        """Return who is on duty on a post; None when its group keeps no roster."""
        roster = self.roster(post.group, engineers)
        return {duty.person for duty in roster.on_duty(post, moment)} if post in roster.posts else None

    def roster(self, group: str, engineers: Sequence[Row] | None = None) -> Roster:
        """Return a group's roster from a while ago on."""
        if group not in self._rosters:
            engineers = self.engineers_of(group) if engineers is None else engineers
            self._rosters[group] = Roster(
                [shift_of(row) for row in self._recent_of(shift, group)],
                [_swap_of(row) for row in self._recent_of(swap, group)],
                {row["employee_number"]: away_of(row) for row in engineers},
                [row["employee_number"] for row in engineers if not row["active"]],
            )
        return self._rosters[group]

    def _recent_of(self, table: Table, group: str) -> Iterable[Any]:
        if (table, group) not in self._recent:
            self._read_recent(table, [group])
        return self._recent[table, group]

    def _read_recent(self, table: Table, groups: Collection[str]) -> None:
        since = self.work.now - _ROSTER_KEPT
        statement = select(table).where(table.c.group_name.in_(groups), table.c.end_at > since).order_by(table.c.id)
        found = self.work.connection.execute(statement).mappings().all()
        for group in groups:
            self._recent[table, group] = [row for row in found if row["group_name"] == group]

    def groups_with_roster(self) -> list[str]:
        """Return the groups that keep a roster."""
        since = self.work.now - _ROSTER_KEPT
        statement = select(shift.c.group_name).distinct().where(shift.c.end_at > since).order_by(shift.c.group_name)
        return list(self.work.connection.execute(statement).scalars())

    def replace_shifts(self, shifts: Sequence[Shift]) -> int:
        """Put shifts in the place of those of the same posts that overlap the span they cover; return how many went.

        What is over already stays as it was.
        """
        gone = 0
        for post in sorted({one.post for one in shifts}):
            own = [one.span for one in shifts if one.post == post]
            begin, end = min(span.begin_at for span in own), max(span.end_at for span in own)
            condition = and_(
                shift.c.group_name == post.group,
                shift.c.level == post.level,
                shift.c.begin_at < end,
                shift.c.end_at > begin,
            )
            gone += self.work.connection.execute(delete(shift).where(condition)).rowcount
        for one in shifts:
            self._shifts.append(
                group_name=one.post.group,
                level=one.post.level,
                person=one.person,
                begin_at=one.span.begin_at,
                end_at=one.span.end_at,
                stand_in=one.stand_in,
            )
        return gone

    def add_swap(self, one: Swap, agreed_by: str | None) -> None:
        """Keep a swap that was agreed."""
        self._swaps.append(
            group_name=one.post.group,
            level=one.post.level,
            giver=one.giver,
            taker=one.taker,
            begin_at=one.span.begin_at,
            end_at=one.span.end_at,
            agreed_by=agreed_by,
        )

    def known_gaps(self) -> list[Gap]:
        """Return the gaps that the last look found."""
        rows = self.work.connection.execute(select(gap)).mappings()
        return [
            Gap(Post(row["group_name"], row["level"]), Span(row["begin_at"], row["end_at"]), goes_on=row["goes_on"])
            for row in rows
        ]

    def keep_gaps(self, gaps: Collection[Gap]) -> None:
        """Keep what a look found in the place of what the last one did."""
        self.work.connection.execute(delete(gap))
        rows = [
            {
                "group_name": one.post.group,
                "level": one.post.level,
                "begin_at": one.span.begin_at,
                "end_at": one.span.end_at,
                "goes_on": one.goes_on,
            }
            for one in gaps
        ]
        if rows:
            self.work.connection.execute(insert(gap), rows)


def shift_of(row: Any) -> Shift:
    """Return a stored shift."""
    post = Post(row["group_name"], row["level"])
    return Shift(post, row["person"], Span(row["begin_at"], row["end_at"]), row["stand_in"])


def _swap_of(row: Any) -> Swap:
    post = Post(row["group_name"], row["level"])
    return Swap(post, row["giver"], row["taker"], Span(row["begin_at"], row["end_at"]))
