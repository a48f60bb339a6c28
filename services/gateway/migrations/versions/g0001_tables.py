"""The first tables of the gateway."""

from __future__ import annotations

from alembic import op

revision = "g0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE accepted (
    source TEXT NOT NULL, 
    id TEXT NOT NULL, 
    publisher TEXT NOT NULL, 
    type TEXT NOT NULL, 
    becomes TEXT NOT NULL, 
    door TEXT NOT NULL, 
    repeats INTEGER DEFAULT 0 NOT NULL, 
    arrived_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    PRIMARY KEY (source, id)
);

CREATE INDEX accepted_arrived_at ON accepted USING brin (arrived_at);

COMMENT ON TABLE accepted IS 'Every event that was accepted, so that a repeat changes nothing';

COMMENT ON COLUMN accepted.type IS 'the publisher''s own';

COMMENT ON COLUMN accepted.becomes IS 'the type under which it was emitted';

COMMENT ON COLUMN accepted.repeats IS 'how often it came again';

CREATE TABLE publisher (
    name TEXT NOT NULL, 
    source TEXT NOT NULL, 
    may TEXT[] NOT NULL, 
    history BOOLEAN NOT NULL, 
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    PRIMARY KEY (name), 
    UNIQUE (source)
);

COMMENT ON TABLE publisher IS 'Other systems that may publish';

COMMENT ON COLUMN publisher.name IS 'also the broker account and the token''s name';

COMMENT ON COLUMN publisher.may IS 'patterns of types; no two publishers'' overlap';

CREATE TABLE refusal (
    publisher TEXT NOT NULL, 
    digest TEXT NOT NULL, 
    event_id TEXT NOT NULL, 
    type TEXT NOT NULL, 
    field TEXT NOT NULL, 
    reason TEXT NOT NULL, 
    door TEXT NOT NULL, 
    sent BYTEA NOT NULL, 
    refused_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    PRIMARY KEY (publisher, digest)
);

CREATE INDEX refusal_by_event ON refusal (publisher, event_id);

CREATE INDEX refusal_refused_at ON refusal USING brin (refused_at);

COMMENT ON TABLE refusal IS 'What the doors refused, and why';

COMMENT ON COLUMN refusal.digest IS 'SHA-256 of what was sent: the same bytes are refused once';

COMMENT ON COLUMN refusal.sent IS 'content type, headers and body; the first 64 KiB';

CREATE TABLE token (
    hash BYTEA NOT NULL, 
    name TEXT NOT NULL, 
    role TEXT NOT NULL, 
    person TEXT, 
    groups TEXT[] NOT NULL, 
    department TEXT, 
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    revoked_at TIMESTAMP WITH TIME ZONE, 
    PRIMARY KEY (hash)
);

CREATE UNIQUE INDEX token_name_once ON token (name) WHERE revoked_at is null;

COMMENT ON TABLE token IS 'Bearer tokens of the HTTP door';

COMMENT ON COLUMN token.hash IS 'SHA-256 of the token; the token itself is kept nowhere';

COMMENT ON COLUMN token.person IS 'employee number'
"""


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
