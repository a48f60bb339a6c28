"""Row 6: how late timers fire: many running and some due, very many due at once with a worker killed, and idle."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
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
_LOOK_EACH_S = 0.5


@dataclass(frozen=True, slots=True)
class Due:
    """What falls due, and the service that sees to it.

    prepare: makes broker and an empty database, whose address it returns. arm: SQL that lets `count` of `name` fall
    due, the first at `begin` in Unix time, one each `step` seconds. late: SQL for what was seen to, each with its key
    and late_ms. count: SQL for how many those are.
    """

    row: str
    told_as: str
    service: str
    prepare: Callable[[Lab], str]
    arm: str
    late: str
    count: str
    environment: Mapping[str, str]


BARE = Due(
    row=ROW,
    told_as="timers",
    service="bench.timer_service:TimerService",
    prepare=lambda lab: lab.database("bench", timer_service.metadata),
    arm=(
        "insert into eventkit.timer (kind, key, subject, due_at, payload)"
        f" select '{timer_service.KIND}', %(name)s || n, %(name)s || n, to_timestamp(%(begin)s + n * %(step)s), '{{}}'"
        " from generate_series(0, %(count)s - 1) n"
    ),
    late=(
        "select key, cast(extract(epoch from pg_xact_commit_timestamp(xmin) - due_at) * 1000 as float8) as late_ms"
        " from fired"
    ),
    count="select count(*) from fired",
    environment={},
)


def measure(lab: Lab, plan: Plan) -> list[Figure]:
    """Measure timers that do next to nothing."""
    return measured(BARE, lab, plan)


def measured(due: Due, lab: Lab, plan: Plan) -> list[Figure]:
    """Measure the three cases on a database that holds many which are not due."""
    running = 1000 if plan.quick else 100_000
    return [
        *_idle_and_steady(due, lab, plan, running),
        *_burst(due, lab, plan, running, count=1000 if plan.quick else 10_000),
    ]


def _idle_and_steady(due: Due, lab: Lab, plan: Plan, running: int) -> list[Figure]:
    uri = _prepare(due, lab, running)
    with _worker(due, lab, uri) as process, lab.reading(uri) as rows:
        time.sleep(3)
        idle = _idle_share(lab, process, 5.0 if plan.quick else 20.0)
        console.print("  idle: " + ", ".join(f"{name} {share:.2%} of a core" for name, share in idle.items()))
        count = int(plan.hold_s * _PER_SECOND)
        _arm(due, uri, "steady", time.time() + _AHEAD_S, 1 / _PER_SECOND, count)
        lab.until(
            lambda: rows(due.count)[0][0] >= count,
            within_s=_AHEAD_S + plan.hold_s + 30,
            what=f"steady {due.told_as}",
            process=process,
            look_each_s=_LOOK_EACH_S,
        )
        late = _lateness(due, rows, count)
    p50, p99 = quantile(late, 0.5), quantile(late, 0.99)
    plan.details[due.row] = {"idle": idle, "steady p50 ms": p50, "steady p99 ms": p99}
    console.print(f"  {_PER_SECOND} due/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms late")
    spent = idle["contender"] + idle["database"]
    what = f"{running:,} {due.told_as} running, {_PER_SECOND} due/s, p99 late"
    return [
        Figure(due.row, what, p99, "ms", _OTHERS, None, "≤ 250 ms", "≤ 50 ms", p99 <= 250),
        Figure(due.row, "idle, process and database", spent * 100, "% of a core", "", None, "< 1 %", "", spent < 0.01),
    ]


def _burst(due: Due, lab: Lab, plan: Plan, running: int, count: int) -> list[Figure]:
    uri = _prepare(due, lab, running)
    with ExitStack() as stack:
        rows = stack.enter_context(lab.reading(uri))
        first, second = stack.enter_context(_worker(due, lab, uri)), stack.enter_context(_worker(due, lab, uri))
        time.sleep(3)
        due_at = time.time() + _AHEAD_S
        _arm(due, uri, "burst", due_at, 1 / count, count)
        time.sleep(max(due_at + 0.4 - time.time(), 0))
        first.kill()
        lab.until(
            lambda: rows(due.count)[0][0] >= count,
            within_s=60,
            what="the burst",
            process=second,
            look_each_s=_LOOK_EACH_S,
        )
        time.sleep(1)
        late = _lateness(due, rows, count)
    value = quantile(late, 0.99)
    plan.details[due.row] |= {"burst p50 ms": quantile(late, 0.5), "burst p99 ms": value}
    console.print(f"  {count:,} due in one second, a worker killed: all once, p99 {value:,.0f} ms late")
    what = f"{count:,} {due.told_as} due in 1 s, one of two workers killed, p99 late"
    return [Figure(due.row, what, value, "ms", _OTHERS, None, "≤ 3 s, once", "≤ 1 s", value <= 3000)]


def _prepare(due: Due, lab: Lab, running: int) -> str:
    lab.clear_broker()
    uri = due.prepare(lab)
    _arm(due, uri, "running", time.time() + 86_400, 0.1, running)
    return uri


def _arm(due: Due, database_uri: str, name: str, begin: float, step: float, count: int) -> None:
    connection = psycopg2.connect(database_uri)
    with connection, connection.cursor() as cursor:
        cursor.execute(due.arm, {"name": name, "begin": begin, "step": step, "count": count})
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("analyze")
    connection.close()


def _worker(due: Due, lab: Lab, database_uri: str) -> Any:
    return lab.process(due.told_as, "bench.ours", due.service, **environment_of(lab, database_uri), **due.environment)


def _idle_share(lab: Lab, process: Any, seconds: float) -> dict[str, float]:
    before = lab.spent(process)
    time.sleep(seconds)
    return {name: (used - before[name]) / seconds for name, used in lab.spent(process).items()}


def _lateness(due: Due, rows: Any, expected: int) -> list[float]:
    """Return how late each was, in milliseconds. Raises Ended when one fired twice, early or never."""
    found = rows(due.late)
    once = {row.key for row in found}
    early = [row for row in found if row.late_ms < 0]
    if (len(found), len(once), len(early)) != (expected, expected, 0):
        raise Ended(f"{expected} {due.told_as}: {len(found)} fired, {len(once)} of them different, {len(early)} early")
    return [row.late_ms for row in found]
