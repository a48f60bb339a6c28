"""The tickets service's tables, and how a transaction reads and writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    and_,
    func,
    or_,
    select,
    text,
)
from sqlalchemy import (
    Sequence as Numbers,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from contracts.tickets import Target
from eventkit.work import Row, Work
from services.tickets.rules import FINISHED

metadata = MetaData()
_moment = DateTime(timezone=True)
_OPEN = text("state not in ('resolved', 'closed')")

ticket_number = Numbers("ticket_number", metadata=metadata)

ticket = Table(
    "ticket",
    metadata,
    Column("number", Text, primary_key=True),
    Column("request_key", Text, unique=True, comment="source and externalref of the request; null without externalref"),
    Column("externalref", Text),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("state_since", _moment, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("impact", SmallInteger),
    Column("urgency", SmallInteger),
    Column("channel", Text, nullable=False),
    Column("requester", Text),
    Column("requester_known", Boolean, nullable=False),
    Column("assignee", Text),
    Column("group_name", Text),
    Column("region", Text),
    Column("department", Text),
    Column("category", Text),
    Column("subcategory", Text),
    Column("problem_code", Text),
    Column("opened_at", _moment, nullable=False),
    Column("changed_at", _moment, nullable=False, comment="the moment of the last change; none is earlier"),
    Column("responded_at", _moment),
    Column("resolved_at", _moment),
    Column("resolved_by", Text),
    Column("closed_at", _moment),
    Column("solution", Text, nullable=False),
    Column("due_response_at", _moment),
    Column("due_next_response_at", _moment),
    Column("due_solution_at", _moment),
    Column("next_response_cycle", Integer, nullable=False),
    Column("reopen_count", Integer, nullable=False),
    Column("occurrences", Integer, nullable=False),
    Column("history", Boolean, nullable=False),
    Index("ticket_open_by_assignee", "assignee", postgresql_where=_OPEN),
    Index("ticket_open_by_due", "due_solution_at", "number", postgresql_where=_OPEN),
    Index("ticket_by_requester", "requester", "number"),
    Index("ticket_by_group", "group_name", "number"),
    Index("ticket_by_department", "department", "number"),
)

ticket_change = Table(
    "ticket_change",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("number", Text, nullable=False),
    Column("at", _moment, nullable=False),
    Column("actor", Text, comment="who: an employee, a publisher, or null for Liaison itself"),
    Column("field", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("reason", Text, nullable=False),
    Index("ticket_change_by_number", "number", "id"),
    comment="Who changed what, when and why (S4)",
)

ticket_comment = Table(
    "ticket_comment",
    metadata,
    Column("id", Text, primary_key=True),
    Column("number", Text, nullable=False),
    Column("at", _moment, nullable=False),
    Column("actor", Text),
    Column("body", Text, nullable=False),
    Column("is_public", Boolean, nullable=False),
    Index("ticket_comment_by_number", "number", "at"),
)

clock = Table(
    "clock",
    metadata,
    Column("id", Text, primary_key=True, comment="ticket/target/cycle"),
    Column("number", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("started_at", _moment, nullable=False),
    Column("target_s", Integer, nullable=False, comment="open seconds"),
    Column("calendar", Text, nullable=False),
    Column("level", Text, nullable=False, comment="the service level's name in the policy file"),
    Column("due_at", _moment, nullable=False),
    Column("spent_s", Float, nullable=False, comment="open seconds used up before started_at"),
    Column("pauses", JSONB, nullable=False, comment="begin_at, end_at, by, why; the last has no end while it lasts"),
    Column("told", JSONB, nullable=False, comment="the shares of which a warning went out"),
    Column("stopped_at", _moment),
    Column("missed_due_at", _moment),
    Index("clock_by_number", "number"),
)

person = Table(
    "person",
    metadata,
    Column("employee_number", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("department", Text),
    Column("region", Text),
    Column("groups", ARRAY(Text), nullable=False),
    Column("is_engineer", Boolean, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("away", JSONB, nullable=False),
    Index("person_groups", "groups", postgresql_using="gin"),
)

_HELD = (
    select(func.count())
    .where(ticket.c.assignee == person.c.employee_number, _OPEN)
    .correlate(person)
    .scalar_subquery()
    .label("held")
)


class TicketStore:
    """What one transaction sees and changes of tickets."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.tickets = work.rows(ticket)
        self.people = work.rows(person)
        self._clocks = work.rows(clock)
        self._changes = work.rows(ticket_change)
        self._comments = work.rows(ticket_comment)
        self._numbers: list[int] = []
        self._engineers: dict[str, list[Row]] = {}
        # How many open tickets people held when they were read, and what this transaction has changed about that.
        self._held: dict[str, int] = {}
        self._moves: dict[str, int] = {}
        self._changed_people: set[str] = set()

    def reserve_numbers(self, count: int) -> None:
        """Draw running numbers for tickets about to be opened, in one statement."""
        drawn = self.work.connection.execute(
            text("select nextval('ticket_number') from generate_series(1, :count)"), {"count": count}
        )
        self._numbers = list(drawn.scalars())[::-1]

    def next_number(self) -> int:
        """Return a running number that no ticket has."""
        if not self._numbers:
            self.reserve_numbers(1)
        return self._numbers.pop()

    def preload(self, *, request_keys: Iterable[str], numbers: Iterable[str], people: Iterable[str]) -> None:
        """Read and lock what a batch will need: tickets, their clocks, people."""
        if keys := list(request_keys):
            self.tickets.preload(keys, column="request_key")
        if wanted := list(numbers):
            self.tickets.preload(wanted)
        self._clocks.preload([one for row in self.tickets.seen() for one in _clock_ids(row)])
        if known := list(people):
            self.people.preload(known)

    def ticket_of(self, request_key: str | None) -> Row | None:
        """Return the ticket of an earlier request with this key."""
        return self.tickets.get(request_key, column="request_key") if request_key else None

    def clock_rows(self, row: Row) -> list[Row]:
        """Return the clocks of the ticket's present cycles, as they are stored."""
        return [found for one in _clock_ids(row) if (found := self._clocks.get(one)) is not None]

    def clock_row(self, number: str, target: Target, cycle: int) -> Row | None:
        """Return one clock, also of an earlier cycle."""
        return self._clocks.get(clock_id(number, target, cycle))

    def all_clock_rows(self, number: str) -> list[Row]:
        """Return every clock that the ticket ever had, in the order in which they started, without locking them."""
        statement = select(clock).where(clock.c.number == number).order_by(clock.c.started_at, clock.c.id)
        return [dict(row) for row in self.work.connection.execute(statement).mappings()]

    def put_clock(
        self, number: str, target: Target, cycle: int, values: Mapping[str, Any], *, is_new: bool = False
    ) -> None:
        """Write a clock, or some values of one. is_new: the ticket is being opened, so no older one is looked for."""
        key = clock_id(number, target, cycle)
        if is_new:
            self._clocks.expect_absent(key)
        before = self._clocks.get(key)
        if before is None:
            self._clocks.add(id=key, number=number, target=str(target), cycle=cycle, **values)
        else:
            self._clocks.change(before, **values)

    def note(self, number: str, at: datetime, actor: str | None, field: str, **values: Any) -> None:
        """Write who changed what. values: before, after, reason."""
        entry = {"before": None, "after": None, "reason": ""} | values
        self._changes.append(number=number, at=at, actor=actor, field=field, **entry)

    def add_comment(self, **values: Any) -> None:
        """Write a comment."""
        self._comments.add(**values)

    def comments_of(self, number: str, *, public_only: bool) -> list[Row]:
        """Return a ticket's comments, oldest first."""
        columns = (ticket_comment.c.id, ticket_comment.c.at, ticket_comment.c.actor, ticket_comment.c.body)
        statement = select(*columns, ticket_comment.c.is_public.label("public")).where(
            ticket_comment.c.number == number
        )
        if public_only:
            statement = statement.where(ticket_comment.c.is_public)
        rows = self.work.connection.execute(statement.order_by(ticket_comment.c.at, ticket_comment.c.id)).mappings()
        return [dict(row) for row in rows]

    def changes_of(self, number: str) -> list[Row]:
        """Return what was changed on a ticket, oldest first."""
        statement = select(ticket_change).where(ticket_change.c.number == number).order_by(ticket_change.c.id)
        kept = ("at", "actor", "field", "before", "after", "reason")
        return [{name: row[name] for name in kept} for row in self.work.connection.execute(statement).mappings()]

    def put_person(self, employee_number: str, known: Row | None, values: Mapping[str, Any]) -> None:
        """Write what is kept of a person."""
        if known is None:
            self.people.add(employee_number=employee_number, **values)
        else:
            self.people.change(known, **values)
        self._changed_people.add(employee_number)

    def engineers_of(self, group: str) -> Sequence[Row]:
        """Return the engineers of a group: as the database has them, with this transaction's changes."""
        if group not in self._engineers:
            statement = select(person, _HELD).where(person.c.groups.contains([group]), person.c.is_engineer)
            found = [dict(row) for row in self.work.connection.execute(statement).mappings()]
            self._held |= {row["employee_number"]: row.pop("held") for row in found}
            self._engineers[group] = found
        stored = [row for row in self._engineers[group] if row["employee_number"] not in self._changed_people]
        changed = [row for number in sorted(self._changed_people) if (row := self.people.get(number)) is not None]
        return stored + [row for row in changed if row["is_engineer"] and group in row["groups"]]

    def open_count(self, employee_number: str) -> int:
        """Return how many open tickets somebody holds, this transaction's changes included."""
        if employee_number not in self._held:
            statement = select(_HELD).where(person.c.employee_number == employee_number)
            self._held[employee_number] = self.work.connection.execute(statement).scalar() or 0
        return self._held[employee_number] + self._moves.get(employee_number, 0)

    def moved(self, before: str | None, after: str | None) -> None:
        """Keep the open counts right while tickets change hands within the transaction."""
        self._move(before, -1)
        self._move(after, 1)

    def _move(self, employee_number: str | None, count: int) -> None:
        if employee_number:
            before = self._moves.get(employee_number, 0)
            self._moves[employee_number] = before + count
            self.work.on_undo(lambda: self._moves.update({employee_number: before}))

    def open_tickets_of(self, assignee: str) -> list[Row]:
        """Lock and return the open tickets that somebody holds."""
        return [
            row
            for row in self.tickets.find(and_(ticket.c.assignee == assignee, ticket.c.state.not_in(FINISHED)))
            if row["assignee"] == assignee and row["state"] not in FINISHED
        ]

    def listed(
        self, scope: Mapping[str, Any], filters: Mapping[str, Any], *, after: str | None, limit: int
    ) -> list[Row]:
        """Return tickets without locking them, newest number first, those after a cursor's number."""
        conditions = [_scope_condition(scope)]
        for name in ("state", "priority", "assignee", "region", "requester"):
            if filters.get(name) is not None:
                conditions.append(ticket.c[name] == filters[name])
        if filters.get("group") is not None:
            conditions.append(ticket.c.group_name == filters["group"])
        if filters.get("q"):
            pattern = f"%{_escaped(str(filters['q']))}%"
            conditions.append(or_(ticket.c.title.ilike(pattern), ticket.c.number == filters["q"]))
        if after:
            conditions.append(ticket.c.number < after)
        statement = select(ticket).where(*conditions).order_by(ticket.c.number.desc()).limit(limit)
        return [dict(row) for row in self.work.connection.execute(statement).mappings()]


def clock_id(number: str, target: Target, cycle: int) -> str:
    """Return the key of a clock, which its timers share."""
    return f"{number}/{target}/{cycle}"


def _clock_ids(row: Row) -> list[str]:
    ids = [
        clock_id(row["number"], Target.FIRST_RESPONSE, 1),
        clock_id(row["number"], Target.SOLUTION, row["reopen_count"] + 1),
    ]
    if row["next_response_cycle"]:
        ids.append(clock_id(row["number"], Target.NEXT_RESPONSE, row["next_response_cycle"]))
    return ids


def _escaped(pattern: str) -> str:
    return pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _scope_condition(scope: Mapping[str, Any]) -> Any:
    """The same rule as `rules.is_visible`, for the database; a test compares the two."""
    person_is = scope.get("person")
    mine = or_(ticket.c.requester == person_is, ticket.c.assignee == person_is) if person_is else text("false")
    match scope.get("kind"):
        case "all":
            return text("true")
        case "own":
            return mine
        case "group":
            return or_(mine, ticket.c.group_name.in_(list(scope.get("groups") or ())))
        case "department":
            return ticket.c.department == scope.get("department")
    return text("false")


#: What erases a person (S6): who they are, and what they wrote. Numbers of tickets and moments stay.
FORGET = (
    "delete from person where employee_number = :number",
    "update ticket set description = '' where requester = :number",
    "update ticket_comment set body = '' where actor = :number",
    "update feedback_change set after = '' where field = 'information' and feedback_id in"
    " (select id from feedback where author = :number)",
    "update feedback set author = null, text = '' where author = :number",
    "update feedback set owner = null where owner = :number",
    "update feedback_change set before = nullif(before, :number), after = nullif(after, :number),"
    " actor = nullif(actor, :number) where :number in (before, after, actor)",
    "update eventkit.outbox set headers = headers - 'ce-actor', payload ="
    " convert_to((convert_from(payload, 'UTF8')::jsonb - 'author' || '{\"text\": \"\"}')::text, 'UTF8')"
    " where type like 'liaison.feedback.%' and sent_at is not null"
    " and convert_from(payload, 'UTF8')::jsonb ->> 'author' = :number",
)
