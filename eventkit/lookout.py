"""One look at the database for a whole process: what waits to be sent, fired, called or tried again.

What a process commits itself it knows at once. The look is for everything else: what other replicas leave, what falls
due, and what was left by a process that is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Engine, text

from eventkit import held, outbox, timers

LOOK_S = 0.2
# Looks are not closer together than this, however close together things fall due.
_BREATH_S = 0.01
OUTBOX, TIMERS, JOBS, HELD = "outbox", "timers", "jobs", "held"
_DUE_IN_S = {
    OUTBOX: outbox.DUE_IN_S,
    TIMERS: timers.TIMER_DUE_IN_S,
    JOBS: timers.JOB_DUE_IN_S,
    HELD: held.DUE_IN_S,
}


class Lookout:
    """Looks for what is due and wakes those who do it.

    wakes: whom to wake for OUTBOX, TIMERS, JOBS or HELD; what is not among them is not looked for.
    engine: one for looking (`database.open_glance`).
    """

    def __init__(self, engine: Engine, wakes: Mapping[str, Callable[[], None]]) -> None:
        self._engine = engine
        self._wakes = wakes
        self._statement = text("select " + ", ".join(f"({_DUE_IN_S[name]}) as {name}" for name in wakes))

    def step(self) -> float:
        """Look once, wake, and return the seconds until the next look: never past the moment of something known."""
        with self._engine.connect() as connection:
            due_in_s = connection.execute(self._statement).mappings().one()
        next_s = LOOK_S
        for name, wake in self._wakes.items():
            if (seconds := due_in_s[name]) is None:
                continue
            if seconds <= 0:
                wake()
            if seconds > 0 or name == TIMERS:
                # Behind a timer that is due the next one may be close.
                next_s = min(next_s, max(float(seconds), _BREATH_S))
        return next_s
