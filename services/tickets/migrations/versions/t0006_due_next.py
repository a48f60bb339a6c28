"""The moment at which a ticket's next target is due, for lists by remaining time."""

from __future__ import annotations

from alembic import op

revision = "t0006"
down_revision: str | None = "t0005"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE ticket ADD COLUMN due_next_at TIMESTAMP WITH TIME ZONE;

UPDATE ticket SET due_next_at = (SELECT min(c.due_at) FROM clock c WHERE c.number = ticket.number
    AND c.stopped_at IS NULL AND NOT coalesce(c.pauses -> -1 ->> 'end_at' IS NULL AND jsonb_array_length(c.pauses) > 0,
    false)) WHERE state NOT IN ('resolved', 'closed');

COMMENT ON COLUMN ticket.due_next_at IS 'the earliest due moment of a clock that runs; null when none does';

CREATE INDEX ticket_open_by_next ON ticket (due_next_at, number) WHERE state not in ('resolved', 'closed')
"""


def upgrade() -> None:
    """Add the column and its index."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
