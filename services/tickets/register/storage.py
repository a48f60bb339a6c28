"""The register's tables, and how a transaction reads and writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, Column, Date, DateTime, Identity, Index, SmallInteger, Table, Text, select, text
from sqlalchemy import Sequence as Numbers
from sqlalchemy.dialects.postgresql import ARRAY

from eventkit.work import Row, Work
from services.tickets.tables import metadata

register_number = Numbers("register_number", metadata=metadata)

register_entry = Table(
    "register_entry",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False, comment="problem or risk"),
    Column("title", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("hotline", Text),
    Column("likelihood", SmallInteger, comment="1 low to 4 high; of a risk"),
    Column("impact", SmallInteger, nullable=False, comment="1 low to 4 high"),
    Column("measures", Text, nullable=False),
    Column("due_on", Date),
    Column("tickets", ARRAY(Text), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Index("register_entry_by_owner", "owner"),
)

register_change = Table(
    "register_change",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("entry", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor", Text),
    Column("field", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Index("register_change_by_entry", "entry", "id"),
)


class RegisterStore:
    """What one transaction sees and changes of the register."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.entries = work.rows(register_entry)
        self._changes = work.rows(register_change)

    def next_number(self) -> int:
        """Return a running number that no entry has."""
        return int(self.work.connection.execute(text("select nextval('register_number')")).scalar_one())

    def note(self, entry: str, actor: str | None, field: str, before: Any, after: Any) -> None:
        """Write who changed what (S4)."""
        told = {name: None if one is None else str(one) for name, one in (("before", before), ("after", after))}
        self._changes.append(entry=entry, at=self.work.now, actor=actor, field=field, **told)

    def listed(self, filters: Mapping[str, Any]) -> list[Row]:
        """Return the entries, the gravest first."""
        statement = select(register_entry)
        for name in ("kind", "status", "owner"):
            if filters.get(name) is not None:
                statement = statement.where(register_entry.c[name] == filters[name])
        weight = register_entry.c.impact * text("coalesce(likelihood, 4)")
        statement = statement.order_by(weight.desc(), register_entry.c.id)
        return [dict(row) for row in self.work.connection.execute(statement).mappings()]

    def changes_of(self, entry: str) -> list[Row]:
        """Return what was changed on an entry, oldest first."""
        statement = select(register_change).where(register_change.c.entry == entry).order_by(register_change.c.id)
        kept = ("at", "actor", "field", "before", "after")
        return [{name: row[name] for name in kept} for row in self.work.connection.execute(statement).mappings()]
