"""The first tables of eventkit."""

from __future__ import annotations

from alembic import op

revision = "e0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE SCHEMA IF NOT EXISTS eventkit;

CREATE TABLE eventkit.answer (
    key TEXT NOT NULL, 
    method TEXT NOT NULL, 
    answer BYTEA NOT NULL, 
    answered_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    PRIMARY KEY (key)
);

CREATE INDEX answer_answered_at ON eventkit.answer USING brin (answered_at);

COMMENT ON TABLE eventkit.answer IS 'Answers of commands by idempotency key, written in the command''s own transaction';

CREATE TABLE eventkit.attempt (
    source TEXT NOT NULL, 
    id TEXT NOT NULL, 
    together INTEGER DEFAULT '0' NOT NULL, 
    alone INTEGER DEFAULT '0' NOT NULL, 
    marked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    PRIMARY KEY (source, id)
);

COMMENT ON TABLE eventkit.attempt
    IS 'Tries of redelivered events, marked before the try, so that one that kills the process is found';

CREATE TABLE eventkit.held_event (
    position BIGINT GENERATED ALWAYS AS IDENTITY, 
    source TEXT NOT NULL, 
    id TEXT NOT NULL, 
    type TEXT NOT NULL, 
    partitionkey TEXT, 
    state TEXT NOT NULL, 
    reason TEXT NOT NULL, 
    attempts INTEGER DEFAULT '0' NOT NULL, 
    headers JSONB NOT NULL, 
    body BYTEA NOT NULL, 
    arrived_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    PRIMARY KEY (position), 
    CONSTRAINT held_event_once UNIQUE (source, id)
);

CREATE INDEX held_event_by_subject ON eventkit.held_event (partitionkey, position);

COMMENT ON TABLE eventkit.held_event
    IS 'Events that wait, and events that could not be handled, whole and with the reason';

COMMENT ON COLUMN eventkit.held_event.partitionkey IS 'null when the event blocks nobody';

COMMENT ON COLUMN eventkit.held_event.state IS 'held or dead';

CREATE TABLE eventkit.held_subject (
    partitionkey TEXT NOT NULL, 
    reason TEXT NOT NULL, 
    due_at TIMESTAMP WITH TIME ZONE, 
    held_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    PRIMARY KEY (partitionkey)
);

CREATE INDEX held_subject_due_at ON eventkit.held_subject (due_at);

COMMENT ON TABLE eventkit.held_subject IS 'Subjects whose later events wait; consumer and drain lock the row alike';

COMMENT ON COLUMN eventkit.held_subject.due_at
    IS 'when the drain tries again; null while a dead event blocks the subject';

CREATE TABLE eventkit.inbox (
    source TEXT NOT NULL, 
    id TEXT NOT NULL, 
    type TEXT NOT NULL, 
    state TEXT NOT NULL, 
    arrived_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    PRIMARY KEY (source, id)
);

CREATE INDEX inbox_arrived_at ON eventkit.inbox USING brin (arrived_at);

COMMENT ON TABLE eventkit.inbox IS 'Every event that this service has seen, so that a repeat changes nothing';

COMMENT ON COLUMN eventkit.inbox.state IS 'handled, held, dead or discarded';

CREATE TABLE eventkit.outbox (
    position BIGINT GENERATED ALWAYS AS IDENTITY, 
    id TEXT NOT NULL, 
    aggregatetype TEXT NOT NULL, 
    aggregateid TEXT NOT NULL, 
    type TEXT NOT NULL, 
    headers JSONB NOT NULL, 
    payload BYTEA NOT NULL, 
    emitted_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    sent_at TIMESTAMP WITH TIME ZONE, 
    PRIMARY KEY (position)
);

CREATE INDEX outbox_emitted_at ON eventkit.outbox USING brin (emitted_at);

CREATE INDEX outbox_unsent ON eventkit.outbox (position) WHERE sent_at is null;

COMMENT ON TABLE eventkit.outbox
    IS 'Events that commit together with the change that they announce; column names as Debezium expects them';

COMMENT ON COLUMN eventkit.outbox.aggregatetype IS 'the event''s source';

COMMENT ON COLUMN eventkit.outbox.aggregateid IS 'the event''s subject';

CREATE TABLE eventkit.partitioning (
    generation SERIAL NOT NULL, 
    partitions INTEGER NOT NULL, 
    since TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    PRIMARY KEY (generation)
);

COMMENT ON TABLE eventkit.partitioning IS 'Which generation of the service''s queues is consumed: the highest';

CREATE TABLE eventkit.replica (
    id TEXT NOT NULL, 
    seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
    PRIMARY KEY (id)
);

COMMENT ON TABLE eventkit.replica IS 'The running replicas, so that each knows its even share of the partitions';

CREATE TABLE eventkit.subject_sequence (
    partitionkey TEXT NOT NULL, 
    last BIGINT NOT NULL, 
    PRIMARY KEY (partitionkey)
);

COMMENT ON TABLE eventkit.subject_sequence
    IS 'The last sequence number given out for a subject; its row orders the emitters';

CREATE TABLE eventkit.timer (
    id BIGINT GENERATED ALWAYS AS IDENTITY, 
    kind TEXT NOT NULL, 
    key TEXT NOT NULL, 
    subject TEXT NOT NULL, 
    due_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    version INTEGER DEFAULT '1' NOT NULL, 
    payload JSONB NOT NULL, 
    is_job BOOLEAN DEFAULT false NOT NULL, 
    attempts SMALLINT DEFAULT '0' NOT NULL, 
    running_until TIMESTAMP WITH TIME ZONE, 
    PRIMARY KEY (id), 
    CONSTRAINT timer_once UNIQUE (kind, key)
);

CREATE INDEX timer_due ON eventkit.timer (is_job, due_at);

COMMENT ON TABLE eventkit.timer
    IS 'What is to happen later: timers fire inside a transaction, jobs call the outside between two';

COMMENT ON COLUMN eventkit.timer.key IS 'what the timer is for, unique within its kind';

COMMENT ON COLUMN eventkit.timer.running_until IS 'a job whose call is under way; past it the process is taken for dead'
"""


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
