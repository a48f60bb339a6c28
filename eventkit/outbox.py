"""The outbox: events wait in the emitter's database, in order, until the broker has confirmed them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, text

from eventkit.envelope import Event
from eventkit.tables import outbox


def sequenced(connection: Connection, events: Sequence[Event[Any]]) -> list[Event[Any]]:
    """Return the events with their `sequence`, which rises by one for each event of a partition key.

    The key's row stays locked until the commit, so that outbox positions of one key rise in the order of commits.
    """
    counts: dict[str, int] = {}
    for event in events:
        counts[event.partitionkey] = counts.get(event.partitionkey, 0) + 1
    last = _advance(connection, counts)
    following = {key: last[key] - count for key, count in counts.items()}
    numbered = []
    for event in events:
        following[event.partitionkey] += 1
        numbered.append(msgspec.structs.replace(event, sequence=following[event.partitionkey]))
    return numbered


def _advance(connection: Connection, counts: dict[str, int]) -> dict[str, int]:
    # Sorted keys keep two transactions that touch the same subjects from waiting for each other in a circle.
    keys = sorted(counts)
    statement = text(
        "insert into eventkit.subject_sequence as s (partitionkey, last)"
        " select * from unnest(cast(:keys as text[]), cast(:counts as bigint[]))"
        " on conflict (partitionkey) do update set last = s.last + excluded.last"
        " returning partitionkey, last"
    )
    rows = connection.execute(statement, {"keys": keys, "counts": [counts[key] for key in keys]})
    return {row.partitionkey: row.last for row in rows}


def write(connection: Connection, rows: Iterable[tuple[Event[Any], dict[str, str], bytes]]) -> None:
    """Insert the outbox rows of events, with their headers and data as they go over the wire."""
    connection.execute(
        insert(outbox),
        [
            {
                "id": event.id,
                "aggregatetype": event.source,
                "aggregateid": event.subject,
                "type": event.type,
                "headers": headers,
                "payload": payload,
            }
            for event, headers, payload in rows
        ],
    )


class Unsent(msgspec.Struct, frozen=True):
    """An outbox row that the broker has not confirmed. headers, payload: exactly what goes over the wire."""

    position: int
    id: str
    type: str
    headers: dict[str, str]
    payload: bytes


def unsent(connection: Connection, *, limit: int) -> list[Unsent]:
    """Return the oldest rows that are not confirmed, by position."""
    rows = connection.execute(
        text(
            "select position, id, type, headers, payload from eventkit.outbox"
            " where sent_at is null order by position limit :limit"
        ),
        {"limit": limit},
    )
    return [Unsent(row.position, row.id, row.type, row.headers, bytes(row.payload)) for row in rows]


def mark_sent(connection: Connection, positions: Sequence[int]) -> None:
    """Record that the broker has these rows."""
    connection.execute(
        text("update eventkit.outbox set sent_at = now() where position = any(:positions)"),
        {"positions": list(positions)},
    )


def depth_and_age(connection: Connection) -> tuple[int, float]:
    """Return how many rows wait for the broker, and the age of the oldest in seconds."""
    row = connection.execute(
        text(
            "select count(*) as depth, coalesce(extract(epoch from now() - min(emitted_at)), 0) as age_s"
            " from eventkit.outbox where sent_at is null"
        )
    ).one()
    return int(row.depth), float(row.age_s)
