"""The first tables of tickets."""

from __future__ import annotations

from alembic import op

revision = "t0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE SEQUENCE ticket_number;

CREATE TABLE clock (
    id TEXT NOT NULL, 
    number TEXT NOT NULL, 
    target TEXT NOT NULL, 
    cycle INTEGER NOT NULL, 
    started_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    target_s INTEGER NOT NULL, 
    paused_s FLOAT NOT NULL, 
    paused_at TIMESTAMP WITH TIME ZONE, 
    stopped_at TIMESTAMP WITH TIME ZONE, 
    missed_due_at TIMESTAMP WITH TIME ZONE, 
    PRIMARY KEY (id)
);

CREATE INDEX clock_by_number ON clock (number);

COMMENT ON COLUMN clock.id IS 'ticket/target/cycle';

CREATE TABLE person (
    employee_number TEXT NOT NULL, 
    version BIGINT NOT NULL, 
    department TEXT, 
    region TEXT, 
    groups TEXT[] NOT NULL, 
    is_engineer BOOLEAN NOT NULL, 
    active BOOLEAN NOT NULL, 
    away JSONB NOT NULL, 
    PRIMARY KEY (employee_number)
);

CREATE INDEX person_groups ON person USING gin (groups);

CREATE TABLE ticket (
    number TEXT NOT NULL, 
    request_key TEXT, 
    externalref TEXT, 
    title TEXT NOT NULL, 
    description TEXT NOT NULL, 
    state TEXT NOT NULL, 
    state_since TIMESTAMP WITH TIME ZONE NOT NULL, 
    priority SMALLINT NOT NULL, 
    impact SMALLINT, 
    urgency SMALLINT, 
    channel TEXT NOT NULL, 
    requester TEXT, 
    requester_known BOOLEAN NOT NULL, 
    assignee TEXT, 
    group_name TEXT, 
    region TEXT, 
    department TEXT, 
    category TEXT, 
    subcategory TEXT, 
    problem_code TEXT, 
    opened_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    responded_at TIMESTAMP WITH TIME ZONE, 
    resolved_at TIMESTAMP WITH TIME ZONE, 
    resolved_by TEXT, 
    closed_at TIMESTAMP WITH TIME ZONE, 
    solution TEXT NOT NULL, 
    due_response_at TIMESTAMP WITH TIME ZONE, 
    due_solution_at TIMESTAMP WITH TIME ZONE, 
    reopen_count INTEGER NOT NULL, 
    occurrences INTEGER NOT NULL, 
    history BOOLEAN NOT NULL, 
    PRIMARY KEY (number), 
    UNIQUE (request_key)
);

CREATE INDEX ticket_by_department ON ticket (department, number);

CREATE INDEX ticket_by_group ON ticket (group_name, number);

CREATE INDEX ticket_by_requester ON ticket (requester, number);

CREATE INDEX ticket_open_by_assignee ON ticket (assignee) WHERE state not in ('resolved', 'closed');

CREATE INDEX ticket_open_by_due ON ticket (due_solution_at, number) WHERE state not in ('resolved', 'closed');

COMMENT ON COLUMN ticket.request_key IS 'source and externalref of the request; null without externalref';

COMMENT ON COLUMN ticket.changed_at IS 'the moment of the last change; none is earlier';

CREATE TABLE ticket_change (
    id BIGINT GENERATED ALWAYS AS IDENTITY, 
    number TEXT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT, 
    field TEXT NOT NULL, 
    before TEXT, 
    after TEXT, 
    reason TEXT NOT NULL, 
    PRIMARY KEY (id)
);

CREATE INDEX ticket_change_by_number ON ticket_change (number, id);

COMMENT ON TABLE ticket_change IS 'Who changed what, when and why (S4)';

COMMENT ON COLUMN ticket_change.actor IS 'who: an employee, a publisher, or null for Liaison itself';

CREATE TABLE ticket_comment (
    id TEXT NOT NULL, 
    number TEXT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT, 
    body TEXT NOT NULL, 
    is_public BOOLEAN NOT NULL, 
    PRIMARY KEY (id)
);

CREATE INDEX ticket_comment_by_number ON ticket_comment (number, at)
"""


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
