"""Whoever answers their own mail speaks of the same ticket."""

from __future__ import annotations

from alembic import op

revision = "g0003"
down_revision: str | None = "g0002"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE mail_in ADD COLUMN request_id TEXT;

COMMENT ON COLUMN mail_in.request_id IS 'of the mail that asked for the ticket, when no number names it'
"""


def upgrade() -> None:
    """Add what a mail answers."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
