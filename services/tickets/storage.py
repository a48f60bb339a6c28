"""How a transaction reads and writes tickets, their clocks, comments and changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, Text, and_, bindparam, cast, exists, func, select, text

from contracts.tickets import Target
from contracts.words import TicketState
from eventkit.work import Row, Work
from services.tickets.attachments.storage import Attachments
from services.tickets.duty.storage import DutyStore
from services.tickets.listing import Page, page_of
from services.tickets.mail.storage import Senders
from services.tickets.relations.storage import RelationStore
from services.tickets.rules import FINISHED
from services.tickets.statistics import statistics
from services.tickets.tables import (
    OPEN,
    clock,
    metadata,
    person,
    survey,
    ticket,
    ticket_change,
    ticket_comment,
    ticket_support,
)

if TYPE_CHECKING:
    from services.tickets.telling import Change

__all__ = ["FORGET", "TicketStore", "clock_id", "metadata"]


_MOST_WAITING = 500
_asked = func.unnest(cast(bindparam("groups"), ARRAY(Text))).column_valued("asked")
_HAVE_QUEUE = select(_asked, exists().where(ticket.c.group_name == _asked, ticket.c.waits))


class TicketStore:
    """What one transaction sees and changes of tickets."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.tickets = work.rows(ticket)
        self.people = work.rows(person)
        self._clocks = work.rows(clock)
        self._changes = work.rows(ticket_change)
        self._comments = work.rows(ticket_comment)
        self.surveys = work.rows(survey)
        self.supports = work.rows(ticket_support)
        self.relations = RelationStore(work)
        self.duty = DutyStore(work, self.people)
        self.attachments = Attachments(work)
        self.senders = Senders(work, self.people)
        self._numbers: list[int] = []
        self._queues: dict[str, bool] = {}
        self._holders: set[str] = set()
        self._expected_groups: set[str] = set()

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

    def preload(
        self,
        *,
        request_keys: Iterable[str],
        numbers: Iterable[str],
        people: Iterable[str],
        fingerprints: Iterable[str] = (),
    ) -> None:
        """Read and lock what a batch will need: tickets, their clocks, people."""
        if prints := list(fingerprints):
            self.tickets.preload(prints, column="open_fingerprint")
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

    def open_ticket_with(self, fingerprint: str | None) -> Row | None:
        """Return the open ticket of an earlier request with this fingerprint."""
        return self.tickets.get(fingerprint, column="open_fingerprint") if fingerprint else None

    def unclaimed(self, fingerprint: str | None) -> str | None:
        """Return a fingerprint unless an open ticket has it: one ticket counts what comes with it."""
        return None if self.open_ticket_with(fingerprint) else fingerprint

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

    def has_no_clocks_yet(self, number: str) -> None:
        """Know that a ticket is being opened, so that no clock of it is looked for."""
        for target in (Target.FIRST_RESPONSE, Target.SOLUTION, Target.INTERNAL):
            self._clocks.expect_absent(clock_id(number, target, 1))

    def put_clock(self, number: str, target: Target, cycle: int, values: Mapping[str, Any]) -> None:
        """Write a clock, or some values of one."""
        key = clock_id(number, target, cycle)
        before = self._clocks.get(key)
        if before is None:
            self._clocks.add(id=key, number=number, target=str(target), cycle=cycle, **values)
        else:
            self._clocks.change(before, **values)

    def note(self, number: str, change: Change, field: str, **values: Any) -> None:
        """Write who changed what, when and from where. values: before, after, reason."""
        entry = {"before": None, "after": None, "reason": ""} | values
        self._changes.append(
            number=number, at=change.moment, actor=change.actor, via=str(change.via), field=field, **entry
        )

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
        kept = ("at", "actor", "via", "field", "before", "after", "reason")
        return [{name: row[name] for name in kept} for row in self.work.connection.execute(statement).mappings()]

    def put_person(self, employee_number: str, known: Row | None, values: Mapping[str, Any]) -> Row:
        """Write what is kept of a person."""
        if known is None:
            row = self.people.add(employee_number=employee_number, **values)
        else:
            row = self.people.change(known, **values)
        self.duty.changed_people.add(employee_number)
        return row

    def open_tickets_of(self, assignee: str) -> list[Row]:
        """Lock and return the open tickets that somebody holds, those of this transaction among them."""
        if assignee not in self._holders:
            self._holders.add(assignee)
            self.tickets.find(and_(ticket.c.assignee == assignee, ticket.c.state.not_in(FINISHED)))
        return [row for row in self.tickets.seen() if row["assignee"] == assignee and row["state"] not in FINISHED]

    def page_of(self, scope: Mapping[str, Any], arguments: Mapping[str, Any], limit: int) -> Page:
        """Return a page of tickets; see `listing`."""
        return page_of(self.work.connection, scope, arguments, self.work.now, limit)

    def statistics(self, scope: Mapping[str, Any], begin_at: datetime, end_at: datetime) -> dict[str, Any]:
        """Return the figures of a period; see `statistics`."""
        return statistics(self.work.connection, scope, begin_at, end_at, self.work.now)

    def open_numbers(self, after: str, limit: int) -> list[str]:
        """Return numbers of open tickets, in order, those after one."""
        statement = select(ticket.c.number).where(OPEN, ticket.c.number > after, ~ticket.c.history)
        return list(self.work.connection.execute(statement.order_by(ticket.c.number).limit(limit)).scalars())

    def preload_groups(self, groups: Collection[str], departments: Collection[str]) -> None:
        """Read in few statements who may hold tickets of groups and departments."""
        if groups:
            self.duty.preload(groups, departments)
            self._expected_groups.update(groups)

    def has_queue(self, group: str) -> bool:
        """Tell whether tickets wait in a group's queue, this transaction's among them."""
        if group not in self._queues:
            # Only now, when nobody else can be given anything: who joins a queue meanwhile must be seen.
            self._read_queues(sorted({group, *self._expected_groups} - self._queues.keys()))
        return self._queues[group]

    def _read_queues(self, groups: Collection[str]) -> None:
        self._queues |= {group: has for group, has in self.work.connection.execute(_HAVE_QUEUE, {"groups": groups})}

    def joined_queue(self, group: str) -> None:
        """Know that a ticket of this transaction waits in a group's queue."""
        self._queues[group] = True

    def waiting_in(self, groups: Iterable[str]) -> list[Row]:
        """Lock and return the first tickets in the queues of groups; far more than anybody can take at once."""
        order = (ticket.c.priority, ticket.c.due_solution_at, ticket.c.opened_at, ticket.c.number)
        found: list[Row] = []
        for group in groups:
            waiting = select(ticket.c.number).where(ticket.c.group_name == group, ticket.c.waits)
            first = waiting.order_by(*order).limit(_MOST_WAITING)
            # Another transaction may have brought a ticket elsewhere before it could be locked.
            locked = self.tickets.find(ticket.c.number.in_(first))
            found += [row for row in locked if row["waits"] and row["group_name"] == group]
        return found

    def lock_unbegun(self, groups: Collection[str]) -> None:
        """Lock the tickets of groups that somebody holds and nobody has begun."""
        is_unbegun = and_(ticket.c.state == TicketState.NEW, ticket.c.assignee.is_not(None))
        self.tickets.find(and_(ticket.c.group_name.in_(groups), is_unbegun))

    def unbegun_in(self, group: str) -> list[Row]:
        """Return a group's tickets that somebody holds and nobody has begun, as far as they are locked."""
        return [
            row
            for row in self.tickets.seen()
            if row["group_name"] == group and row["state"] == TicketState.NEW and row["assignee"]
        ]


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
    if row["support_cycle"]:
        ids.append(clock_id(row["number"], Target.INTERNAL, row["support_cycle"]))
    return ids


#: What erases a person (S6): who they are, and what they wrote. Numbers of tickets and moments stay.
FORGET = (
    "delete from duty_shift where person = :number",
    "update duty_shift set stand_in = null where stand_in = :number",
    "delete from duty_swap where :number in (giver, taker)",
    "update assignment set person = nullif(person, :number), judged = (select coalesce(jsonb_agg(one), '[]') from"
    " jsonb_array_elements(judged) one where one ->> 'person' <> :number)"
    " where person = :number or judged @> jsonb_build_array(jsonb_build_object('person', cast(:number as text)))",
    "delete from attachment where actor = :number or number in (select number from ticket where requester = :number)",
    "update ticket_change set after = '' where field = 'attachment'"
    " and (actor = :number or number in (select number from ticket where requester = :number))",
    "update ticket set mail_from = null where mail_from = (select email from person where employee_number = :number)",
    "update register_entry set owner = '' where owner = :number",
    "delete from person where employee_number = :number",
    "update person_load set given_on = null, given_count = 0, given_at = null where person = :number",
    "delete from person_load where person = :number and open_count = 0",
    "update ticket set description = '', fields = '{}' where requester = :number",
    "update ticket set watchers = array_remove(watchers, :number) where :number = any(watchers)",
    "update ticket_comment set body = '' where actor = :number",
    "update survey set person = null, comment = '' where person = :number",
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
