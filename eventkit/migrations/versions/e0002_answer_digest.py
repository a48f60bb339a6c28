"""A stored answer knows what was asked."""

from __future__ import annotations

from alembic import op

revision = "e0002"
down_revision: str | None = "e0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the digest; answers from before have none, and fit any question."""
    op.execute("ALTER TABLE eventkit.answer ADD COLUMN digest BYTEA")
    op.execute("COMMENT ON COLUMN eventkit.answer.digest IS 'SHA-256 of the arguments without the caller''s scope'")
