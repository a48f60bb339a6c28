"""Feedback and its changes."""

from __future__ import annotations

from alembic import op

revision = "t0002"
down_revision: str | None = "t0001"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE SEQUENCE feedback_number;

CREATE TABLE feedback (
    id TEXT NOT NULL,
    request_key TEXT,
    receipt_hash TEXT,
    text TEXT NOT NULL,
    way TEXT NOT NULL,
    status TEXT NOT NULL,
    feedback_class TEXT,
    owner TEXT,
    author TEXT,
    department TEXT,
    score SMALLINT,
    about_ticket TEXT,
    about_article TEXT,
    problem_code TEXT,
    answer TEXT NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    history BOOLEAN NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (request_key),
    UNIQUE (receipt_hash)
);

CREATE INDEX feedback_by_author ON feedback (author, id);

CREATE INDEX feedback_by_department ON feedback (department, id);

CREATE INDEX feedback_by_owner ON feedback (owner, id);

CREATE INDEX feedback_open ON feedback (id) WHERE status <> 'resolved';

COMMENT ON TABLE feedback IS 'What people say of the desk, an article or a ticket (T9)';

COMMENT ON COLUMN feedback.request_key IS 'source and externalref of the event; null without externalref';

COMMENT ON COLUMN feedback.receipt_hash IS 'SHA-256 of the receipt code; the code itself is kept nowhere';

COMMENT ON COLUMN feedback.owner IS 'employee number of who follows it up';

COMMENT ON COLUMN feedback.author IS 'null when anonymous: then nothing else leads to a person';

COMMENT ON COLUMN feedback.changed_at IS 'the moment of the last change; none is earlier';

CREATE TABLE feedback_change (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    feedback_id TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    actor TEXT,
    field TEXT NOT NULL,
    before TEXT,
    after TEXT,
    reason TEXT NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX feedback_change_by_feedback ON feedback_change (feedback_id, id);

COMMENT ON TABLE feedback_change IS 'Who changed what, when and why (S4)';

COMMENT ON COLUMN feedback_change.actor IS 'an employee or a publisher; null for Liaison itself and anonymous people'
"""


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
