"""One SLA clock of one ticket: it runs in business time, stands still, ends, and keeps its miss. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from contracts.tickets import Target
from services.tickets.business_time.calendar import Calendar, Pause


class ClockState(StrEnum):
    """How a clock stands. A missed one may run on until its ticket's target is reached."""

    RUNNING = "running"
    PAUSED = "paused"
    MISSED = "missed"
    MET = "met"
    ENDED = "ended"  # without an outcome: the ticket has no such target any more


class OnChange(StrEnum):
    """How a target that changes under way is counted."""

    FROM_START = "from_start"  # the new target from the clock's start; pauses are kept
    CARRY = "carry"  # what was used up so far stays used up; the rest of the new target counts from now on
    RESTART = "restart"  # the whole new target from now on


class OnReopen(StrEnum):
    """What the solution clock of a reopened ticket is given."""

    NEW = "new"  # the whole target
    REST = "rest"  # what was left when it was resolved; a budget that was used up stays missed
    NONE = "none"  # no clock: what was resolved once is judged once


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock as it stands. Moments are aware.

    target_s: open seconds that may pass. spent_s: those used up before `started_at`, under another calendar or in an
    earlier cycle. pauses: in order; the last one has no end while the clock stands still. level: the service level's
    name. told: the shares (0 to 1) of which a warning went out, or was passed over. due_at: when the target is used up
    if no further pause comes. missed_due_at: the due moment at which it was missed, once it was.
    has_outcome: False when it stopped because its target does not hold any more, and was not missed before.
    """

    target: Target
    cycle: int
    started_at: datetime
    target_s: int
    calendar: Calendar
    level: str
    due_at: datetime
    spent_s: float = 0.0
    pauses: tuple[Pause, ...] = ()
    told: tuple[float, ...] = ()
    stopped_at: datetime | None = None
    missed_due_at: datetime | None = None
    has_outcome: bool = True

    @classmethod
    def started(
        cls,
        target: Target,
        cycle: int,
        started_at: datetime,
        target_s: int,
        calendar: Calendar,
        level: str,
        *,
        spent_s: float = 0.0,
    ) -> Clock:
        """Return a clock that runs from a moment on."""
        return cls(target, cycle, started_at, target_s, calendar, level, started_at, spent_s)._reckoned()

    @property
    def is_paused(self) -> bool:
        """Whether the clock stands still and will go on."""
        return self.stopped_at is None and bool(self.pauses) and self.pauses[-1].end_at is None

    @property
    def runs(self) -> bool:
        """Whether time counts now, in open hours."""
        return self.stopped_at is None and not self.is_paused

    @property
    def state(self) -> ClockState:
        """How the clock stands, for people."""
        if self.missed_due_at is not None:
            return ClockState.MISSED
        if self.stopped_at is not None:
            return ClockState.MET if self.has_outcome else ClockState.ENDED
        return ClockState.PAUSED if self.is_paused else ClockState.RUNNING

    def used_at(self, share: float) -> datetime:
        """Return when a share (0 to 1) of the target is used up, if no further pause comes."""
        left = timedelta(seconds=self.target_s * share - self.spent_s)
        if left <= timedelta(0):
            return self.started_at
        due = self.calendar.due(self.started_at, left, self._past_pauses()).at
        # Without a pause that lasts, a target always falls due.
        assert due is not None
        return due

    def elapsed_s(self, moment: datetime) -> float:
        """Return the open seconds that counted until a moment, or until the clock stopped."""
        until = min(moment, self.stopped_at) if self.stopped_at else moment
        counted = self.calendar.elapsed(self.started_at, until, self.pauses).time
        return self.spent_s + counted.total_seconds()

    def is_missed(self, moment: datetime) -> bool:
        """Tell whether the target is newly missed at a moment: past due, while it ran. Due itself is in time."""
        return self.runs and self.missed_due_at is None and moment > self.due_at

    def missed(self) -> Clock:
        """Return the clock with its miss recorded; in this cycle it stays missed at that due moment."""
        return replace(self, missed_due_at=self.due_at)

    def warned(self, share: float) -> Clock:
        """Return the clock with a warning told."""
        return replace(self, told=(*self.told, share))

    def shares_to_tell(self, shares: Collection[float]) -> list[float]:
        """Return the shares of which a warning is still to come."""
        return [share for share in shares if share not in self.told]

    def paused(self, moment: datetime, *, by: str = "", why: str = "") -> Clock:
        """Return the clock standing still from a moment on. by, why: for `explain`."""
        return replace(self, pauses=(*self.pauses, Pause(moment, None, by, why))) if self.runs else self

    def resumed(self, moment: datetime) -> Clock:
        """Return the clock running again; open time that the pause took moves the due moment."""
        if not self.is_paused:
            return self
        ended = replace(self.pauses[-1], end_at=max(moment, self.pauses[-1].begin_at))
        return replace(self, pauses=(*self.pauses[:-1], ended))._reckoned()

    def stopped(self, moment: datetime) -> Clock:
        """Return the clock at its end; a pause under way ends with it."""
        return replace(self.resumed(moment), stopped_at=moment) if self.stopped_at is None else self

    def ended(self, moment: datetime) -> Clock:
        """Return the clock at its end because its target does not hold any more; what was missed stays missed."""
        if self.stopped_at is not None:
            return self
        return replace(self.stopped(moment), has_outcome=self.missed_due_at is not None)

    def restated(self, target_s: int, calendar: Calendar, level: str, how: OnChange, moment: datetime) -> Clock:
        """Return the clock with another target, calendar or service level; a pause under way goes on.

        moment: of the change. Warnings already told stay told, a miss stays a miss.
        """
        if self.stopped_at is not None:
            return self
        changed = replace(self, target_s=target_s, calendar=calendar, level=level)
        if how is not OnChange.FROM_START:
            lasting = (replace(self.pauses[-1], begin_at=moment),) if self.is_paused else ()
            spent_s = self.elapsed_s(moment) if how is OnChange.CARRY else 0.0
            changed = replace(changed, started_at=moment, spent_s=spent_s, pauses=lasting)
        return changed._reckoned()

    def _reckoned(self) -> Clock:
        return replace(self, due_at=self.used_at(1.0))

    def _past_pauses(self) -> tuple[Pause, ...]:
        return tuple(pause for pause in self.pauses if pause.end_at is not None)
