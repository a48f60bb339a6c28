"""From where a ticket was changed; who watches which tickets."""

from __future__ import annotations

from alembic import op

revision = "t0012"
down_revision: str | None = "t0011"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE INDEX ticket_by_watcher ON ticket USING gin (watchers);

COMMENT ON COLUMN ticket.fingerprint IS 'from where a request came, and its fingerprint';

ALTER TABLE ticket_change ADD COLUMN via TEXT;

COMMENT ON COLUMN ticket_change.via
    IS 'from where: an event''s source, else http, page, timer or command; null before t0012';

COMMENT ON TABLE ticket_change IS 'Who changed what, when, from where and why (S4)'
"""


def upgrade() -> None:
    """Add the column and the index."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
