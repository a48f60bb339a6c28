"""A number that tells whether people or rosters have changed, so that they are not read for every ticket."""

from __future__ import annotations

from alembic import op

revision = "t0015"
down_revision: str | None = "t0014"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE duty_epoch (
    is_only BOOLEAN DEFAULT true NOT NULL,
    epoch BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (is_only),
    CHECK (is_only)
);

COMMENT ON TABLE duty_epoch IS
    'One row; triggers on people, shifts and swaps count it up: what was read in an epoch holds until its end';

INSERT INTO duty_epoch DEFAULT VALUES;

CREATE FUNCTION duty_epoch_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE duty_epoch SET epoch = epoch + 1;
    RETURN NULL;
END $$;

CREATE TRIGGER duty_epoch_ends AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON person
    FOR EACH STATEMENT EXECUTE FUNCTION duty_epoch_ends();

CREATE TRIGGER duty_epoch_ends AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON duty_shift
    FOR EACH STATEMENT EXECUTE FUNCTION duty_epoch_ends();

CREATE TRIGGER duty_epoch_ends AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON duty_swap
    FOR EACH STATEMENT EXECUTE FUNCTION duty_epoch_ends()
"""


def upgrade() -> None:
    """Create the number, and have it counted up."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
