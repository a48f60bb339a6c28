"""Events that wait: held until what they need is there, or dead until somebody replays or discards them.

They lie in a table with their bytes and the reason. A row per held subject makes later events of that subject wait
behind them, in order; everything else goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, insert, text

from eventkit.errors import NotFound
from eventkit.inbox import EventKey, Received, set_state
from eventkit.tables import held_event


class Hold(msgspec.Struct, frozen=True):
    """An event that is put aside. state: held or dead. due_at: when to try again; None for dead ones."""

    received: Received
    state: str
    reason: str
    due_at: datetime | None
    blocks_subject: bool = True

    @property
    def subject_key(self) -> str:
        """Whose later events wait; an event that blocks nobody has a key of its own."""
        if self.blocks_subject and self.received.partitionkey:
            return self.received.partitionkey
        return f"alone {self.received.source} {self.received.id}"


def hold(connection: Connection, holds: Sequence[Hold]) -> None:
    """Put events aside, in this order, and hold their subjects."""
    first_of_subject = {one.subject_key: one for one in reversed(holds)}
    # A subject that is held already keeps its own moment: the event that holds it comes first.
    connection.execute(
        text(
            "insert into eventkit.held_subject (partitionkey, reason, due_at) values (:key, :reason, :due_at)"
            " on conflict (partitionkey) do nothing"
        ),
        [
            {"key": key, "reason": one.reason[:2000], "due_at": one.due_at}
            for key, one in sorted(first_of_subject.items())
        ],
    )
    connection.execute(
        insert(held_event),
        [
            {
                "source": one.received.source,
                "id": one.received.id,
                "type": one.received.type,
                "partitionkey": one.subject_key,
                "state": one.state,
                "reason": one.reason[:2000],
                "headers": one.received.headers,
                "body": one.received.body,
            }
            for one in holds
        ],
    )
    for state in ("held", "dead"):
        if keys := [one.received.key for one in holds if one.state == state]:
            set_state(connection, keys, state)


#: Seconds until the events of a held subject are to be tried again; nothing when none are.
DUE_IN_S = "select extract(epoch from min(due_at) - clock_timestamp()) from eventkit.held_subject"


class Waiting(msgspec.Struct, frozen=True):
    """A held or dead event as an operator sees it. waiting: how many events of its subject wait behind it."""

    position: int
    source: str
    id: str
    type: str
    state: str
    reason: str
    attempts: int
    arrived_at: datetime
    waiting: int
    headers: dict[str, Any]
    body: bytes


_LIST = (
    "select h.position, h.source, h.id, h.type, h.state, h.reason, h.attempts, h.arrived_at, h.headers, h.body,"
    " (select count(*) from eventkit.held_event b where b.partitionkey = h.partitionkey and b.position > h.position)"
    " as waiting from eventkit.held_event h"
)


def listed(connection: Connection, *, state: str | None = None, limit: int = 100) -> list[Waiting]:
    """Return held and dead events, oldest first."""
    condition = " where h.state = :state" if state else ""
    rows = connection.execute(text(f"{_LIST}{condition} order by h.position limit :n"), {"state": state, "n": limit})
    return [_waiting(row) for row in rows]


def shown(connection: Connection, position: int) -> Waiting:
    """Return one held or dead event, whole. Raises NotFound."""
    row = connection.execute(text(f"{_LIST} where h.position = :position"), {"position": position}).one_or_none()
    if row is None:
        raise NotFound(f"no held or dead event {position}")
    return _waiting(row)


def _waiting(row: Any) -> Waiting:
    return Waiting(
        row.position,
        row.source,
        row.id,
        row.type,
        row.state,
        row.reason,
        row.attempts,
        row.arrived_at,
        row.waiting,
        row.headers,
        bytes(row.body),
    )


def replay(engine: Engine, position: int) -> None:
    """Let the drain try a dead event again, in its place. Raises NotFound."""
    _settle(engine, position, "update eventkit.held_event set state = 'held' where position = :position", "held")


def discard(engine: Engine, position: int) -> None:
    """Give a dead event up; what waits behind it goes on. Raises NotFound."""
    _settle(engine, position, "delete from eventkit.held_event where position = :position", "discarded")


def _settle(engine: Engine, position: int, change: str, state: str) -> None:
    with engine.begin() as connection:
        # Subject first, as consumer and drain lock them.
        row = connection.execute(
            text(
                "select h.source, h.id, h.partitionkey from eventkit.held_event h"
                " join eventkit.held_subject s using (partitionkey)"
                " where h.position = :position and h.state = 'dead' for update of s"
            ),
            {"position": position},
        ).one_or_none()
        if row is None:
            raise NotFound(f"no dead event {position}")
        connection.execute(text(change), {"position": position})
        key: EventKey = (row.source, row.id)
        set_state(connection, [key], state)
        connection.execute(
            text("update eventkit.held_subject set due_at = now() where partitionkey = :key"),
            {"key": row.partitionkey},
        )
        connection.execute(
            text("delete from eventkit.attempt where source = :source and id = :id"),
            {"source": row.source, "id": row.id},
        )


def counts(connection: Connection) -> dict[str, tuple[int, float]]:
    """Return for `held` and `dead` how many events there are and the age of the oldest in seconds."""
    rows = connection.execute(
        text(
            "select state, count(*) as n, extract(epoch from now() - min(arrived_at)) as age_s"
            " from eventkit.held_event group by state"
        )
    )
    return {row.state: (int(row.n), float(row.age_s)) for row in rows}
