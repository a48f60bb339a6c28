"""The first tables of metrics."""

from __future__ import annotations

from alembic import op

revision = "m0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE counter (
    series TEXT NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (series)
);

COMMENT ON TABLE counter IS 'What the page shows of what has happened; one that is absent is 0';

COMMENT ON COLUMN counter.series IS 'name and labels in Prometheus''s notation';

COMMENT ON COLUMN counter.value IS 'in whole units: sums of durations are microseconds';

CREATE TABLE delivery_fact (
    delivery_id TEXT NOT NULL,
    medium TEXT NOT NULL,
    rule TEXT NOT NULL,
    about_type TEXT NOT NULL,
    about_subject TEXT NOT NULL,
    priority INTEGER NOT NULL,
    recipient TEXT,
    outcome TEXT NOT NULL,
    delay_s DOUBLE PRECISION,
    settled_at TIMESTAMP WITH TIME ZONE NOT NULL,
    history BOOLEAN NOT NULL,
    last_sequence BIGINT NOT NULL,
    last_event TEXT NOT NULL,
    PRIMARY KEY (delivery_id)
);

COMMENT ON TABLE delivery_fact IS 'One row a message to a person, with what became of it last';

CREATE SEQUENCE journal_position;

CREATE TABLE journal (
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    arrived_at TIMESTAMP WITH TIME ZONE NOT NULL,
    position BIGINT DEFAULT nextval('journal_position') NOT NULL,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    partitionkey TEXT NOT NULL,
    sequence BIGINT,
    time TIMESTAMP WITH TIME ZONE NOT NULL,
    history BOOLEAN NOT NULL,
    headers JSONB NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (id, source, arrived_at)
)
 PARTITION BY RANGE (arrived_at);

CREATE INDEX journal_by_arrival ON journal (arrived_at);

CREATE INDEX journal_by_position ON journal USING brin (position);

CREATE INDEX journal_by_subject ON journal (subject, arrived_at);

COMMENT ON TABLE journal IS 'Every event, whole, by the month of its arrival here';

COMMENT ON COLUMN journal.arrived_at IS 'when it was written here; the partition''s month, UTC';

COMMENT ON COLUMN journal.position IS 'rises in the order of commits';

CREATE TABLE person_fact (
    employee_number TEXT NOT NULL,
    version BIGINT NOT NULL,
    active BOOLEAN NOT NULL,
    region TEXT,
    department TEXT,
    joined_on DATE,
    history BOOLEAN NOT NULL,
    last_event TEXT NOT NULL,
    PRIMARY KEY (employee_number)
);

CREATE INDEX person_fact_active ON person_fact (active) WHERE active;

COMMENT ON TABLE person_fact IS 'One row a person: what reports group by, and no way to reach anybody';

CREATE TABLE sla_fact (
    clock TEXT NOT NULL,
    ticket TEXT NOT NULL,
    target TEXT NOT NULL,
    cycle INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    stopped_at TIMESTAMP WITH TIME ZONE,
    priority INTEGER NOT NULL,
    retroactive BOOLEAN NOT NULL,
    history BOOLEAN NOT NULL,
    last_sequence BIGINT NOT NULL,
    last_event TEXT NOT NULL,
    PRIMARY KEY (clock)
);

CREATE INDEX sla_fact_breached ON sla_fact (due_at) WHERE outcome = 'breached' and not history;

CREATE INDEX sla_fact_by_ticket ON sla_fact (ticket);

COMMENT ON TABLE sla_fact IS 'One row a service level clock that warned, was met or was breached';

COMMENT ON COLUMN sla_fact.clock IS 'ticket/target/cycle';

COMMENT ON COLUMN sla_fact.outcome IS 'warned, met or breached';

CREATE TABLE ticket_fact (
    number TEXT NOT NULL,
    opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
    channel TEXT NOT NULL,
    category TEXT,
    priority INTEGER NOT NULL,
    region TEXT,
    group_name TEXT,
    department TEXT,
    state TEXT NOT NULL,
    assignee TEXT,
    responded_at TIMESTAMP WITH TIME ZONE,
    resolved_at TIMESTAMP WITH TIME ZONE,
    closed_at TIMESTAMP WITH TIME ZONE,
    reopen_count INTEGER NOT NULL,
    history BOOLEAN NOT NULL,
    last_sequence BIGINT NOT NULL,
    last_event TEXT NOT NULL,
    PRIMARY KEY (number)
);

CREATE INDEX ticket_fact_open ON ticket_fact (state, priority, opened_at) WHERE state not in ('resolved', 'closed');

COMMENT ON TABLE ticket_fact IS 'One row a ticket, as its events tell';

COMMENT ON COLUMN ticket_fact.responded_at IS 'the first answer';

COMMENT ON COLUMN ticket_fact.resolved_at IS 'the last solution, also when it did not hold';

COMMENT ON COLUMN ticket_fact.closed_at IS 'the last closing';

COMMENT ON COLUMN ticket_fact.history IS 'opened by an import';

COMMENT ON COLUMN ticket_fact.last_sequence IS 'place of the event that the present state is from';

CREATE TABLE journal_rest PARTITION OF journal DEFAULT;

COMMENT ON TABLE journal_rest IS 'Events of a month that has no partition yet, until make_journal_month moves them';

CREATE FUNCTION make_journal_month(moment TIMESTAMP WITH TIME ZONE) RETURNS BOOLEAN
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    begins TIMESTAMP WITH TIME ZONE = date_trunc('month', moment);
    ends TIMESTAMP WITH TIME ZONE = date_trunc('month', moment) + interval '1 month';
    partition TEXT = 'journal_' || to_char(date_trunc('month', moment), 'YYYY_MM');
BEGIN
    IF to_regclass(partition) IS NOT NULL THEN
        RETURN false;
    END IF;
    LOCK TABLE journal_rest IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('CREATE TABLE %I (LIKE journal INCLUDING DEFAULTS INCLUDING COMMENTS)', partition);
    EXECUTE format(
        'WITH moved AS (DELETE FROM journal_rest WHERE arrived_at >= %L AND arrived_at < %L RETURNING *)'
        ' INSERT INTO %I SELECT * FROM moved', begins, ends, partition);
    EXECUTE format('ALTER TABLE journal ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', partition, begins, ends);
    RETURN true;
END
$$;

COMMENT ON FUNCTION make_journal_month IS 'Make the partition of a month, UTC; false when it is there';

SELECT make_journal_month(now() + make_interval(months => ahead)) FROM generate_series(0, 3) AS ahead;

INSERT INTO eventkit.timer (kind, key, subject, due_at, payload)
VALUES ('journal_months', 'journal', 'journal', now(), '{}')
"""


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
