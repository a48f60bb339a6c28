"""Whether a clock stopped because its target was reached."""

from __future__ import annotations

from alembic import op

revision = "t0011"
down_revision: str | None = "t0010"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE clock ADD COLUMN has_outcome BOOLEAN DEFAULT true NOT NULL;

COMMENT ON COLUMN clock.has_outcome IS 'false when it stopped because its target does not hold any more'
"""


def upgrade() -> None:
    """Add the column."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
