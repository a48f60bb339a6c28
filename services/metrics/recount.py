"""Counting again from the journal, beside the running service, and putting right what is not as it should be.

The numbers are reckoned anew in temporary tables, by the same use case as ever. The service is kept out only while
the last few events are added and the differences are written; so readers see the old numbers or the new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Table, text

from contracts.fact import Fact
from eventkit.envelope import Event, from_headers
from eventkit.errors import BadMessage
from eventkit.work import Work
from services.metrics import usecases
from services.metrics.storage import MetricsStore, keep_others_out
from services.metrics.tables import FACT_TABLES, counter

PAGE = 1000
# Events that may be left for the time in which the service waits: well under a second's work.
_FEW = 2000
_MAX_ROUNDS = 20
_TABLES = (counter, *FACT_TABLES.values())

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Recount:
    """What a recount found. events: how many were reckoned. corrected: rows that were missing, wrong or too many."""

    events: int
    corrected: int


def recount(engine: Engine, progress: Progress = lambda done, total: None) -> Recount:
    """Reckon every event of the journal anew and correct the numbers, all at once.

    progress: called with the events done and their total so far. Raises BadMessage for an event that this release
    cannot read; nothing is changed then.
    """
    with engine.connect() as connection:
        # The temporary tables must not come back from the pool to somebody else.
        connection.detach()
        with connection.begin():
            _make_shadows(connection)
        passed = _Passed(progress)
        for _ in range(_MAX_ROUNDS):
            with connection.begin():
                end = _end(connection)
            if end - passed.position <= _FEW:
                break
            with connection.begin():
                passed.reckon(connection, end)
        with connection.begin():
            passed.reckon(connection, _end(connection))
            corrected = sum(_correct(connection, table) for table in _TABLES)
    return Recount(passed.events, corrected)


def _make_shadows(connection: Connection) -> None:
    for table in _TABLES:
        # A temporary table hides the lasting one of its name, so the store writes here without knowing.
        connection.execute(text(f"create temporary table {table.name} (like public.{table.name} including indexes)"))


def _end(connection: Connection) -> int:
    """Return the highest position; whoever writes the journal waits until this transaction ends."""
    connection.execute(text("set local statement_timeout = 0"))
    keep_others_out(connection)
    return int(connection.execute(text("select coalesce(max(position), 0) from journal")).scalar_one())


class _Passed:
    """How far the journal has been reckoned."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.position = 0
        self.events = 0

    def reckon(self, connection: Connection, end: int) -> None:
        """Reckon the events up to a position."""
        connection.execute(text("set local statement_timeout = 0"))
        connection.execute(text("set local idle_in_transaction_session_timeout = 0"))
        now = connection.execute(text("select now()")).scalar_one()
        between = {"after": self.position, "until": end}
        count = text("select count(*) from journal where position > :after and position <= :until")
        total = self.events + int(connection.execute(count, between).scalar_one())
        for events in _journaled(connection, between):
            work = Work(connection, source="/liaison/metrics", now=now)
            usecases.reckon_all(MetricsStore(work, shared=False), events)
            work.flush()
            self.events += len(events)
            self._progress(self.events, total)
        self.position = end


def _journaled(connection: Connection, between: dict[str, int]) -> Iterator[Sequence[Event[Fact]]]:
    rows = connection.execute(
        text("select id, headers, body from journal where position > :after and position <= :until"),
        between,
        execution_options={"stream_results": True, "max_row_buffer": PAGE},
    )
    for page in rows.partitions(PAGE):
        yield [_read(row.id, row.headers, bytes(row.body)) for row in page]


def _read(event_id: str, headers: dict[str, str], body: bytes) -> Event[Fact]:
    try:
        return from_headers(headers, body)
    except BadMessage as problem:
        raise BadMessage(f"event {event_id} of the journal: {problem}") from problem


def _correct(connection: Connection, table: Table) -> int:
    """Make the lasting table equal to the temporary one and return how many rows were not."""
    name, [key] = table.name, table.primary_key
    same = f"now.{key.name} = old.{key.name}"
    wrong = connection.execute(
        text(
            f"delete from public.{name} as old where not exists (select from pg_temp.{name} as now"
            f" where {same} and row(now.*) is not distinct from row(old.*))"
        )
    ).rowcount
    added = connection.execute(
        text(
            f"insert into public.{name} select now.* from pg_temp.{name} as now"
            f" where not exists (select from public.{name} as old where {same})"
        )
    ).rowcount
    # A wrong row is deleted and its right form added; it counts once.
    return max(wrong, added)
