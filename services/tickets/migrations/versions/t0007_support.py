"""Levels of support: which cycle of internal targets a ticket is in, its diagnosis, the vendor's part."""

from __future__ import annotations

from alembic import op

revision = "t0007"
down_revision: str | None = "t0006"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE ticket ADD COLUMN support_cycle INTEGER NOT NULL DEFAULT 0;

ALTER TABLE ticket ALTER COLUMN support_cycle DROP DEFAULT;

COMMENT ON COLUMN ticket.support_cycle IS 'the cycle of the internal clock; 0 before there was one';

ALTER TABLE person ADD COLUMN is_key_user BOOLEAN NOT NULL DEFAULT false;

ALTER TABLE person ALTER COLUMN is_key_user DROP DEFAULT;

CREATE TABLE ticket_support (
    number TEXT NOT NULL,
    diagnosis_mode TEXT,
    appointment_at TIMESTAMP WITH TIME ZONE,
    vendor TEXT,
    vendor_number TEXT,
    promised_at TIMESTAMP WITH TIME ZONE,
    root_cause TEXT,
    PRIMARY KEY (number)
);

COMMENT ON COLUMN ticket_support.diagnosis_mode IS 'remote (远程协助) or on_site (现场勘查)'
"""


def upgrade() -> None:
    """Add columns and table."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
