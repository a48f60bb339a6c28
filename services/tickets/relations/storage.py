"""Links and quick texts: tables and queries."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, DateTime, Index, Table, Text, delete, or_, select
from sqlalchemy.dialects.postgresql import insert

from eventkit.work import Work
from services.tickets.relations.links import LinkKind
from services.tickets.tables import metadata

ticket_link = Table(
    "ticket_link",
    metadata,
    Column("number", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor", Text),
    Index("ticket_link_by_target", "target", "kind"),
)

quick_text = Table(
    "quick_text",
    metadata,
    Column("name", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("changed_by", Text),
)


class RelationStore:
    """What one transaction sees and changes of links and quick texts. Written at once, since few are."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def add(self, number: str, kind: LinkKind, target: str, at: datetime, actor: str | None) -> bool:
        """Write a link and tell whether it is new."""
        values = {"number": number, "kind": str(kind), "target": target, "at": at, "actor": actor}
        statement = insert(ticket_link).values(values).on_conflict_do_nothing()
        return self._work.connection.execute(statement).rowcount == 1

    def remove(self, number: str, kind: LinkKind, target: str) -> bool:
        """Delete a link and tell whether there was one."""
        where = (ticket_link.c.number == number, ticket_link.c.kind == str(kind), ticket_link.c.target == target)
        return self._work.connection.execute(delete(ticket_link).where(*where)).rowcount == 1

    def targets_of(self, number: str, kind: LinkKind) -> list[str]:
        """Return where a ticket's links of a kind lead."""
        where = (ticket_link.c.number == number, ticket_link.c.kind == str(kind))
        return list(self._work.connection.execute(select(ticket_link.c.target).where(*where)).scalars())

    def sources_of(self, target: str, kind: LinkKind) -> list[str]:
        """Return the tickets whose links of a kind lead to one."""
        where = (ticket_link.c.target == target, ticket_link.c.kind == str(kind))
        statement = select(ticket_link.c.number).where(*where).order_by(ticket_link.c.number)
        return list(self._work.connection.execute(statement).scalars())

    def links_of(self, number: str) -> list[dict[str, Any]]:
        """Return every link of a ticket, in either direction."""
        where = or_(ticket_link.c.number == number, ticket_link.c.target == number)
        statement = select(ticket_link).where(where).order_by(ticket_link.c.at, ticket_link.c.number)
        return [dict(row) for row in self._work.connection.execute(statement).mappings()]

    def quick_texts(self) -> list[dict[str, Any]]:
        """Return every quick text, by name."""
        statement = select(quick_text).order_by(quick_text.c.name)
        return [dict(row) for row in self._work.connection.execute(statement).mappings()]

    def quick_text(self, name: str) -> str | None:
        """Return a quick text."""
        statement = select(quick_text.c.body).where(quick_text.c.name == name)
        return self._work.connection.execute(statement).scalar()

    def put_quick_text(self, name: str, body: str, at: datetime, actor: str | None) -> None:
        """Write a quick text, or take it away when it is empty."""
        if not body:
            self._work.connection.execute(delete(quick_text).where(quick_text.c.name == name))
            return
        values = {"body": body, "changed_at": at, "changed_by": actor}
        statement = insert(quick_text).values(name=name, **values)
        self._work.connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
