"""The unit of work: what one transaction will change, collected and written together at its end.

Handlers are written for one event, yet two hundred of them share one transaction. Rows are kept as mappings and
written by one statement a table; every change has an inverse, so that one handler's failure undoes only its own
part, without a round trip to the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, Connection, Select, Table, any_, bindparam, cast, select

from contracts.fact import Fact
from eventkit import bulk, outbox
from eventkit.envelope import Event, new_id, partitionkey_of
from eventkit.timers import Timer, TimerChanges

Row = dict[str, Any]
Key = tuple[Any, ...]


class Rows:
    """The rows of one table as one transaction sees them: loaded, added and changed ones.

    A row is a plain mapping; it is replaced, never mutated, so that undoing a change is putting the old one back.
    """

    def __init__(self, work: Work, table: Table) -> None:
        self._work = work
        self.table = table
        self._key = [column.name for column in table.primary_key]
        # A column that the database fills in must be absent from the statement, not null.
        self._columns = [
            column.name for column in table.columns if column.server_default is None and column.identity is None
        ]
        self._rows: dict[Key, Row | None] = {}
        self._lookups: dict[str, dict[Any, Key | None]] = {}
        self._added: dict[Key, None] = {}
        self._appended: list[Row] = []
        self._changed: dict[Key, set[str]] = {}
        self._removed: dict[Key, None] = {}

    def preload(self, values: Iterable[Any], *, column: str | None = None) -> None:
        """Lock and read the rows with these values of a unique column (default: the primary key), in one statement."""
        name = column or self._key[0]
        known = self._lookup(name)
        wanted = [value for value in dict.fromkeys(values) if value not in known]
        if wanted:
            self._fetch(_having(self.table, name), {"wanted": wanted})
            for value in wanted:
                known.setdefault(value, None)

    def get(self, value: Any, *, column: str | None = None) -> Row | None:
        """Return the row with this value of a unique column (default: the primary key), or None.

        Reads it with a lock when it was not preloaded; a row added in this transaction is found too.
        """
        name = column or self._key[0]
        known = self._lookup(name)
        if value not in known:
            self._fetch(_having(self.table, name), {"wanted": [value]})
            known.setdefault(value, None)
        key = known[value]
        return None if key is None else self._rows[key]

    def find(self, condition: Any) -> list[Row]:
        """Lock and return the rows that the database holds under a condition, as this transaction sees them now."""
        statement = _locking(self.table).where(condition)
        return [row for key in self._fetch(statement, {}) if (row := self._rows[key]) is not None]

    def seen(self) -> list[Row]:
        """Return every row read or added so far, in the order in which they came."""
        return [row for row in self._rows.values() if row is not None]

    def _lookup(self, column: str) -> dict[Any, Key | None]:
        if column not in self._lookups:
            seen = ((key, row) for key, row in self._rows.items() if row is not None)
            self._lookups[column] = {row[column]: key for key, row in seen if row[column] is not None}
        return self._lookups[column]

    def _fetch(self, statement: Select[Any], parameters: Mapping[str, Any]) -> list[Key]:
        names, found = self.table.columns.keys(), []
        for stored in self._work.connection.execute(statement, parameters):
            row = dict(zip(names, stored, strict=True))
            key = tuple(row[name] for name in self._key)
            found.append(key)
            if key not in self._rows:
                self._rows[key] = row
                for column, known in self._lookups.items():
                    known[row[column]] = key
        return found

    def add(self, **values: Any) -> Row:
        """Add a row; it is written at the end of the transaction."""
        key = tuple(values[name] for name in self._key)
        if self._rows.get(key) is not None:
            raise ValueError(f"{self.table.name} has {key!r} already")
        row: Row = dict.fromkeys(self._columns) | values
        self._rows[key] = row
        self._added[key] = None
        for column, known in self._lookups.items():
            known[row[column]] = key
        self._work.on_undo(lambda: self._take_back(key, row))
        return row

    def append(self, **values: Any) -> None:
        """Add a row whose key the database makes; it cannot be read or changed in this transaction."""
        self._appended.append(values)
        self._work.on_undo(self._appended.pop)

    def expect_absent(self, key: Any) -> None:
        """Take it as known that the database has no row with this primary key, which saves looking for it."""
        self._lookup(self._key[0]).setdefault(key, None)

    def _take_back(self, key: Key, row: Row) -> None:
        del self._added[key]
        del self._rows[key]
        for column, known in self._lookups.items():
            known[row[column]] = None

    def change(self, row: Row, **values: Any) -> Row:
        """Replace a row by one with new values; only the named columns are written."""
        key = tuple(row[name] for name in self._key)
        before, after = self._rows[key], {**row, **values}
        columns = set(self._changed.get(key, ()))
        self._rows[key] = after
        self._look_up_as(key, row, after)
        if key not in self._added:
            self._changed[key] = columns | values.keys()

        def undo() -> None:
            self._rows[key] = before
            self._look_up_as(key, after, row)
            if columns:
                self._changed[key] = columns
            else:
                self._changed.pop(key, None)

        self._work.on_undo(undo)
        return after

    def _look_up_as(self, key: Key, before: Row, after: Row) -> None:
        """Have a row found by the values that it has now, and no longer by those that it had."""
        for column, known in self._lookups.items():
            if before[column] != after[column]:
                known.pop(before[column], None)
                known[after[column]] = key

    def remove(self, row: Row) -> None:
        """Delete a row that was loaded."""
        key = tuple(row[name] for name in self._key)
        before = self._rows[key]
        self._rows[key] = None
        self._removed[key] = None

        def undo() -> None:
            self._rows[key] = before
            del self._removed[key]

        self._work.on_undo(undo)

    def flush(self, script: bulk.Script) -> None:
        """Have a script write what was collected: a statement for each set of changed columns, one for new rows."""
        # First what is changed: a new row may have a unique value that another has just given up.
        if self._changed:
            kept = {key: row for key in self._changed if (row := self._rows[key]) is not None}
            named = {key: [*self._key, *self._changed[key]] for key in kept}
            changed = [{name: row[name] for name in named[key]} for key, row in kept.items()]
            bulk.update_rows(script, self.table, changed)
        if self._added:
            bulk.insert_rows(script, self.table, [row for key in self._added if (row := self._rows[key])])
        if self._appended:
            bulk.insert_rows(script, self.table, self._appended)
        if self._removed:
            bulk.delete_rows(script, self.table, [dict(zip(self._key, key, strict=True)) for key in self._removed])


@cache
def _locking(table: Table) -> Select[Any]:
    return select(table).order_by(*table.primary_key).with_for_update()


@cache
def _having(table: Table, column: str) -> Select[Any]:
    """Return the statement that locks and reads the rows with the values `wanted` of a column."""
    wanted = cast(bindparam("wanted"), ARRAY(table.c[column].type))
    return _locking(table).where(table.c[column] == any_(wanted))


def array_of(table: Table, column: str, values: Sequence[Any]) -> Any:
    """Return the values as one array parameter, so that every batch size shares one prepared statement shape."""
    return cast(list(values), ARRAY(table.c[column].type))


class Work:
    """What one transaction will change and tell: rows, events, timers.

    connection: the open transaction, for reading. now: its moment by the database's clock, aware, UTC.
    source: the CloudEvents source of the events emitted here. cause: the event that is being handled; else actor and
    traceparent say on whose behalf a call, and as part of which trace a call or a timer, runs.
    """

    def __init__(self, connection: Connection, *, source: str, now: datetime) -> None:
        self.connection = connection
        self.source = source
        self.now = now
        self.cause: Event[Fact] | None = None
        self.received: Any = None
        self.may_emit: frozenset[type[Fact]] | None = None
        self.actor: str | None = None
        self.traceparent: str | None = None
        self._rows: dict[str, Rows] = {}
        self._events: list[Event[Any]] = []
        self._timers = TimerChanges(self.on_undo)
        self._undo: list[Callable[[], None]] = []
        self._late_locks: list[Callable[[], None]] = []
        self.scope: dict[Any, Any] = {}

    def rows(self, table: Table) -> Rows:
        """Return this transaction's view of a table."""
        rows = self._rows.get(table.fullname)
        if rows is None:
            rows = self._rows[table.fullname] = Rows(self, table)
        return rows

    def emit(
        self,
        data: Fact,
        *,
        subject: str,
        time: datetime | None = None,
        actor: str | None = None,
        externalref: str | None = None,
    ) -> Event[Any]:
        """Announce a fact; it leaves the service if, and only if, this transaction commits.

        time: when it happened; the transaction's moment unless given. What the running handler's cause carries on
        (trace, actor, history) is taken over. Raises TypeError for a fact that the handler did not declare.
        """
        if self.may_emit is not None and type(data) not in self.may_emit:
            raise TypeError(f"{type(data).__name__} is not among the facts that this handler declares in `emits`")
        cause = self.cause
        event = Event(
            id=new_id(),
            source=self.source,
            type=data.TYPE,
            subject=subject,
            time=time or self.now,
            data=data,
            partitionkey=partitionkey_of(self.source, subject),
            traceparent=self._trace(),
            actor=actor or (cause.actor if cause else self.actor),
            externalref=externalref,
            history=cause.history if cause else False,
            # What happened long ago is told now: who waits for it, waits from now on.
            arrived_at=self.now,
        )
        self.emit_as(event)
        return event

    def emit_as(self, event: Event[Any]) -> None:
        """Announce an event under an identity of its own: the gateway's way to pass on what others sent."""
        self._events.append(event)
        self.on_undo(self._events.pop)

    def arm(self, kind: str, *, key: str, subject: str, due_at: datetime, payload: Mapping[str, Any]) -> None:
        """Let a timer fire at `due_at`, at once when that is over; an armed one of this kind and key is replaced."""
        due_at = max(due_at, self.now)
        timer = Timer(kind=kind, key=key, subject=subject, due_at=due_at, payload=payload, traceparent=self._trace())
        self._timers.arm(timer)

    def job(
        self, kind: str, *, key: str, subject: str, payload: Mapping[str, Any], due_at: datetime | None = None
    ) -> None:
        """Have a call to the outside made after the commit, now or at `due_at`."""
        due_at = due_at or self.now
        trace = self._trace()
        self._timers.arm(
            Timer(kind=kind, key=key, subject=subject, due_at=due_at, payload=payload, is_job=True, traceparent=trace)
        )

    def _trace(self) -> str | None:
        return self.cause.traceparent if self.cause else self.traceparent

    def cancel(self, kind: str, *, key: str) -> None:
        """Let a timer or a job that has not begun never happen."""
        self._timers.cancel(kind, key)

    def on_undo(self, inverse: Callable[[], Any]) -> None:
        """Remember how to take back the change just made."""
        self._undo.append(inverse)

    def mark(self) -> int:
        """Return a point to which `undo` can go back."""
        return len(self._undo)

    def undo(self, mark: int) -> None:
        """Take back every change made since the mark."""
        while len(self._undo) > mark:
            self._undo.pop()()

    @property
    def emitted(self) -> Sequence[Event[Any]]:
        """The events announced so far."""
        return self._events

    def next_due_at(self, *, jobs: bool) -> datetime | None:
        """Return the earliest moment at which a timer, or a job, armed here falls due; None without any."""
        return self._timers.next_due_at(jobs=jobs)

    def lock_late(self, lock: Callable[[], None]) -> None:
        """Have rows locked that many transactions share: behind all rows of their own, before timers, in one order."""
        self._late_locks.append(lock)

    def take_late_locks(self) -> None:
        """Lock what is shared and known to be needed: once all is preloaded, and again before anything is written."""
        for lock in self._late_locks:
            lock()

    def flush(self) -> None:
        """Write everything in one message. Business rows first, then timers, then the outbox: one lock order."""
        self.take_late_locks()
        script = bulk.Script(self.connection)
        for rows in list(self._rows.values()):
            rows.flush(script)
        self._timers.flush(script)
        if self._events:
            outbox.write(script, self._events)
        script.run()
