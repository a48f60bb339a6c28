"""Files on tickets, and people found by their mail address."""

from __future__ import annotations

from alembic import op

revision = "t0010"
down_revision: str | None = "t0009"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE attachment (
    id TEXT NOT NULL,
    number TEXT NOT NULL,
    name TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    content_type TEXT NOT NULL,
    level TEXT NOT NULL,
    actor TEXT,
    added_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX attachment_by_number ON attachment (number, added_at);

CREATE INDEX attachment_by_content ON attachment (sha256);

COMMENT ON TABLE attachment IS 'Files on tickets; their bytes lie with the gateway';

COMMENT ON COLUMN attachment.number IS 'of the ticket';

COMMENT ON COLUMN attachment.sha256 IS 'of the content, which the gateway keeps under it';

COMMENT ON COLUMN attachment.level IS 'public: the requester sees it too; internal: the desk only (S6)';

COMMENT ON COLUMN attachment.actor IS 'who added it: an employee, or another system';

ALTER TABLE person ADD COLUMN email TEXT;

COMMENT ON COLUMN person.email IS 'in small letters; who writes from there is this person';

CREATE INDEX person_email ON person (email);

ALTER TABLE ticket ADD COLUMN mail_from TEXT;

COMMENT ON COLUMN ticket.mail_from IS 'the address of a mail''s sender whom nobody is known by'
"""


def upgrade() -> None:
    """Create the table and the columns."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
