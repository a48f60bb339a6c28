"""Finding tickets by words that are in few of them."""

from __future__ import annotations

from alembic import op

revision = "t0014"
down_revision: str | None = "t0013"
branch_labels = None
depends_on = None

# Trigrams would be pg_trgm's, yet most Chinese words have two characters, and hold none.
STATEMENTS = """
CREATE FUNCTION letter_pairs(words TEXT) RETURNS TEXT[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(letter || following)
    FROM (SELECT letter, lead(letter) OVER () AS following FROM string_to_table(lower(words), NULL) AS letter) AS pair
    WHERE following IS NOT NULL
$$;

CREATE INDEX ticket_by_words ON ticket USING gin (letter_pairs(title || ' ' || description));

CREATE INDEX ticket_by_externalref ON ticket (externalref)
"""


def upgrade() -> None:
    """Add the function and the indexes."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
