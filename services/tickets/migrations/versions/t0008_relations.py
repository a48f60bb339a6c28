"""Links, quick texts, watchers; request types with their own fields; levels of secrecy; fingerprints."""

from __future__ import annotations

from alembic import op

revision = "t0008"
down_revision: str | None = "t0007"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE ticket ADD COLUMN request_type TEXT, ADD COLUMN fields JSONB NOT NULL DEFAULT '{}',
    ADD COLUMN secrecy TEXT NOT NULL DEFAULT 'internal', ADD COLUMN watchers TEXT[] NOT NULL DEFAULT '{}',
    ADD COLUMN fingerprint TEXT, ADD COLUMN open_fingerprint TEXT UNIQUE;

ALTER TABLE ticket ALTER COLUMN fields DROP DEFAULT, ALTER COLUMN secrecy DROP DEFAULT,
    ALTER COLUMN watchers DROP DEFAULT;

COMMENT ON COLUMN ticket.secrecy IS 'S6: public, internal or sensitive';

COMMENT ON COLUMN ticket.fingerprint IS 'source and fingerprint of the request';

COMMENT ON COLUMN ticket.open_fingerprint
    IS 'the same, while the ticket is open: another such request is an occurrence';

CREATE TABLE ticket_link (
    number TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    actor TEXT,
    PRIMARY KEY (number, kind, target)
);

CREATE INDEX ticket_link_by_target ON ticket_link (target, kind);

CREATE TABLE quick_text (
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    changed_by TEXT,
    PRIMARY KEY (name)
)
"""


def upgrade() -> None:
    """Add columns and tables."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
