"""The first tables of notify."""

from __future__ import annotations

from alembic import op

revision = "n0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE delivery (
    id TEXT NOT NULL, 
    source TEXT NOT NULL, 
    event_id TEXT NOT NULL, 
    recipient TEXT NOT NULL, 
    medium TEXT NOT NULL, 
    rule TEXT NOT NULL, 
    template TEXT NOT NULL, 
    priority SMALLINT NOT NULL, 
    after_crash TEXT NOT NULL, 
    about_type TEXT NOT NULL, 
    about_subject TEXT NOT NULL, 
    about_data BYTEA NOT NULL, 
    traceparent TEXT, 
    state TEXT NOT NULL, 
    reason TEXT NOT NULL, 
    code INTEGER NOT NULL, 
    attempts SMALLINT NOT NULL, 
    unclear_attempts SMALLINT NOT NULL, 
    by_desk BOOLEAN NOT NULL, 
    arrived_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    ready_at TIMESTAMP WITH TIME ZONE, 
    tried_at TIMESTAMP WITH TIME ZONE, 
    settled_at TIMESTAMP WITH TIME ZONE, 
    PRIMARY KEY (id), 
    CONSTRAINT delivery_once UNIQUE (source, event_id, recipient, medium)
);

CREATE INDEX delivery_open ON delivery (state, created_at) WHERE settled_at is null;

CREATE INDEX delivery_waiting ON delivery (recipient) WHERE state = 'waiting_contact';

COMMENT ON TABLE delivery IS 'One message to one person by one channel about one event';

COMMENT ON COLUMN delivery.recipient IS 'employee number, or `the desk`';

COMMENT ON COLUMN delivery.after_crash IS 'repeat or unknown, as the rule said when this was decided';

COMMENT ON COLUMN delivery.about_data IS 'the event''s data, JSON, from which the text is made';

COMMENT ON COLUMN delivery.code IS 'the channel''s last code, 0 for none';

COMMENT ON COLUMN delivery.unclear_attempts IS 'tries that may have gone out';

COMMENT ON COLUMN delivery.by_desk IS 'the recipient had no address, so the desk gets it';

COMMENT ON COLUMN delivery.arrived_at IS 'when the event arrived at Liaison';

COMMENT ON COLUMN delivery.ready_at IS 'since when it could be sent';

CREATE TABLE person (
    employee_number TEXT NOT NULL, 
    version BIGINT NOT NULL, 
    name TEXT NOT NULL, 
    email TEXT, 
    language TEXT NOT NULL, 
    time_zone TEXT NOT NULL, 
    manager TEXT, 
    active BOOLEAN NOT NULL, 
    PRIMARY KEY (employee_number)
);

COMMENT ON TABLE person IS 'How to reach people, from person.changed; an older version never overwrites a newer'
"""


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
