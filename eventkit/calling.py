"""Jobs: calls to the outside, each claimed in one transaction, made without any, and recorded in another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from time import monotonic, perf_counter

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from eventkit import timers
from eventkit.database import is_lost_connection, is_serialization_failure
from eventkit.definition import Done, Failed, Job, ServiceDefinition, Unknown
from eventkit.errors import TryLater
from eventkit.firing import UNTIL_WOKEN_S
from eventkit.telemetry import ServiceMetrics, log
from eventkit.timers import Timer
from eventkit.work import Work

TOGETHER = 20
# Past this a worker calls no more of what it has claimed together: the rest goes back, to workers that are free.
SPELL_S = 0.2


class Claimed(msgspec.Struct, frozen=True):
    """A job that is ours until its lease ends."""

    job: Job
    timer: Timer


Outcome = Done | Failed | Unknown
Called = list[tuple[Claimed, Outcome]]


class JobCalling:
    """Makes due calls, oldest first.

    Jobs that may be called again after a crash are claimed and recorded many at a time; each of the others has a
    claim of its own, so that a crash leaves one outcome unknown and no more.
    glance: the engine for claiming (`database.open_glance`). on_more: told when there may be work for another worker.
    """

    def __init__(
        self,
        definition: ServiceDefinition,
        engine: Engine,
        metrics: ServiceMetrics,
        on_commit: Callable[[Work], None] = lambda work: None,
        glance: Engine | None = None,
        on_more: Callable[[], None] = lambda: None,
    ) -> None:
        self._definition = definition
        self._engine = engine
        self._glance = glance or engine
        self._metrics = metrics
        self._on_commit = on_commit
        self._on_more = on_more
        jobs = definition.jobs.values()
        kinds = {
            TOGETHER: sorted(job.kind for job in jobs if job.repeat_after_crash),
            1: sorted(job.kind for job in jobs if not job.repeat_after_crash),
        }
        self._kinds = {most: each for most, each in kinds.items() if each}

    def step(self) -> float:
        """Make the calls of one claim; return 0 when there may be more, else how long nothing need be done."""
        claimed = [self._work_off(kinds, most) for most, kinds in self._kinds.items()]
        # What is due and was not claimed is in another worker's hands.
        return 0.0 if any(claimed) else UNTIL_WOKEN_S

    def _work_off(self, kinds: Sequence[str], most: int) -> bool:
        claim = self._claim(kinds, most)
        if len(claim) == most:
            self._on_more()
        if claim:
            called = self._call(claim)
            self._record(called, [each.timer for each in claim[len(called) :]])
        return bool(claim)

    def _claim(self, kinds: Sequence[str], most: int) -> list[Claimed]:
        leases = {kind: self._definition.jobs[kind].lease_s + SPELL_S for kind in kinds}
        with self._glance.begin() as connection:
            claimed = timers.claim_jobs(connection, leases, most=most)
        return [Claimed(self._definition.jobs[timer.kind], timer) for timer in claimed]

    def _call(self, claim: Sequence[Claimed]) -> Called:
        """Make calls until the spell is over, and return those that were made; the first is made in any case."""
        began, called = monotonic(), Called()
        for each in claim:
            if called and monotonic() - began > SPELL_S:
                break
            interrupted = each.timer.interrupted and not each.job.repeat_after_crash
            called.append((each, Unknown() if interrupted else self._outcome(each)))
        return called

    def _outcome(self, claimed: Claimed) -> Outcome:
        started = perf_counter()
        try:
            return Done(claimed.job.call(claimed.timer))
        except Exception as error:  # What a call raises is its outcome; `record` decides what becomes of it.
            return Failed(error)
        finally:
            self._metrics.job_duration.observe(perf_counter() - started)

    def _record(self, called: Called, uncalled: Sequence[Timer]) -> None:
        """Write what came of calls, as often as the database makes us; the calls themselves are not made again."""
        while True:
            try:
                self._record_once(called, uncalled)
                return
            except DBAPIError as error:
                if is_serialization_failure(error):
                    continue
                if is_lost_connection(error):
                    raise
                if len(called) == 1:
                    _say_not_recorded(called[0][0].timer)
                    return
                # One outcome broke the transaction; one by one, only that one is left to come back.
                for one in called:
                    self._record([one], ())
                self._record([], uncalled)
                return

    def _record_once(self, called: Called, uncalled: Sequence[Timer]) -> None:
        claimed = [each.timer for each, _ in called]
        with self._engine.begin() as connection:
            now, ours = timers.still_claimed(connection, claimed)
            work = Work(connection, source=self._definition.source, now=now)
            current = [(each, outcome) for each, outcome in called if each.timer.id in ours]
            later = [
                (each.timer, now + timedelta(seconds=outcome.error.delay_s))
                for each, outcome in current
                if isinstance(outcome, Failed) and isinstance(outcome.error, TryLater)
            ]
            postponed = {job.id for job, _ in later}
            ready = [(each, outcome) for each, outcome in current if each.timer.id not in postponed]
            self._preload(work, [each for each, _ in ready])
            done = [each.timer for each, outcome in ready if _recorded(work, each, outcome)]
            work.flush()
            timers.remove_called(connection, done)
            timers.release(connection, later, uncalled)
        self._on_commit(work)

    def _preload(self, work: Work, claimed: Sequence[Claimed]) -> None:
        for kind in dict.fromkeys(each.timer.kind for each in claimed):
            preload = self._definition.jobs[kind].preload
            if preload is not None:
                preload(work, [each.timer for each in claimed if each.timer.kind == kind])


def _recorded(work: Work, claimed: Claimed, outcome: Outcome) -> bool:
    mark = work.mark()
    work.may_emit, work.traceparent = claimed.job.emits, claimed.timer.traceparent
    try:
        claimed.job.record(work, claimed.timer, outcome)
        return True
    except DBAPIError:
        raise
    except Exception:  # The job comes back when its lease ends, by its policy; the other jobs go on.
        _say_not_recorded(claimed.timer)
        work.undo(mark)
        return False
    finally:
        work.may_emit, work.traceparent = None, None


def _say_not_recorded(timer: Timer) -> None:
    log.exception("job not recorded", extra={"kind": timer.kind, "job": timer.key})
