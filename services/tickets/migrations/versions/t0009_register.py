"""The register of problems and risks."""

from __future__ import annotations

from alembic import op

revision = "t0009"
down_revision: str | None = "t0008"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE SEQUENCE register_number;

CREATE TABLE register_entry (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    status TEXT NOT NULL,
    owner TEXT NOT NULL,
    hotline TEXT,
    likelihood SMALLINT,
    impact SMALLINT NOT NULL,
    measures TEXT NOT NULL,
    due_on DATE,
    tickets TEXT[] NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX register_entry_by_owner ON register_entry (owner);

COMMENT ON COLUMN register_entry.kind IS 'problem or risk';

COMMENT ON COLUMN register_entry.likelihood IS '1 low to 4 high; of a risk';

COMMENT ON COLUMN register_entry.impact IS '1 low to 4 high';

CREATE TABLE register_change (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    entry TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    actor TEXT,
    field TEXT NOT NULL,
    before TEXT,
    after TEXT,
    PRIMARY KEY (id)
);

CREATE INDEX register_change_by_entry ON register_change (entry, id);

CREATE INDEX ticket_by_opening ON ticket (opened_at)
"""


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
