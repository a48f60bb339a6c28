"""Feedback's tables, and how a transaction reads and writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
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
    func,
    or_,
    select,
    text,
)
from sqlalchemy import (
    Sequence as Numbers,
)

from contracts.words import FeedbackStatus
from eventkit.work import Row, Work
from services.tickets.tables import metadata, person

_moment = DateTime(timezone=True)
_OPEN = text(f"status <> '{FeedbackStatus.RESOLVED}'")

feedback_number = Numbers("feedback_number", metadata=metadata)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request_key", Text, unique=True, comment="source and externalref of the event; null without externalref"),
    Column("receipt_hash", Text, unique=True, comment="SHA-256 of the receipt code; the code itself is kept nowhere"),
    Column("text", Text, nullable=False),
    Column("way", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("feedback_class", Text),
    Column("owner", Text, comment="employee number of who follows it up"),
    Column("author", Text, comment="null when anonymous: then nothing else leads to a person"),
    Column("department", Text),
    Column("score", SmallInteger),
    Column("about_ticket", Text),
    Column("about_article", Text),
    Column("problem_code", Text),
    Column("answer", Text, nullable=False),
    Column("received_at", _moment, nullable=False),
    Column("changed_at", _moment, nullable=False, comment="the moment of the last change; none is earlier"),
    Column("history", Boolean, nullable=False),
    Index("feedback_by_author", "author", "id"),
    Index("feedback_by_owner", "owner", "id"),
    Index("feedback_by_department", "department", "id"),
    Index("feedback_open", "id", postgresql_where=_OPEN),
    comment="What people say of the desk, an article or a ticket (T9)",
)

feedback_change = Table(
    "feedback_change",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("feedback_id", Text, nullable=False),
    Column("at", _moment, nullable=False),
    Column("actor", Text, comment="an employee or a publisher; null for Liaison itself and anonymous people"),
    Column("field", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("reason", Text, nullable=False),
    Index("feedback_change_by_feedback", "feedback_id", "id"),
    comment="Who changed what, when and why (S4)",
)
#: The field of entries that hold what an author added.
INFORMATION = "information"


class FeedbackStore:
    """What one transaction sees and changes of feedback."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.rows = work.rows(feedback)
        self._changes = work.rows(feedback_change)
        self._people = work.rows(person)
        self._numbers: list[int] = []
        self._known: dict[str, Row | None] = {}

    def preload(self, request_keys: Iterable[str], count: int, receipts: Iterable[str] = ()) -> None:
        """Read and lock earlier feedback with these keys or receipts, and draw running numbers for so many new ones."""
        if keys := list(request_keys):
            self.rows.preload(keys, column="request_key")
        if hashes := list(receipts):
            self.rows.preload(hashes, column="receipt_hash")
        drawn = self.work.connection.execute(
            text("select nextval('feedback_number') from generate_series(1, :count)"), {"count": count}
        )
        self._numbers = list(drawn.scalars())[::-1]

    def next_number(self) -> int:
        """Return a running number that no feedback has."""
        if not self._numbers:
            self.preload((), 1)
        return self._numbers.pop()

    def earlier(self, request_key: str | None, receipt_hash: str | None) -> Row | None:
        """Return the feedback that came with the same key, or got the same receipt."""
        if request_key and (row := self.rows.get(request_key, column="request_key")):
            return row
        return self.rows.get(receipt_hash, column="receipt_hash") if receipt_hash else None

    def people(self, numbers: Sequence[str]) -> dict[str, Row]:
        """Return what is known of people, by number, with this transaction's changes.

        The rows are locked in share mode: who leaves now is seen, or sees what they own.
        """
        if missing := [number for number in numbers if number not in self._known]:
            statement = select(person).where(person.c.employee_number.in_(missing)).order_by(person.c.employee_number)
            stored = self.work.connection.execute(statement.with_for_update(read=True)).mappings()
            self._known |= dict.fromkeys(missing) | {row["employee_number"]: dict(row) for row in stored}
        changed = {row["employee_number"]: row for row in self._people.seen()}
        found = {number: changed.get(number) or self._known[number] for number in numbers}
        return {number: row for number, row in found.items() if row is not None}

    def person(self, number: str) -> Row | None:
        """Return what is known of somebody, locked."""
        return self._people.get(number)

    def open_of(self, owner: str) -> list[Row]:
        """Lock and return what somebody follows up and is not resolved, this transaction's changes included."""
        self.rows.find(and_(feedback.c.owner == owner, feedback.c.status != FeedbackStatus.RESOLVED))
        return [row for row in self.rows.seen() if row["owner"] == owner and row["status"] != FeedbackStatus.RESOLVED]

    def note(self, feedback_id: str, at: datetime, actor: str | None, field: str, **values: Any) -> None:
        """Write who changed what. values: before, after, reason."""
        entry = {"before": None, "after": None, "reason": ""} | values
        self._changes.append(feedback_id=feedback_id, at=at, actor=actor, field=field, **entry)

    def changes(self, feedback_id: str) -> list[Row]:
        """Return the changes of a feedback, oldest first, as committed."""
        columns = [feedback_change.c[name] for name in ("at", "actor", "field", "before", "after", "reason")]
        statement = select(*columns).where(feedback_change.c.feedback_id == feedback_id).order_by(feedback_change.c.id)
        return [dict(row) for row in self.work.connection.execute(statement).mappings()]

    def additions(self, feedback_id: str) -> int:
        """Return how often information was added."""
        added = and_(feedback_change.c.feedback_id == feedback_id, feedback_change.c.field == INFORMATION)
        return int(self.work.connection.execute(select(func.count()).where(added)).scalar_one())

    def listed(
        self, scope: Mapping[str, Any], filters: Mapping[str, Any], *, after: str | None, limit: int
    ) -> list[Row]:
        """Return feedback without locking it, newest first, what comes after a cursor's id."""
        conditions = [_scope_condition(scope)]
        for name in ("status", "feedback_class", "owner"):
            if filters.get(name) is not None:
                conditions.append(feedback.c[name] == filters[name])
        if filters.get("unowned"):
            conditions.append(feedback.c.owner.is_(None))
        if filters.get("unclassified"):
            conditions.append(feedback.c.feedback_class.is_(None))
        if after:
            conditions.append(feedback.c.id < after)
        statement = select(feedback).where(*conditions).order_by(feedback.c.id.desc()).limit(limit)
        return [dict(row) for row in self.work.connection.execute(statement).mappings()]


def _scope_condition(scope: Mapping[str, Any]) -> Any:
    """The same rule as `feedback_rules.is_visible`, for the database; a test compares the two."""
    person_is, department = scope.get("person"), scope.get("department")
    nothing = text("false")
    mine = or_(feedback.c.author == person_is, feedback.c.owner == person_is) if person_is is not None else nothing
    match scope.get("kind"):
        case "all":
            return text("true")
        case "own" | "group":
            return mine
        case "department":
            return or_(mine, feedback.c.department == department) if department is not None else mine
    return nothing
