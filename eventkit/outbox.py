"""The outbox: events wait in the emitter's database, in order, until the broker has confirmed them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from eventkit.bulk import Script
from eventkit.envelope import Event, encode_data, to_headers

# The key's row stays locked until the commit, and positions are drawn only when all keys of the transaction are
# locked, so that positions of one key rise in the order of commits. Sorted keys keep two transactions that touch the
# same subjects from waiting for each other in a circle. One array a column: a statement with a parameter for each
# field takes three times as long to build.
_WRITE = text(
    "with numbered as (insert into eventkit.subject_sequence as s (partitionkey, last)"
    "  select * from unnest(cast(:keys as text[]), cast(:counts as bigint[]))"
    "  on conflict (partitionkey) do update set last = s.last + excluded.last returning partitionkey, last)"
    " insert into eventkit.outbox (id, aggregatetype, aggregateid, type, headers, payload)"
    " select i, s, a, t, cast(h as jsonb) || jsonb_build_object('ce-sequence', cast(last - later as text)), p"
    " from unnest(cast(:ids as text[]), cast(:sources as text[]), cast(:subjects as text[]), cast(:types as text[]),"
    " cast(:headers as text[]), cast(:payloads as bytea[]), cast(:partitionkeys as text[]), cast(:later as bigint[]))"
    " with ordinality as e (i, s, a, t, h, p, k, later, n) join numbered on partitionkey = k order by n"
)


def write(script: Script, events: Sequence[Event[Any]]) -> None:
    """Have a script insert the outbox rows of events, in order, as they go over the wire.

    Each gets its `sequence`, which rises by one for each event of a partition key.
    """
    counts = Counter(event.partitionkey for event in events)
    keys, later = sorted(counts), []
    left = dict(counts)
    for event in events:
        left[event.partitionkey] -= 1
        later.append(left[event.partitionkey])
    script.add(
        _WRITE,
        {
            "keys": keys,
            "counts": [counts[key] for key in keys],
            "ids": [event.id for event in events],
            "sources": [event.source for event in events],
            "subjects": [event.subject for event in events],
            "types": [event.type for event in events],
            "headers": [msgspec.json.encode(to_headers(event)).decode() for event in events],
            "payloads": [encode_data(event.data) for event in events],
            "partitionkeys": [event.partitionkey for event in events],
            "later": later,
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


#: Nought when a row waits for the broker; nothing when none does.
DUE_IN_S = "select 0 from eventkit.outbox where sent_at is null limit 1"


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
