"""Promise 5: a timer fires once, never early, and what was cancelled does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from eventkit.definition import Done, Effect, Failed, Job, Unknown
from eventkit.errors import TryLater
from eventkit.firing import TimerFiring
from eventkit.telemetry import ServiceMetrics
from eventkit.timers import Timer
from eventkit.work import Work
from tests.eventkit.desk import Desk, eventually

Change = Callable[[Work], None]


def now() -> datetime:
    return datetime.now(UTC)


def write(service: Any, change: Change) -> None:
    """Run a change in a unit of work of its own, as a use case would."""
    with service.engine.begin() as connection:
        moment = connection.execute(text("select now()")).scalar_one()
        work = Work(connection, source="/test", now=moment)
        change(work)
        work.flush()


def fire(work: Work, timer: Timer) -> None:
    work.connection.execute(
        text("insert into effect (subject, title, event_id) values (:s, :k, to_char(clock_timestamp() - :d, 'SSSS'))"),
        {"s": timer.subject, "k": timer.key, "d": timer.due_at},
    )


def late_by(service: Any) -> list[Any]:
    return [row.subject for row in service.rows("select subject from effect order by position")]


def test_timers_fire_once_in_the_order_in_which_they_fall_due(desk: Any) -> None:
    service = desk(effects={"ring": Effect("ring", fire)})
    start = now()
    for name, delay_s in (("third", 0.6), ("first", 0.2), ("second", 0.4)):
        due_at = start + timedelta(seconds=delay_s)
        write(service, partial(Work.arm, kind="ring", key=name, subject=name, due_at=due_at, payload={}))
    service.start()
    service.start()
    eventually(lambda: len(late_by(service)) == 3)
    assert late_by(service) == ["first", "second", "third"]
    assert service.one("select count(*) from eventkit.timer") == 0


def test_no_timer_fires_before_the_database_says_so(desk: Any) -> None:
    def fire_and_compare(work: Work, timer: Timer) -> None:
        early = work.connection.execute(text("select clock_timestamp() < :d"), {"d": timer.due_at}).scalar_one()
        work.connection.execute(text("insert into effect (title) values (:t)"), {"t": "early" if early else "on time"})

    service = desk(effects={"ring": Effect("ring", fire_and_compare)})
    start = now()

    def arm_many(work: Work) -> None:
        for n in range(100):
            due_at = start + timedelta(milliseconds=7 * n)
            work.arm("ring", key=str(n), subject=str(n), due_at=due_at, payload={})

    write(service, arm_many)
    service.start()
    eventually(lambda: service.one("select count(*) from effect") == 100)
    assert service.one("select count(*) from effect where title = 'early'") == 0


def test_a_cancelled_timer_and_an_older_version_do_nothing(desk: Any) -> None:
    service = desk(effects={"ring": Effect("ring", fire)})
    soon = now() + timedelta(seconds=0.3)
    write(service, lambda w: w.arm("ring", key="cancelled", subject="A", due_at=soon, payload={}))
    write(service, lambda w: w.arm("ring", key="moved", subject="B", due_at=soon, payload={}))
    service.start()
    write(service, lambda w: w.cancel("ring", key="cancelled"))
    write(service, lambda w: w.arm("ring", key="moved", subject="B", due_at=soon + timedelta(seconds=0.5), payload={}))
    eventually(lambda: late_by(service) == ["B"])
    assert service.one("select extract(epoch from now() - cast(:d as timestamptz)) >= 0.5", d=soon)


def test_an_effect_that_fails_is_put_off_and_the_others_fire(desk: Any) -> None:
    failures: list[str] = []

    def fire_or_fail(work: Work, timer: Timer) -> None:
        if timer.key == "bad" and len(failures) < 2:
            failures.append(timer.key)
            raise RuntimeError("not today")
        fire(work, timer)

    service = desk(effects={"ring": Effect("ring", fire_or_fail)})
    write(service, lambda w: w.arm("ring", key="bad", subject="A", due_at=w.now, payload={}))
    write(service, lambda w: w.arm("ring", key="good", subject="B", due_at=w.now, payload={}))
    service.start()
    eventually(lambda: late_by(service) == ["B"], what="the good one fires")
    eventually(lambda: late_by(service) == ["B", "A"], what="the bad one fires later")


def test_why_a_timer_is_put_off_is_logged_without_the_values_of_rows(
    desk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fire_badly(work: Work, timer: Timer) -> None:
        work.connection.execute(text("select cast(:v as integer)"), {"v": timer.payload["mobile"]})

    service = desk(effects={"ring": Effect("ring", fire_badly)})
    write(service, lambda w: w.arm("ring", key="k", subject="A", due_at=w.now, payload={"mobile": "138-0013-8000"}))
    TimerFiring(service.definition, service.engine, ServiceMetrics("test")).step()
    [logged] = [record for record in caplog.records if record.getMessage() == "timer put off"]
    assert vars(logged)["problem"] == "InvalidTextRepresentation"
    assert service.one("select attempts from eventkit.timer") == 1


def record(work: Work, job: Timer, outcome: Done | Failed | Unknown) -> None:
    work.connection.execute(
        text("insert into effect (subject, title) values (:s, :t)"),
        {"s": job.subject, "t": outcome.value if isinstance(outcome, Done) else type(outcome).__name__},
    )


def test_a_job_is_called_and_its_outcome_recorded(desk: Any) -> None:
    service = desk(jobs={"post": Job("post", lambda job: f"sent {job.payload['n']}", record, repeat_after_crash=True)})
    service.start()
    write(service, lambda w: w.job("post", key="1", subject="A", payload={"n": 7}))
    eventually(lambda: service.effects() == [("A", "sent 7")])
    assert service.one("select count(*) from eventkit.timer") == 0


def test_a_job_that_says_later_is_called_again(desk: Any) -> None:
    calls: list[int] = []

    def call(job: Timer) -> str:
        calls.append(job.attempts)
        if len(calls) < 3:
            raise TryLater("busy", delay_s=0.1)
        return "done"

    service = desk(jobs={"post": Job("post", call, record, repeat_after_crash=True)})
    write(service, lambda w: w.job("post", key="1", subject="A", payload={}))
    service.start()
    eventually(lambda: service.effects() == [("A", "done")])
    assert calls == [1, 2, 3]


def test_a_job_that_was_tried_for_weeks_is_still_called(desk: Any) -> None:
    service = desk(jobs={"post": Job("post", lambda job: "sent", record, repeat_after_crash=True)})
    write(service, lambda w: w.job("post", key="1", subject="A", payload={}))
    with service.engine.begin() as connection:
        connection.execute(text("update eventkit.timer set attempts = 32767"))
    service.start()
    eventually(lambda: service.effects() == [("A", "sent")])


@pytest.mark.parametrize("repeat", [True, False])
def test_a_job_armed_anew_while_its_call_runs_is_recorded_and_then_called_again(desk: Any, repeat: bool) -> None:
    under_way, go_on = threading.Event(), threading.Event()
    calls: list[Any] = []

    def call(job: Timer) -> str:
        calls.append(job.payload["n"])
        under_way.set()
        assert go_on.wait(10)
        return f"call {job.payload['n']}"

    service = desk(jobs={"post": Job("post", call, record, repeat_after_crash=repeat)})
    write(service, lambda w: w.job("post", key="1", subject="A", payload={"n": 1}))
    service.start()
    assert under_way.wait(10)
    write(service, lambda w: w.job("post", key="1", subject="A", payload={"n": 2}))
    time.sleep(0.5)
    assert calls == [1], "nobody else calls while the first call runs"
    go_on.set()
    eventually(lambda: service.effects() == [("A", "call 1"), ("A", "call 2")])
    eventually(lambda: service.one("select count(*) from eventkit.timer") == 0)


def test_a_call_cut_off_by_a_crash_is_repeated_or_unknown_as_its_policy_says(desk: Any) -> None:
    for repeat, outcome in ((True, "called"), (False, "Unknown")):
        service = desk(jobs={"post": Job("post", lambda job: "called", record, repeat_after_crash=repeat)})
        write(service, lambda w: w.job("post", key="1", subject="A", payload={}))
        # As a process leaves it that died during the call: claimed, and its lease over.
        with service.engine.begin() as connection:
            connection.execute(text("update eventkit.timer set attempts = 1, running_until = now() - interval '1 s'"))
        service.start()
        eventually(partial(has_come_to, service, outcome))


def has_come_to(service: Desk, outcome: str) -> bool:
    return service.effects() == [("A", outcome)]
