"""The loops that look at the clock, and timers that fire when they are due."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from time import monotonic

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from eventkit import timers
from eventkit.database import is_lost_connection, is_serialization_failure, reason_of
from eventkit.definition import Effect, ServiceDefinition
from eventkit.telemetry import ServiceMetrics, log
from eventkit.timers import Timer
from eventkit.work import Work

# A loop with nothing to do sleeps until the lookout, or a commit of its own process, wakes it.
UNTIL_WOKEN_S = 30.0
BATCH = 200
# A timer whose effect fails waits longer each time, up to this long; it is never dropped.
MAX_BACKOFF_S = 3600.0


class Loop:
    """Runs `step` again and again: at once while it finds work, else when woken or after the pause it names.

    step: does one piece of work; returns the seconds until it wants to be called again, 0 for at once.
    """

    def __init__(self, name: str, step: Callable[[], float]) -> None:
        self.name = name
        self._step = step
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self.is_waiting = False
        self.problem: str | None = None
        self.last_seen = monotonic()

    def wake(self) -> None:
        """Say that there may be something to do."""
        self._woken.set()

    def stop(self) -> None:
        """Ask `run` to end after the step under way."""
        self._stopping.set()
        self._woken.set()

    def run(self) -> None:
        """Step until stopped, through any outage of the database."""
        while not self._stopping.is_set():
            self.last_seen = monotonic()
            self._woken.clear()
            try:
                pause_s = self._step()
                self.problem = None
            except DBAPIError as error:
                pause_s = 0.05 if is_serialization_failure(error) else self._trouble(error)
            if pause_s > 0:
                self.is_waiting = True
                self._woken.wait(pause_s)
                self.is_waiting = False

    def _trouble(self, error: DBAPIError) -> float:
        """Keep what hinders the loop, say so when it is news, and return how long to wait."""
        before, self.problem = self.problem, f"database: {type(error.orig).__name__}"
        if not is_lost_connection(error):
            log.exception("loop failed", extra={"loop": self.name})
        elif self.problem != before:
            log.warning("loop waits", extra={"loop": self.name, "problem": self.problem})
        return 1.0


class TimerFiring:
    """Fires due timers, oldest first, many in one transaction."""

    def __init__(
        self,
        definition: ServiceDefinition,
        engine: Engine,
        metrics: ServiceMetrics,
        on_commit: Callable[[Work], None] = lambda work: None,
    ) -> None:
        self._definition = definition
        self._engine = engine
        self._metrics = metrics
        self._on_commit = on_commit

    def step(self) -> float:
        """Fire what is due, many or one by one; return 0 when there may be more, else how long nothing need be done."""
        try:
            fired = self._fire(BATCH)
        except Exception as error:
            if is_lost_connection(error) or is_serialization_failure(error):
                raise
            # One effect broke the transaction; one by one, only that one is put off.
            fired = sum(self._fire(1) for _ in range(BATCH))
        # What is due and was not fired is in another worker's hands.
        return 0.0 if fired else UNTIL_WOKEN_S

    def _fire(self, most: int) -> int:
        failed: Timer | None = None
        try:
            with self._engine.begin() as connection:
                due = timers.claim_due(connection, most=most)
                if not due:
                    return 0
                failed = due[0] if most == 1 else None
                now = connection.execute(text("select clock_timestamp()")).scalar_one()
                work = Work(connection, source=self._definition.source, now=now)
                self._run(work, due, now)
                work.flush()
        except Exception as error:  # What one effect wrote cannot be stored: the timer waits, the others go on.
            if failed is None or is_lost_connection(error) or is_serialization_failure(error):
                raise
            self._put_off(failed, error)
            return 1
        self._on_commit(work)
        return len(due)

    def _run(self, work: Work, due: Sequence[Timer], now: datetime) -> None:
        for kind in dict.fromkeys(timer.kind for timer in due):
            effect = self._definition.effects.get(kind)
            if effect is not None and effect.preload is not None:
                effect.preload(work, [timer for timer in due if timer.kind == kind])
        work.take_late_locks()
        current = timers.lock_current(work.connection, due)
        done = []
        for timer in current:
            effect = self._definition.effects.get(timer.kind)
            if effect is None:
                self._arm_again(work, timer, f"no effect for timers of kind {timer.kind}")
            elif self._fired(work, effect, timer):
                done.append(timer)
                self._metrics.lateness.observe(max((now - timer.due_at).total_seconds(), 0.0))
        timers.remove(work.connection, done)

    def _fired(self, work: Work, effect: Effect, timer: Timer) -> bool:
        mark = work.mark()
        work.may_emit, work.traceparent = effect.emits, timer.traceparent
        try:
            effect.fire(work, timer)
            return True
        except DBAPIError:
            raise
        except Exception as error:  # An effect that fails is tried again; the others must fire now.
            work.undo(mark)
            self._arm_again(work, timer, reason_of(error))
            return False
        finally:
            work.may_emit, work.traceparent = None, None

    def _arm_again(self, work: Work, timer: Timer, reason: str) -> None:
        log.error("timer put off", extra={"kind": timer.kind, "timer": timer.key, "problem": reason})
        _put_off_in(work, timer)

    def _put_off(self, timer: Timer, error: Exception) -> None:
        with self._engine.begin() as connection:
            now = connection.execute(text("select now()")).scalar_one()
            self._arm_again(Work(connection, source="", now=now), timer, reason_of(error))


def _put_off_in(work: Work, timer: Timer) -> None:
    work.connection.execute(
        text(
            "update eventkit.timer set attempts = least(attempts + 1, 100),"
            " due_at = now() + make_interval(secs => :backoff_s) where id = :id and version = :version"
        ),
        {"backoff_s": min(2.0**timer.attempts, MAX_BACKOFF_S), "id": timer.id, "version": timer.version},
    )
