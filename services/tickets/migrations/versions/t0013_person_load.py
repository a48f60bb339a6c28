"""How many open tickets people hold and were given today, kept by triggers instead of counted for each ticket."""

from __future__ import annotations

from alembic import op

revision = "t0013"
down_revision: str | None = "t0012"
branch_labels = None
depends_on = None

# A statement adds up what it changes, and writes people in one order: two of them cannot wait for each other.
STATEMENTS = """
CREATE TABLE person_load (
    person TEXT NOT NULL,
    open_count INTEGER DEFAULT 0 NOT NULL,
    given_on DATE,
    given_count INTEGER DEFAULT 0 NOT NULL,
    given_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (person)
) WITH (fillfactor = 50);

COMMENT ON TABLE person_load IS
    'What people hold and were given; triggers on ticket and assignment keep it, whoever writes there';

COMMENT ON COLUMN person_load.given_on IS 'the day, by UTC, of which given_count is';

INSERT INTO person_load (person, open_count)
    SELECT assignee, count(*) FROM ticket
    WHERE assignee IS NOT NULL AND state NOT IN ('resolved', 'closed') GROUP BY assignee;

INSERT INTO person_load AS known (person, given_on, given_count, given_at)
    SELECT person, (last_at AT TIME ZONE 'UTC')::date, given_count, last_at
    FROM (SELECT person, (at AT TIME ZONE 'UTC')::date AS day, count(*) AS given_count, max(at) AS last_at,
          row_number() OVER (PARTITION BY person ORDER BY (at AT TIME ZONE 'UTC')::date DESC) AS place
          FROM assignment WHERE person IS NOT NULL GROUP BY person, day) AS days
    WHERE place = 1
    ON CONFLICT (person) DO UPDATE SET
        given_on = excluded.given_on, given_count = excluded.given_count, given_at = excluded.given_at;

CREATE FUNCTION person_load_opened() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO person_load AS known (person, open_count)
        SELECT assignee, count(*) FROM after
        WHERE assignee IS NOT NULL AND state NOT IN ('resolved', 'closed') GROUP BY assignee ORDER BY assignee
        ON CONFLICT (person) DO UPDATE SET open_count = known.open_count + excluded.open_count;
    RETURN NULL;
END $$;

CREATE FUNCTION person_load_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO person_load AS known (person, open_count)
        SELECT assignee, sum(held) FROM (
            SELECT assignee, 1 AS held FROM after WHERE state NOT IN ('resolved', 'closed')
            UNION ALL SELECT assignee, -1 FROM before WHERE state NOT IN ('resolved', 'closed')) AS hands
        WHERE assignee IS NOT NULL GROUP BY assignee HAVING sum(held) <> 0 ORDER BY assignee
        ON CONFLICT (person) DO UPDATE SET open_count = known.open_count + excluded.open_count;
    RETURN NULL;
END $$;

CREATE FUNCTION person_load_given() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO person_load AS known (person, given_on, given_count, given_at)
        VALUES (new.person, (new.at AT TIME ZONE 'UTC')::date, 1, new.at)
        ON CONFLICT (person) DO UPDATE SET
            given_on = excluded.given_on,
            given_count = 1 + CASE WHEN known.given_on = excluded.given_on THEN known.given_count ELSE 0 END,
            given_at = greatest(known.given_at, excluded.given_at)
        WHERE known.given_on IS NULL OR known.given_on <= excluded.given_on;
    RETURN NULL;
END $$;

CREATE TRIGGER person_load_opened AFTER INSERT ON ticket
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION person_load_opened();

CREATE TRIGGER person_load_changed AFTER UPDATE ON ticket
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION person_load_changed();

CREATE TRIGGER person_load_given AFTER INSERT ON assignment
    FOR EACH ROW WHEN (new.person IS NOT NULL) EXECUTE FUNCTION person_load_given()
"""


def upgrade() -> None:
    """Create the table, fill it, and have it kept."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
