"""When the watchdog was last heard."""

from __future__ import annotations

from alembic import op

revision = "n0002"
down_revision: str | None = "n0001"
branch_labels = None
depends_on = None

# The row is there from the start, so that a watchdog that never comes is missed as well.
STATEMENTS = """
CREATE TABLE watchdog (
    name TEXT NOT NULL,
    heard_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (name)
);

COMMENT ON TABLE watchdog 
    IS 'When the alert that always fires last came the whole way through Alertmanager and the doors';

COMMENT ON COLUMN watchdog.heard_at IS 'when that alert arrived at the gateway';

INSERT INTO watchdog VALUES ('Watchdog', now())
"""


def upgrade() -> None:
    """Create the table."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
