"""A timer knows the trace that it belongs to."""

from __future__ import annotations

from alembic import op

revision = "e0003"
down_revision: str | None = "e0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the trace; timers from before have none, and the release before leaves it out."""
    op.execute("ALTER TABLE eventkit.timer ADD COLUMN traceparent TEXT")
    op.execute(
        "COMMENT ON COLUMN eventkit.timer.traceparent IS 'the trace of what armed it, which its effect carries on'"
    )
