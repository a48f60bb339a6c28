"""A job may be tried more often than a small number can count."""

from __future__ import annotations

from alembic import op

revision = "e0004"
down_revision: str | None = "e0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Widen the count; the release before reads and writes it all the same."""
    op.execute("ALTER TABLE eventkit.timer ALTER COLUMN attempts TYPE INTEGER")
