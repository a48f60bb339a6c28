"""Messages that are still to be told about somebody who was erased."""

from __future__ import annotations

from alembic import op

revision = "n0004"
down_revision: str | None = "n0003"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE delivery ADD COLUMN forget_text BOOLEAN NOT NULL DEFAULT false;

COMMENT ON COLUMN delivery.forget_text IS 'one of them was erased: the text goes once it is settled'
"""


def upgrade() -> None:
    """Add the column."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
