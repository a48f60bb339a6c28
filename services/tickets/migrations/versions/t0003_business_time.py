"""Clocks in business time: calendars, pauses with their reasons, warnings told, next response."""

from __future__ import annotations

from alembic import op

revision = "t0003"
down_revision: str | None = "t0002"
branch_labels = None
depends_on = None

# Until now clocks ran around the clock and knew the sum of their pauses only: such a pause lies at their start, which
# leaves every due moment where it was.
STATEMENTS = """
ALTER TABLE ticket ADD COLUMN due_next_response_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN next_response_cycle INTEGER NOT NULL DEFAULT 0;

ALTER TABLE ticket ALTER COLUMN next_response_cycle DROP DEFAULT;

ALTER TABLE clock ADD COLUMN calendar TEXT NOT NULL DEFAULT '7x24',
    ADD COLUMN level TEXT NOT NULL DEFAULT '',
    ADD COLUMN due_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN spent_s FLOAT NOT NULL DEFAULT 0,
    ADD COLUMN pauses JSONB NOT NULL DEFAULT '[]',
    ADD COLUMN told JSONB NOT NULL DEFAULT '[]';

UPDATE clock SET due_at = started_at + make_interval(secs => target_s + paused_s),
    pauses = (CASE WHEN paused_s > 0 THEN jsonb_build_array(jsonb_build_object('begin_at', started_at,
        'end_at', started_at + make_interval(secs => paused_s), 'by', '', 'why', '')) ELSE '[]' END)
        || (CASE WHEN paused_at IS NOT NULL THEN jsonb_build_array(jsonb_build_object('begin_at', paused_at,
        'end_at', null, 'by', '', 'why', '')) ELSE '[]' END);

ALTER TABLE clock ALTER COLUMN due_at SET NOT NULL, DROP COLUMN paused_s, DROP COLUMN paused_at,
    ALTER COLUMN calendar DROP DEFAULT, ALTER COLUMN level DROP DEFAULT, ALTER COLUMN spent_s DROP DEFAULT,
    ALTER COLUMN pauses DROP DEFAULT, ALTER COLUMN told DROP DEFAULT;

COMMENT ON COLUMN clock.target_s IS 'open seconds';

COMMENT ON COLUMN clock.level IS 'the service level''s name in the policy file';

COMMENT ON COLUMN clock.spent_s IS 'open seconds used up before started_at';

COMMENT ON COLUMN clock.pauses IS 'begin_at, end_at, by, why; the last has no end while it lasts';

COMMENT ON COLUMN clock.told IS 'the shares of which a warning went out'
"""


def upgrade() -> None:
    """Give clocks their calendar."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
