"""The facts of training, of feedback and of everything that windows count.

Afterwards `liaison metrics rebuild` fills them from the journal.
"""

from __future__ import annotations

from alembic import op

revision = "m0002"
down_revision: str | None = "m0001"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE feedback_fact (
    feedback_id TEXT NOT NULL, 
    way TEXT NOT NULL, 
    status TEXT NOT NULL, 
    feedback_class TEXT, 
    score INTEGER, 
    department TEXT, 
    received_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    answered_at TIMESTAMP WITH TIME ZONE, 
    history BOOLEAN NOT NULL, 
    last_sequence BIGINT NOT NULL, 
    last_event TEXT NOT NULL, 
    PRIMARY KEY (feedback_id)
);

CREATE INDEX feedback_fact_open ON feedback_fact (feedback_class) WHERE status <> 'resolved';

CREATE INDEX feedback_fact_received ON feedback_fact (received_at) WHERE not history;

COMMENT ON TABLE feedback_fact IS 'One row a piece of feedback as it stands, without its text and its author';

COMMENT ON COLUMN feedback_fact.feedback_class IS 'absent until somebody has classified it';

COMMENT ON COLUMN feedback_fact.score IS '1 worst to 5 best';

COMMENT ON COLUMN feedback_fact.answered_at IS 'the first answer';

CREATE TABLE enrolment_fact (
    enrolment TEXT NOT NULL, 
    course TEXT NOT NULL, 
    learner TEXT NOT NULL, 
    department TEXT, 
    enrolled_at TIMESTAMP WITH TIME ZONE, 
    completed_at TIMESTAMP WITH TIME ZONE, 
    completed_history BOOLEAN NOT NULL, 
    last_sequence BIGINT NOT NULL, 
    last_event TEXT NOT NULL, 
    PRIMARY KEY (enrolment)
);

CREATE INDEX enrolment_fact_completed ON enrolment_fact (completed_at) WHERE not completed_history;

COMMENT ON TABLE enrolment_fact IS 'One row a person and course, with how it ended';

COMMENT ON COLUMN enrolment_fact.enrolment IS 'course/employee number';

COMMENT ON COLUMN enrolment_fact.completed_at IS 'the first completion';

COMMENT ON COLUMN enrolment_fact.completed_history IS 'the completion was imported';

CREATE TABLE happening_fact (
    happening TEXT NOT NULL, 
    what TEXT NOT NULL, 
    at TIMESTAMP WITH TIME ZONE NOT NULL, 
    subject TEXT NOT NULL, 
    priority INTEGER, 
    word TEXT, 
    took_us BIGINT, 
    history BOOLEAN NOT NULL, 
    PRIMARY KEY (happening)
);

CREATE INDEX happening_fact_recent ON happening_fact (at) INCLUDE (what, priority, word, took_us) WHERE not history;

COMMENT ON TABLE happening_fact IS 'One row a moment that windows count: tickets opened, answered, solved, reopened, …';

COMMENT ON COLUMN happening_fact.happening IS 'source and id of the event that told of it';

COMMENT ON COLUMN happening_fact.priority IS 'of the ticket, then';

COMMENT ON COLUMN happening_fact.word IS 'channel of a ticket; how a miss was noticed; whether a suggestion had any';

COMMENT ON COLUMN happening_fact.took_us IS 'wall-clock microseconds from opening to this';

CREATE INDEX sla_fact_met ON sla_fact (stopped_at) WHERE outcome = 'met' and not history;

CREATE INDEX delivery_fact_settled ON delivery_fact (settled_at) WHERE not history
"""


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
