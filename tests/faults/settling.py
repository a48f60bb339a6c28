"""Settles one dead event as `liaison dead` does, in a process that can be killed half-way."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Engine, text

from eventkit import held
from eventkit.database import open_engine
from eventkit.errors import NotFound
from tests.faults import sabotage

_CHANGES = {
    "replay": "update eventkit.held_event set state = 'held' where position = :position",
    "discard": "delete from eventkit.held_event where position = :position",
}


def settle(environment: Mapping[str, str]) -> int:
    """Settle, or die trying; return 3 when there is no such dead event.

    Without the guard, the change and the news of it are two transactions.
    """
    engine = open_engine(environment["DATABASE_URI"], name="settling")
    what, position = environment["LIAISON_TEST_SETTLE"], int(environment["LIAISON_TEST_POSITION"])
    try:
        if environment.get("LIAISON_TEST_WEAKEN") == "one-settlement":
            _settle_in_two(engine, position, what)
        else:
            {"replay": held.replay, "discard": held.discard}[what](engine, position)
    except NotFound:
        return 3
    return 0


def _settle_in_two(engine: Engine, position: int, what: str) -> None:
    with engine.begin() as connection:
        row = connection.execute(
            text("select partitionkey from eventkit.held_event where position = :position"), {"position": position}
        ).one_or_none()
        if row is None:
            raise NotFound(f"no dead event {position}")
        connection.execute(text(_CHANGES[what]), {"position": position})
    sabotage.points.reach("settle.written")
    with engine.begin() as connection:
        connection.execute(
            text("update eventkit.held_subject set due_at = now() where partitionkey = :key"), {"key": row.partitionkey}
        )
