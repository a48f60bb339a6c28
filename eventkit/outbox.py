"""The outbox: events wait in the emitter's database, in order, until the broker has confirmed them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from eventkit.envelope import Event


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


_ADVANCE = text(
    "insert into eventkit.subject_sequence as s (partitionkey, last)"
    " select * from unnest(cast(:keys as text[]), cast(:counts as bigint[]))"
    " on conflict (partitionkey) do update set last = s.last + excluded.last"
    " returning partitionkey, last"
)


def _advance(connection: Connection, counts: dict[str, int]) -> dict[str, int]:
    # Sorted keys keep two transactions that touch the same subjects from waiting for each other in a circle.
    keys = sorted(counts)
    rows = connection.execute(_ADVANCE, {"keys": keys, "counts": [counts[key] for key in keys]})
    return {row.partitionkey: row.last for row in rows}


_WRITE = text(
    "insert into eventkit.outbox (id, aggregatetype, aggregateid, type, headers, payload)"
    " select i, s, a, t, cast(h as jsonb), p from unnest(cast(:ids as text[]), cast(:sources as text[]),"
    " cast(:subjects as text[]), cast(:types as text[]), cast(:headers as text[]), cast(:payloads as bytea[]))"
    " with ordinality as e (i, s, a, t, h, p, n) order by n"
)


def write(connection: Connection, rows: Iterable[tuple[Event[Any], dict[str, str], bytes]]) -> None:
    """Insert the outbox rows of events, in order, with their headers and data as they go over the wire.

    One array a column: a statement with a parameter for each field takes three times as long to build.
    """
    listed = list(rows)
    connection.execute(
        _WRITE,
        {
            "ids": [event.id for event, _, _ in listed],
            "sources": [event.source for event, _, _ in listed],
            "subjects": [event.subject for event, _, _ in listed],
            "types": [event.type for event, _, _ in listed],
            "headers": [msgspec.json.encode(headers).decode() for _, headers, _ in listed],
            "payloads": [payload for _, _, payload in listed],
        },
    )


class Unsent(msgspec.Struct, frozen=True):
    """An outbox row that the broker has not confirmed. headers, payload: exactly what goes over the wire."""

    position: int
    id: str
    type: str
    headers: dict[str, str]
    payload: bytes


_UNSENT = text(
    "select position, id, type, cast(headers as text), payload from eventkit.outbox"
    " where sent_at is null and position <> all(cast(:besides as bigint[])) order by position limit :limit"
)
_HEADERS = msgspec.json.Decoder(dict[str, str])


def unsent(connection: Connection, *, limit: int, besides: Sequence[int] = ()) -> list[Unsent]:
    """Return the oldest rows that are not confirmed, by position. besides: positions that are on their way."""
    rows = connection.execute(_UNSENT, {"limit": limit, "besides": list(besides)})
    return [
        Unsent(position, event_id, event_type, _HEADERS.decode(headers), bytes(payload))
        for position, event_id, event_type, headers, payload in rows
    ]


_MARK_SENT = text("update eventkit.outbox set sent_at = now() where position = any(:positions)")


def mark_sent(connection: Connection, positions: Sequence[int]) -> None:
    """Record that the broker has these rows."""
    connection.execute(
        _MARK_SENT,
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
