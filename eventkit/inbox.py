"""The inbox: which events this service has seen, which subjects wait, and which tries were begun."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from contracts.fact import Fact
from eventkit.envelope import PARTITION_HEADER, Event, from_headers, partitionkey_of
from eventkit.errors import BadMessage

EventKey = tuple[str, str]


class Received(msgspec.Struct, frozen=True, gc=False):
    """A message as it came, and what could be read of it. Exactly one of `event` and `problem` is set."""

    source: str
    id: str
    type: str
    partitionkey: str
    headers: dict[str, Any]
    body: bytes
    event: Event[Fact] | None
    problem: str | None

    @property
    def key(self) -> EventKey:
        """What makes two events the same one: source and id."""
        return (self.source, self.id)


def receive(headers: Mapping[str, Any], body: bytes) -> Received:
    """Read a message; one that cannot be read keeps its bytes and gets the reason instead of an event."""
    try:
        event = from_headers(headers, body)
    except BadMessage as problem:
        return _unreadable(headers, body, str(problem))
    return Received(event.source, event.id, event.type, event.partitionkey, dict(headers), body, event, None)


def _unreadable(headers: Mapping[str, Any], body: bytes, problem: str) -> Received:
    # Without an id of its own, the same bytes are the same event.
    digest = hashlib.sha256(repr(sorted(headers.items())).encode() + body).hexdigest()
    source, event_id = str(headers.get("ce-source") or "unreadable"), str(headers.get("ce-id") or digest)
    subject = headers.get("ce-subject")
    partitionkey = headers.get(PARTITION_HEADER) or (partitionkey_of(source, str(subject)) if subject else "")
    kept = {str(name): value if isinstance(value, int) else str(value) for name, value in headers.items()}
    # The database's text and JSON cannot hold U+0000; what the message was is told by its bytes and the reason.
    kept = {_storable(name): _storable(value) for name, value in kept.items()}
    source, event_id, partitionkey = _storable(source), _storable(event_id), _storable(str(partitionkey))
    return Received(
        source, event_id, _storable(str(headers.get("ce-type") or "")), partitionkey, kept, body, None, problem
    )


def _storable(value: Any) -> Any:
    return value.replace("\x00", "\ufffd") if isinstance(value, str) else value


_BEGIN = text(
    "with held as materialized (select partitionkey from eventkit.held_subject"
    " where partitionkey = any(:keys) order by partitionkey for update)"
    " select now() as now, (select array_agg(partitionkey) from held) as held"
)


def begin(connection: Connection, partitionkeys: Collection[str]) -> tuple[datetime, set[str]]:
    """Return the transaction's moment and which of the subjects are held; their rows stay locked."""
    row = connection.execute(
        _BEGIN,
        {"keys": sorted(partitionkeys)},
    ).one()
    return row.now, set(row.held or ())


_ADMIT = text(
    "insert into eventkit.inbox (source, id, type, state)"
    " select s, i, t, 'handled' from unnest(cast(:sources as text[]), cast(:ids as text[]),"
    " cast(:types as text[])) as e (s, i, t) on conflict do nothing returning source, id"
)


def admit(connection: Connection, received: Sequence[Received]) -> set[EventKey]:
    """Record the events as handled and return those that were not known before."""
    rows = connection.execute(
        _ADMIT,
        {
            "sources": [one.source for one in received],
            "ids": [one.id for one in received],
            "types": [one.type for one in received],
        },
    )
    return {(row.source, row.id) for row in rows}


def set_state(connection: Connection, keys: Iterable[EventKey], state: str) -> None:
    """Change what the inbox says of events that it knows."""
    pairs = list(keys)
    connection.execute(
        text(
            "update eventkit.inbox i set state = :state from unnest(cast(:sources as text[]), cast(:ids as text[]))"
            " as e (s, i) where i.source = e.s and i.id = e.i"
        ),
        {"state": state, "sources": [source for source, _ in pairs], "ids": [one for _, one in pairs]},
    )


def mark_attempts(connection: Connection, keys: Sequence[EventKey], *, alone: bool) -> dict[EventKey, int]:
    """Count one more try of each event, together with others or alone, and return how many tries that makes."""
    column = "alone" if alone else "together"
    rows = connection.execute(
        text(
            f"insert into eventkit.attempt as a (source, id, {column})"
            " select s, i, 1 from unnest(cast(:sources as text[]), cast(:ids as text[])) as e (s, i) order by s, i"
            f" on conflict (source, id) do update set {column} = a.{column} + 1 returning source, id, {column} as tries"
        ),
        {"sources": [source for source, _ in keys], "ids": [one for _, one in keys]},
    )
    return {(row.source, row.id): row.tries for row in rows}


def were_tried(connection: Connection, keys: Sequence[EventKey]) -> bool:
    """Tell whether any of the events has a try that never came to an end."""
    row = connection.execute(
        text(
            "select 1 from eventkit.attempt a join unnest(cast(:sources as text[]), cast(:ids as text[]))"
            " as e (s, i) on a.source = e.s and a.id = e.i limit 1"
        ),
        {"sources": [source for source, _ in keys], "ids": [one for _, one in keys]},
    )
    return row.first() is not None


def clear_attempts(connection: Connection, keys: Sequence[EventKey]) -> None:
    """Forget the tries of events that were settled."""
    connection.execute(
        text(
            "delete from eventkit.attempt a using unnest(cast(:sources as text[]), cast(:ids as text[]))"
            " as e (s, i) where a.source = e.s and a.id = e.i"
        ),
        {"sources": [source for source, _ in keys], "ids": [one for _, one in keys]},
    )
