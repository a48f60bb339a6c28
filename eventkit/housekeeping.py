"""What is kept is kept for a stated time (design: kept); then it goes, in small steps."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, text

PERIOD_S = 600.0
_CHUNK = 5000
_KEPT = (
    # What was sent was emitted before; saying so lets the table's index serve.
    ("eventkit.outbox", "position", "sent_at < now() - interval '3 days' and emitted_at < now() - interval '3 days'"),
    ("eventkit.inbox", "(source, id)", "arrived_at < now() - interval '35 days' and state in ('handled', 'discarded')"),
    ("eventkit.answer", "key", "answered_at < now() - interval '3 days'"),
    ("eventkit.attempt", "(source, id)", "marked_at < now() - interval '35 days'"),
)


def clean(engine: Engine, kept: Sequence[tuple[str, str, str]] = _KEPT) -> int:
    """Delete what has been kept long enough and return how many rows went.

    kept: table, its key, and the condition of rows that go; by default what every service has.
    """
    gone = 0
    for table, key, condition in kept:
        bare = key.strip("()")
        statement = text(
            f"delete from {table} where {key} in (select {bare} from {table} where {condition} limit {_CHUNK})"
        )
        while True:
            with engine.begin() as connection:
                count = connection.execute(statement).rowcount
            gone += count
            if count < _CHUNK:
                break
    return gone
