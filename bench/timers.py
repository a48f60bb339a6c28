"""Row 6: how late timers fire: many running and some due, very many due at once with a worker killed, and idle."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import psycopg2

from bench import timer_service
from bench.figures import Figure, console, quantile
from bench.lab import Ended, Lab, environment_of
from bench.plan import Plan

ROW = "timers"
_PER_SECOND = 100
#: How often others look for what is due, as they ship: their lateness is up to that, and is not measured here.
_OTHERS = "polls: iTop 10 s; Zammad, GLPI, Znuny 5 min"
_AHEAD_S = 5.0
_LATE = (
    "select key, cast(extract(epoch from pg_xact_commit_timestamp(xmin) - due_at) * 1000 as float8) as late_ms"
    " from fired"
)
_ARM = (
    "insert into eventkit.timer (kind, key, subject, due_at, payload)"
    " select %(kind)s, %(name)s || n, %(name)s || n, to_timestamp(%(begin)s + n * %(step)s), '{}'"
    " from generate_series(0, %(count)s - 1) n"
)


def measure(lab: Lab, plan: Plan) -> list[Figure]:
    """Measure the three cases on one database that holds many timers which are not due."""
    running = 1000 if plan.quick else 100_000
    return [
        *_idle_and_steady(lab, plan, running),
        *_burst(lab, plan, running, count=1000 if plan.quick else 10_000),
    ]


def _idle_and_steady(lab: Lab, plan: Plan, running: int) -> list[Figure]:
    uri = _prepare(lab, running)
    with _worker(lab, uri) as process, lab.reading(uri) as rows:
        time.sleep(3)
        idle = _idle_share(lab, process, 5.0 if plan.quick else 20.0)
        console.print("  idle: " + ", ".join(f"{name} {share:.2%} of a core" for name, share in idle.items()))
        count = int(plan.hold_s * _PER_SECOND)
        _arm(uri, "steady", time.time() + _AHEAD_S, 1 / _PER_SECOND, count)
        lab.until(
            lambda: rows("select count(*) from fired")[0][0] >= count,
            within_s=_AHEAD_S + plan.hold_s + 30,
            what="steady timers",
            process=process,
        )
        late = _lateness(rows, count)
    plan.details[ROW] = {"idle": idle, "steady p50 ms": quantile(late, 0.5), "steady p99 ms": quantile(late, 0.99)}
    console.print(f"  {_PER_SECOND} due/s: p50 {quantile(late, 0.5):.1f} ms, p99 {quantile(late, 0.99):.1f} ms late")
    spent, p99 = idle["contender"] + idle["database"], quantile(late, 0.99)
    return [
        Figure(
            ROW,
            f"{running:,} running, {_PER_SECOND} due/s, p99 late",
            p99,
            "ms",
            _OTHERS,
            None,
            "≤ 250 ms",
            "≤ 50 ms",
            p99 <= 250,
        ),
        Figure(ROW, "idle, process and database", spent * 100, "% of a core", "", None, "< 1 %", "", spent < 0.01),
    ]


def _burst(lab: Lab, plan: Plan, running: int, count: int) -> list[Figure]:
    uri = _prepare(lab, running)
    with ExitStack() as stack:
        rows = stack.enter_context(lab.reading(uri))
        first, second = stack.enter_context(_worker(lab, uri)), stack.enter_context(_worker(lab, uri))
        time.sleep(3)
        due_at = time.time() + _AHEAD_S
        _arm(uri, "burst", due_at, 1 / count, count)
        time.sleep(max(due_at + 0.4 - time.time(), 0))
        first.kill()
        lab.until(
            lambda: rows("select count(*) from fired")[0][0] >= count, within_s=60, what="the burst", process=second
        )
        time.sleep(1)
        late = _lateness(rows, count)
    value = quantile(late, 0.99)
    plan.details[ROW] |= {"burst p50 ms": quantile(late, 0.5), "burst p99 ms": value}
    console.print(f"  {count:,} due in one second, a worker killed: all once, p99 {value:,.0f} ms late")
    what = f"{count:,} due in 1 s, one of two workers killed, p99 late"
    return [Figure(ROW, what, value, "ms", _OTHERS, None, "≤ 3 s, once", "≤ 1 s", value <= 3000)]


def _prepare(lab: Lab, running: int) -> str:
    lab.clear_broker()
    uri = lab.database("bench", timer_service.metadata)
    _arm(uri, "running", time.time() + 86_400, 0.1, running)
    return uri


def _arm(database_uri: str, name: str, begin: float, step: float, count: int) -> None:
    connection = psycopg2.connect(database_uri)
    with connection, connection.cursor() as cursor:
        values = {"kind": timer_service.KIND, "name": name, "begin": begin, "step": step, "count": count}
        cursor.execute(_ARM, values)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("analyze eventkit.timer")
    connection.close()


def _worker(lab: Lab, database_uri: str) -> Any:
    return lab.process("timers", "bench.ours", "bench.timer_service:TimerService", **environment_of(lab, database_uri))


def _idle_share(lab: Lab, process: Any, seconds: float) -> dict[str, float]:
    before = lab.spent(process)
    time.sleep(seconds)
    return {name: (used - before[name]) / seconds for name, used in lab.spent(process).items()}


def _lateness(rows: Any, expected: int) -> list[float]:
    """Return how late each timer was, in milliseconds. Raises Ended when one fired twice, early or never."""
    found = rows(_LATE)
    once = {row.key for row in found}
    early = [row for row in found if row.late_ms < 0]
    if (len(found), len(once), len(early)) != (expected, expected, 0):
        raise Ended(f"{expected} timers: {len(found)} fired, {len(once)} of them different, {len(early)} early")
    return [row.late_ms for row in found]
