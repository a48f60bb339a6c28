"""What became of mails."""

from __future__ import annotations

from alembic import op

revision = "g0002"
down_revision: str | None = "g0001"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE mail_in (
    id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    sender TEXT NOT NULL,
    title TEXT NOT NULL,
    became TEXT NOT NULL,
    reason TEXT NOT NULL,
    number TEXT,
    repeats INTEGER DEFAULT 0 NOT NULL,
    arrived_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX mail_in_by_sender ON mail_in (sender, arrived_at);

CREATE INDEX mail_in_arrived_at ON mail_in USING brin (arrived_at);

COMMENT ON TABLE mail_in IS 'What became of every mail, once for each Message-ID';

COMMENT ON COLUMN mail_in.id IS 'of the Message-ID; without one, of the bytes';

COMMENT ON COLUMN mail_in.sender IS 'an address in small letters';

COMMENT ON COLUMN mail_in.became IS 'request, comment, ignored or unreadable';

COMMENT ON COLUMN mail_in.reason IS 'why it was ignored or could not be read';

COMMENT ON COLUMN mail_in.number IS 'of the ticket that it is about';

COMMENT ON COLUMN mail_in.repeats IS 'how often it came again';

CREATE TABLE mail_seen (
    validity BIGINT NOT NULL,
    uid BIGINT NOT NULL,
    id TEXT NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (validity, uid)
);

CREATE INDEX mail_seen_at ON mail_seen USING brin (seen_at);

COMMENT ON TABLE mail_seen IS 'Which messages of the mailbox were read, so that they are not fetched again';

COMMENT ON COLUMN mail_seen.validity IS 'the mailbox''s UIDVALIDITY';

COMMENT ON COLUMN mail_seen.id IS 'of the mail'
"""


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
