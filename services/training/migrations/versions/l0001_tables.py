"""The first tables of training."""

from __future__ import annotations

from alembic import op

revision = "l0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE attempt (
    id TEXT NOT NULL, 
    enrolment TEXT NOT NULL, 
    number INTEGER NOT NULL, 
    passed BOOLEAN NOT NULL, 
    score FLOAT, 
    ended_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    claimed_at TIMESTAMP WITH TIME ZONE, 
    source TEXT NOT NULL, 
    modules TEXT[] NOT NULL, 
    retraining_due_on DATE, 
    PRIMARY KEY (id)
);

CREATE INDEX attempt_by_enrolment ON attempt (enrolment, number);

COMMENT ON TABLE attempt IS 'How attempts at courses ended: once per course, learner and number (L16)';

COMMENT ON COLUMN attempt.id IS 'course, learner, number, with spaces between';

COMMENT ON COLUMN attempt.ended_at IS 'the moment that counts';

COMMENT ON COLUMN attempt.claimed_at IS 'the moment that was reported, believable or not';

COMMENT ON COLUMN attempt.source IS 'who reported it';

COMMENT ON COLUMN attempt.modules IS 'titles of what is learnt again after a failure';

CREATE TABLE catalogue_change (
    id BIGINT GENERATED ALWAYS AS IDENTITY, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    actor TEXT, 
    thing TEXT NOT NULL, 
    name TEXT NOT NULL, 
    before JSONB, 
    after JSONB NOT NULL, 
    PRIMARY KEY (id)
);

CREATE INDEX catalogue_change_by_name ON catalogue_change (thing, name, id);

COMMENT ON TABLE catalogue_change IS 'Who changed what in the catalogue, and when (S4)';

COMMENT ON COLUMN catalogue_change.thing IS 'course or contact';

COMMENT ON COLUMN catalogue_change.name IS 'the course''s code or the department';

CREATE TABLE contact (
    department TEXT NOT NULL, 
    employee_number TEXT NOT NULL, 
    PRIMARY KEY (department)
);

CREATE INDEX contact_by_person ON contact (employee_number);

COMMENT ON COLUMN contact.department IS 'a path; it stands for the departments below it too';

CREATE TABLE course (
    code TEXT NOT NULL, 
    title TEXT NOT NULL, 
    known BOOLEAN NOT NULL, 
    modules JSONB NOT NULL, 
    materials JSONB NOT NULL, 
    next_course TEXT, 
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    PRIMARY KEY (code)
);

COMMENT ON COLUMN course.known IS 'false: only reported so far, nobody wrote it into the catalogue';

COMMENT ON COLUMN course.modules IS 'list of title, problem_codes, class_hours';

COMMENT ON COLUMN course.materials IS 'list of material_id, title, url, summary';

CREATE TABLE enrolment (
    id TEXT NOT NULL, 
    course TEXT NOT NULL, 
    learner TEXT NOT NULL, 
    state TEXT NOT NULL, 
    enrolled_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    due_on DATE, 
    reported BOOLEAN NOT NULL, 
    highest INTEGER NOT NULL, 
    highest_passed INTEGER NOT NULL, 
    completed_at TIMESTAMP WITH TIME ZONE, 
    class_hours FLOAT, 
    history BOOLEAN NOT NULL, 
    PRIMARY KEY (id)
);

CREATE INDEX enrolment_by_course ON enrolment (course, id);

CREATE INDEX enrolment_by_learner ON enrolment (learner, id);

COMMENT ON COLUMN enrolment.id IS 'course, a space, learner';

COMMENT ON COLUMN enrolment.reported IS 'known only because a completion was reported';

COMMENT ON COLUMN enrolment.highest IS 'the highest attempt that was reported, 0 for none';

COMMENT ON COLUMN enrolment.highest_passed IS 'the highest attempt that was passed, 0 for none';

COMMENT ON COLUMN enrolment.completed_at IS 'when the course counted as completed for the first time';

COMMENT ON COLUMN enrolment.class_hours IS 'what the course counted then; null when the catalogue did not know it';

CREATE TABLE person (
    employee_number TEXT NOT NULL, 
    version BIGINT NOT NULL, 
    department TEXT, 
    manager TEXT, 
    active BOOLEAN NOT NULL, 
    PRIMARY KEY (employee_number)
)
"""


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
