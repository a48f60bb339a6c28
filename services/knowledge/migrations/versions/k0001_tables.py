"""The first tables of knowledge."""

from __future__ import annotations

from alembic import op

revision = "k0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE SEQUENCE article_number;

CREATE TABLE article (
    id TEXT NOT NULL, 
    state TEXT NOT NULL, 
    language TEXT NOT NULL, 
    category TEXT, 
    problem_codes TEXT[] NOT NULL, 
    level TEXT NOT NULL, 
    title TEXT NOT NULL, 
    version INTEGER NOT NULL, 
    published_version INTEGER, 
    source_ticket TEXT, 
    by_hand BOOLEAN NOT NULL, 
    created_by TEXT, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    published_at TIMESTAMP WITH TIME ZONE, 
    retired_at TIMESTAMP WITH TIME ZONE, 
    retired_reason TEXT NOT NULL, 
    PRIMARY KEY (id), 
    UNIQUE (source_ticket)
);

CREATE INDEX article_by_code ON article USING gin (problem_codes) WHERE state = 'published';

CREATE INDEX article_by_state ON article (state, id);

COMMENT ON TABLE article IS 'Language to title are what readers see: of the published version, else of the newest';

COMMENT ON COLUMN article.version IS 'the newest one, published or not';

COMMENT ON COLUMN article.published_version IS 'the one that people read';

COMMENT ON COLUMN article.source_ticket IS 'the solved ticket that it was drafted from';

COMMENT ON COLUMN article.by_hand IS 'false while only Liaison itself has written it';

CREATE TABLE article_feedback (
    id TEXT NOT NULL, 
    article_id TEXT NOT NULL, 
    score SMALLINT, 
    text TEXT NOT NULL, 
    author TEXT, 
    received_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    PRIMARY KEY (id)
);

CREATE INDEX article_feedback_by_article ON article_feedback (article_id);

COMMENT ON COLUMN article_feedback.id IS 'the feedback, or article/person for a rating given while reading';

CREATE TABLE article_version (
    id TEXT NOT NULL, 
    article_id TEXT NOT NULL, 
    version INTEGER NOT NULL, 
    language TEXT NOT NULL, 
    category TEXT, 
    problem_codes TEXT[] NOT NULL, 
    level TEXT NOT NULL, 
    title TEXT NOT NULL, 
    body TEXT NOT NULL, 
    author TEXT, 
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    PRIMARY KEY (id)
);

COMMENT ON TABLE article_version IS 'Every text that an article ever had (S4)';

COMMENT ON COLUMN article_version.id IS 'article/version';

CREATE TABLE course_material (
    id TEXT NOT NULL, 
    course TEXT NOT NULL, 
    course_title TEXT NOT NULL, 
    title TEXT NOT NULL, 
    url TEXT NOT NULL, 
    summary TEXT NOT NULL, 
    problem_codes TEXT[] NOT NULL, 
    listed BOOLEAN NOT NULL, 
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    PRIMARY KEY (id)
);

CREATE INDEX course_material_by_course ON course_material (course);

COMMENT ON COLUMN course_material.id IS 'course/material';

COMMENT ON COLUMN course_material.listed IS 'false when the course does not have it any more';

COMMENT ON COLUMN course_material.seen_at IS 'the time of the event that this is the state of';

CREATE TABLE index_entry (
    id TEXT NOT NULL, 
    kind TEXT NOT NULL, 
    version BIGINT NOT NULL, 
    indexed_version BIGINT NOT NULL, 
    behind_since TIMESTAMP WITH TIME ZONE, 
    PRIMARY KEY (id)
);

CREATE INDEX index_entry_behind ON index_entry (behind_since) WHERE behind_since is not null;

COMMENT ON TABLE index_entry IS 'What the search index must hold, and what it is known to hold';

COMMENT ON COLUMN index_entry.id IS 'the article, or course/material';

COMMENT ON COLUMN index_entry.version IS 'rises with every change that the index must learn of';

COMMENT ON COLUMN index_entry.behind_since IS 'since when the index does not have the newest version';

CREATE TABLE missing_answer (
    id TEXT NOT NULL, 
    kind TEXT NOT NULL, 
    key TEXT NOT NULL, 
    problem_code TEXT, 
    language TEXT NOT NULL, 
    example TEXT NOT NULL, 
    example_by TEXT, 
    count INTEGER NOT NULL, 
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    last_seen_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    resolved_by TEXT, 
    resolved_at TIMESTAMP WITH TIME ZONE, 
    PRIMARY KEY (id)
);

CREATE INDEX missing_answer_open ON missing_answer (count, id) WHERE resolved_at is null;

COMMENT ON TABLE missing_answer IS 'Questions that nobody has answered yet (K7)';

COMMENT ON COLUMN missing_answer.key IS 'the problem code, else the id: what people write is only hashed';

COMMENT ON COLUMN missing_answer.example_by IS 'who wrote the example, so that it can be erased';

COMMENT ON COLUMN missing_answer.resolved_by IS 'the article that is the answer';

CREATE TABLE reading_list (
    id TEXT NOT NULL, 
    course TEXT NOT NULL, 
    learner TEXT NOT NULL, 
    articles TEXT[] NOT NULL, 
    made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
    PRIMARY KEY (id)
);

COMMENT ON COLUMN reading_list.id IS 'enrolment/attempt'
"""


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
