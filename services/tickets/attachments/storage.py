"""The table of attachments, and how a transaction reads and writes it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text, select

from eventkit.work import Row, Work
from services.tickets.tables import metadata

attachment = Table(
    "attachment",
    metadata,
    Column("id", Text, primary_key=True),
    Column("number", Text, nullable=False, comment="of the ticket"),
    Column("name", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False, comment="of the content, which the gateway keeps under it"),
    Column("content_type", Text, nullable=False),
    Column("level", Text, nullable=False, comment="public: the requester sees it too; internal: the desk only (S6)"),
    Column("actor", Text, comment="who added it: an employee, or another system"),
    Column("added_at", DateTime(timezone=True), nullable=False),
    Index("attachment_by_number", "number", "added_at"),
    Index("attachment_by_content", "sha256"),
    comment="Files on tickets; their bytes lie with the gateway",
)


class Attachments:
    """What one transaction sees and adds of attachments."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._rows = work.rows(attachment)

    def get(self, attachment_id: str) -> Row | None:
        """Return an attachment."""
        return self._rows.get(attachment_id)

    def add(self, **values: Any) -> Row:
        """Add an attachment."""
        return self._rows.add(**values)

    def of_ticket(self, number: str) -> list[Row]:
        """Return a ticket's attachments, oldest first, without locking them."""
        statement = select(attachment).where(attachment.c.number == number)
        rows = self._work.connection.execute(statement.order_by(attachment.c.added_at, attachment.c.id)).mappings()
        return [dict(row) for row in rows]
