"""Duty roster, assignments with their reasons, queues, skills and capacities."""

from __future__ import annotations

from alembic import op

revision = "t0004"
down_revision: str | None = "t0003"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE person ADD COLUMN skills TEXT[] NOT NULL DEFAULT '{}', ADD COLUMN capacity INTEGER;

ALTER TABLE person ALTER COLUMN skills DROP DEFAULT;

COMMENT ON COLUMN person.capacity IS 'open tickets at most; null: as the policy file says';

ALTER TABLE ticket ADD COLUMN support_level SMALLINT NOT NULL DEFAULT 2,
    ADD COLUMN waits BOOLEAN NOT NULL DEFAULT false;

UPDATE ticket SET waits = true
    WHERE state NOT IN ('resolved', 'closed') AND assignee IS NULL AND group_name IS NOT NULL AND NOT history;

ALTER TABLE ticket ALTER COLUMN support_level DROP DEFAULT, ALTER COLUMN waits DROP DEFAULT;

COMMENT ON COLUMN ticket.support_level IS 'T4: 1 key user, 2 specialist, 3 team, 4 vendor';

COMMENT ON COLUMN ticket.waits IS 'in its group''s queue, to be drawn when somebody has room';

CREATE INDEX ticket_waiting ON ticket (group_name) WHERE waits;

CREATE TABLE duty_shift (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    group_name TEXT NOT NULL,
    level SMALLINT NOT NULL,
    person TEXT NOT NULL,
    begin_at TIMESTAMP WITH TIME ZONE NOT NULL,
    end_at TIMESTAMP WITH TIME ZONE NOT NULL,
    stand_in TEXT,
    PRIMARY KEY (id)
);

CREATE INDEX duty_shift_by_group ON duty_shift (group_name, end_at);

CREATE TABLE duty_swap (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    group_name TEXT NOT NULL,
    level SMALLINT NOT NULL,
    giver TEXT NOT NULL,
    taker TEXT NOT NULL,
    begin_at TIMESTAMP WITH TIME ZONE NOT NULL,
    end_at TIMESTAMP WITH TIME ZONE NOT NULL,
    agreed_by TEXT,
    PRIMARY KEY (id)
);

CREATE INDEX duty_swap_by_group ON duty_swap (group_name, end_at);

CREATE TABLE duty_gap (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    group_name TEXT NOT NULL,
    level SMALLINT NOT NULL,
    begin_at TIMESTAMP WITH TIME ZONE NOT NULL,
    end_at TIMESTAMP WITH TIME ZONE NOT NULL,
    goes_on BOOLEAN NOT NULL,
    PRIMARY KEY (id)
);

COMMENT ON TABLE duty_gap IS 'The gaps that the last look found, so that each is told once';

CREATE TABLE assignment (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    number TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    group_name TEXT NOT NULL,
    person TEXT,
    waits_for TEXT,
    skill_lifted BOOLEAN NOT NULL,
    judged JSONB NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX assignment_by_number ON assignment (number, id);

CREATE INDEX assignment_by_person ON assignment (person, at);

COMMENT ON TABLE assignment IS 'Why each ticket was given to whom (T3)';

COMMENT ON COLUMN assignment.judged IS 'person, score, open_count, capacity, why passed over'
"""


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
