"""Messages that wait for another event, and the alerts that the desk was told of."""

from __future__ import annotations

from alembic import op

revision = "n0003"
down_revision: str | None = "n0002"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE delivery
    ADD COLUMN people TEXT[],
    ADD COLUMN waits_for TEXT,
    ADD COLUMN waits_until TIMESTAMP WITH TIME ZONE,
    ADD COLUMN companion_data BYTEA;

CREATE INDEX delivery_companion ON delivery (about_subject) WHERE waits_for is not null;

COMMENT ON COLUMN delivery.people IS 'whom the event names: their names may stand in the text';

COMMENT ON COLUMN delivery.waits_for IS 'type of the event whose content the text takes in too';

COMMENT ON COLUMN delivery.waits_until IS 'from then on it goes without that event';

COMMENT ON COLUMN delivery.companion_data IS 'the data of that event, JSON, if it came in time';

CREATE TABLE companion (
    id TEXT NOT NULL,
    data BYTEA NOT NULL,
    came_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX companion_age ON companion (came_at);

COMMENT ON TABLE companion IS 'Events that came before the one whose message waits for them; kept for an hour';

COMMENT ON COLUMN companion.id IS 'its type, and type and subject of the event that it belongs to';

COMMENT ON COLUMN companion.data IS 'its data, JSON, without the person';

CREATE TABLE alert (
    id TEXT NOT NULL,
    told_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id)
);

CREATE INDEX alert_ended ON alert (ended_at);

COMMENT ON TABLE alert IS 'Occurrences of alerts that the desk was told of, so that none is told twice';

COMMENT ON COLUMN alert.id IS 'fingerprint and beginning: one occurrence';

COMMENT ON COLUMN alert.ended_at IS 'when its end was told'
"""


def upgrade() -> None:
    """Add the columns, and create the tables."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
