"""What requesters say of solutions."""

from __future__ import annotations

from alembic import op

revision = "t0005"
down_revision: str | None = "t0004"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE survey (
    id TEXT NOT NULL,
    number TEXT NOT NULL,
    cycle INTEGER NOT NULL,
    person TEXT,
    rating SMALLINT NOT NULL,
    comment TEXT NOT NULL,
    answered_at TIMESTAMP WITH TIME ZONE NOT NULL,
    follow_up TEXT,
    PRIMARY KEY (id)
);

CREATE INDEX survey_by_number ON survey (number);

COMMENT ON COLUMN survey.id IS 'ticket/cycle: one for each solution';

COMMENT ON COLUMN survey.rating IS '1 worst to 5 best';

COMMENT ON COLUMN survey.follow_up IS 'the ticket that a low rating has opened'
"""


def upgrade() -> None:
    """Create the table."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
