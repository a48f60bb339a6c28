"""Timers in PostgreSQL: armed and cancelled in a transaction, claimed when due, fired once.

Lock order is subject first, timer second, everywhere. A worker keeps other workers off a subject by an advisory
lock, lets the effect's service lock the subject's rows, and only then locks the timer: one that was cancelled or
armed anew in between is no longer there in the version that was seen, and does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, case, func, text

from eventkit import bulk
from eventkit.tables import timer as timer_table


class Timer(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is to happen at `due_at`.

    kind: which effect. key: what it is for, unique within the kind. subject: whose rows the effect will change.
    traceparent: the trace of what armed it. interrupted: an earlier call of this job was never recorded: its process
    died, or is frozen past its lease.
    """

    kind: str
    key: str
    subject: str
    due_at: datetime
    payload: Mapping[str, Any]
    is_job: bool = False
    traceparent: str | None = None
    id: int = 0
    version: int = 1
    attempts: int = 0
    interrupted: bool = False


class TimerChanges:
    """The timers armed and cancelled within one transaction; the last word on each key counts."""

    def __init__(self, on_undo: Callable[[Callable[[], None]], None]) -> None:
        self._on_undo = on_undo
        self._changes: dict[tuple[str, str], Timer | None] = {}

    def arm(self, timer: Timer) -> None:
        """Arm a timer, in place of an armed one of the same kind and key."""
        self._set((timer.kind, timer.key), timer)

    def cancel(self, kind: str, key: str) -> None:
        """Let the timer never fire."""
        self._set((kind, key), None)

    def _set(self, key: tuple[str, str], timer: Timer | None) -> None:
        known, before = key in self._changes, self._changes.get(key)
        self._changes[key] = timer

        def undo() -> None:
            if known:
                self._changes[key] = before
            else:
                del self._changes[key]

        self._on_undo(undo)

    def next_due_at(self, *, jobs: bool) -> datetime | None:
        """Return the earliest due moment among the timers, or the jobs, that were armed; None without any."""
        armed = [timer for timer in self._changes.values() if timer and timer.is_job is jobs]
        return min((timer.due_at for timer in armed), default=None)

    def flush(self, script: bulk.Script) -> None:
        """Have a script write the changes: one statement for all armed, one for all cancelled."""
        armed = [timer for timer in self._changes.values() if timer]
        cancelled = [key for key, timer in self._changes.items() if timer is None]
        if cancelled:
            script.add(_CANCEL, {"kinds": [kind for kind, _ in cancelled], "keys": [key for _, key in cancelled]})
        if armed:
            script.add(_ARM, {"rows": bulk.written(timer_table, [_columns(timer) for timer in armed])})


def _columns(timer: Timer) -> dict[str, Any]:
    return {
        "kind": timer.kind,
        "key": timer.key,
        "subject": timer.subject,
        "due_at": timer.due_at,
        "payload": dict(timer.payload),
        "is_job": timer.is_job,
        "traceparent": timer.traceparent,
    }


_CANCEL = text(
    "delete from eventkit.timer where (kind, key) in"
    " (select * from unnest(cast(:kinds as text[]), cast(:keys as text[])))"
)
_insert = bulk.inserting(timer_table, ("due_at", "is_job", "key", "kind", "payload", "subject", "traceparent"))
# A job whose call is under way stays claimed: armed anew, it is called again once that call has been recorded.
_IS_RUNNING = timer_table.c.running_until > func.clock_timestamp()
_ARM = _insert.on_conflict_do_update(
    constraint="timer_once",
    set_={
        "subject": _insert.excluded.subject,
        "due_at": _insert.excluded.due_at,
        "payload": _insert.excluded.payload,
        "is_job": _insert.excluded.is_job,
        "traceparent": _insert.excluded.traceparent,
        "version": timer_table.c.version + 1,
        "attempts": case((_IS_RUNNING, timer_table.c.attempts), else_=0),
        "running_until": case((_IS_RUNNING, timer_table.c.running_until), else_=None),
    },
)

# As a subquery the moment is one value, so that the index is read up to it; a volatile function would be asked for
# every timer that there is.
# The filter runs row by row in due order until enough subjects are ours, so that two workers share the due timers
# instead of waiting for each other. The locks go with the transaction, also when the process is killed.
_DUE = text(
    "with due as materialized ("
    "  select id, kind, key, subject, due_at, payload, traceparent, version, attempts from eventkit.timer"
    "  where not is_job and due_at <= (select clock_timestamp()) order by due_at limit :peek)"
    " select * from due where pg_try_advisory_xact_lock(:lock_space, hashtext(subject)) limit :most"
)
_LOCK_SPACE = 0x11A15
COLUMNS = ("kind", "key", "subject", "due_at", "payload", "traceparent", "id", "version", "attempts")


def claim_due(connection: Connection, *, most: int) -> list[Timer]:
    """Return due timers whose subjects no other worker holds, oldest first; the subjects are ours until the commit."""
    rows = connection.execute(_DUE, {"peek": most * 5, "most": most, "lock_space": _LOCK_SPACE})
    return [Timer(**{name: row[name] for name in COLUMNS}) for row in rows.mappings()]


def lock_current(connection: Connection, timers: Sequence[Timer]) -> list[Timer]:
    """Lock the timers and return those that are still armed in the version seen: the second half of the lock order."""
    rows = connection.execute(
        text(
            "select t.id from eventkit.timer t join unnest(cast(:ids as bigint[]), cast(:versions as int[]))"
            " as seen (id, version) on t.id = seen.id and t.version = seen.version order by t.id for update of t"
        ),
        {"ids": [timer.id for timer in timers], "versions": [timer.version for timer in timers]},
    )
    current = {row.id for row in rows}
    return [timer for timer in timers if timer.id in current]


def remove(connection: Connection, timers: Iterable[Timer]) -> None:
    """Delete fired timers, unless their own effect armed them anew."""
    gone = list(timers)
    connection.execute(
        text(
            "delete from eventkit.timer t using unnest(cast(:ids as bigint[]), cast(:versions as int[]))"
            " as fired (id, version) where t.id = fired.id and t.version = fired.version"
        ),
        {"ids": [timer.id for timer in gone], "versions": [timer.version for timer in gone]},
    )


def remove_called(connection: Connection, jobs: Sequence[Timer]) -> None:
    """Delete jobs whose outcome is recorded; one that was armed anew meanwhile may be called again."""
    connection.execute(
        text(
            "with called as"
            " (select * from unnest(cast(:ids as bigint[]), cast(:versions as int[])) as c (id, version)),"
            " gone as (delete from eventkit.timer t using called where t.id = called.id and t.version = called.version)"
            " update eventkit.timer t set running_until = null, attempts = 0"
            " from called where t.id = called.id and t.version <> called.version"
        ),
        {"ids": [job.id for job in jobs], "versions": [job.version for job in jobs]},
    )


#: Seconds until the next timer falls due; nothing without any.
TIMER_DUE_IN_S = (
    "select extract(epoch from due_at - clock_timestamp()) from eventkit.timer where not is_job order by due_at limit 1"
)
#: Seconds until the next job falls due; nothing without any. One that is being called counts when its lease has ended.
JOB_DUE_IN_S = (
    "select extract(epoch from due_at - clock_timestamp()) from eventkit.timer where is_job"
    " and (running_until is null or running_until < (select clock_timestamp())) order by due_at limit 1"
)


def overdue_s(connection: Connection) -> float:
    """Return for how many seconds the oldest timer or job has been due that nobody has taken up; 0 for none.

    One whose effect failed is due again only after its pause, and a job whose call is under way has been taken up.
    """
    found: float | None = connection.execute(
        text(
            "select extract(epoch from max(now() - due_at)) from ("
            " (select due_at from eventkit.timer where not is_job and due_at < now() order by due_at limit 1) union all"
            " (select due_at from eventkit.timer where is_job and due_at < now()"
            " and (running_until is null or running_until < now()) order by due_at limit 1)) as oldest"
        )
    ).scalar_one()
    return float(found or 0.0)


_CLAIM_JOBS = text(
    "with next as ("
    "  select id, running_until is not null as interrupted from eventkit.timer"
    "  where is_job and kind = any(:kinds) and due_at <= (select clock_timestamp())"
    "  and (running_until is null or running_until < clock_timestamp())"
    "  order by due_at limit :most for update skip locked)"
    " update eventkit.timer t set attempts = attempts + 1, running_until = clock_timestamp()"
    " + make_interval(secs => cast(cast(:leases as jsonb) ->> t.kind as double precision))"
    " from next where t.id = next.id"
    " returning t.id, t.kind, t.key, t.subject, t.due_at, t.payload, t.traceparent, t.version, t.attempts,"
    " next.interrupted"
)


def claim_jobs(connection: Connection, leases: Mapping[str, float], *, most: int) -> list[Timer]:
    """Take due jobs of these kinds for as many seconds as each kind's lease says, and return them, oldest first."""
    values = {"kinds": list(leases), "leases": msgspec.json.encode(leases).decode(), "most": most}
    rows = connection.execute(_CLAIM_JOBS, values).mappings().all()
    found = [Timer(is_job=True, **{name: row[name] for name in (*COLUMNS, "interrupted")}) for row in rows]
    return sorted(found, key=lambda each: each.due_at)


_STILL_CLAIMED = text(
    "select clock_timestamp() as now, coalesce(array_agg(t.id), '{}') as ids from eventkit.timer t"
    " join unnest(cast(:ids as bigint[]), cast(:attempts as int[])) as claimed (id, attempts)"
    " on t.id = claimed.id and t.attempts = claimed.attempts"
)


def still_claimed(connection: Connection, jobs: Sequence[Timer]) -> tuple[datetime, frozenset[int]]:
    """Return the moment, and the ids of the jobs that nobody else has taken since.

    A process that was frozen past its lease comes too late. Nothing is locked: the subjects' rows come first.
    """
    values = {"ids": [job.id for job in jobs], "attempts": [job.attempts for job in jobs]}
    row = connection.execute(_STILL_CLAIMED, values).one()
    return row.now, frozenset(row.ids)


def release(connection: Connection, later: Sequence[tuple[Timer, datetime]], uncalled: Sequence[Timer]) -> None:
    """Give jobs back: those that wait until a later moment, and those that nobody has called.

    A job that was armed anew while its call ran keeps its new moment.
    """
    if later:
        connection.execute(
            text(
                "update eventkit.timer t set running_until = null,"
                " due_at = case when t.version = new.version then new.due_at else t.due_at end"
                " from unnest(cast(:ids as bigint[]), cast(:versions as int[]), cast(:due_at as timestamptz[]))"
                " as new (id, version, due_at) where t.id = new.id"
            ),
            {
                "ids": [job.id for job, _ in later],
                "versions": [job.version for job, _ in later],
                "due_at": [due_at for _, due_at in later],
            },
        )
    if uncalled:
        connection.execute(
            text(
                "update eventkit.timer t set attempts = t.attempts - 1, running_until = null"
                " from unnest(cast(:ids as bigint[]), cast(:attempts as int[])) as claimed (id, attempts)"
                " where t.id = claimed.id and t.attempts = claimed.attempts"
            ),
            {"ids": [timer.id for timer in uncalled], "attempts": [timer.attempts for timer in uncalled]},
        )
