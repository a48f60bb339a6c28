"""The rules of tickets and their clocks: pure functions over values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contracts.gateway import AwaySpan
from contracts.tickets import Target
from contracts.words import Channel, TicketState

#: A live event's own time is believed when it lies this close to its arrival (design: the event).
BELIEVED_BEFORE = timedelta(hours=24)
BELIEVED_AFTER = timedelta(seconds=60)

FINISHED = frozenset({TicketState.RESOLVED, TicketState.CLOSED})
AWAITING = frozenset(
    {
        TicketState.AWAITING_USER,
        TicketState.AWAITING_PROBLEM,
        TicketState.AWAITING_VENDOR,
        TicketState.AWAITING_EVIDENCE,
    }
)


@dataclass(frozen=True, slots=True)
class Policy:
    """Targets, pauses and assignment, as the policy file says. Targets are in seconds."""

    targets_s: Mapping[Target, Mapping[int, int]]
    channel_targets_s: Mapping[Channel, Mapping[Target, int]]
    warn_at_share: float
    pauses: Mapping[Target, Collection[TicketState]]
    default_priority: int
    priority_matrix: Mapping[int, Sequence[int]]
    default_group: str
    region_groups: Mapping[str, str]
    group_leads: Mapping[str, str]

    def target_s(self, target: Target, priority: int, channel: Channel) -> int:
        """Return the allowed seconds; a channel's own target comes before the priority's (T1, T2)."""
        own = self.channel_targets_s.get(channel, {}).get(target)
        return self.targets_s[target][priority] if own is None else own

    def priority_of(self, priority: int | None, impact: int | None, urgency: int | None) -> int:
        """Return the priority asked for, else that of impact × urgency, else the default."""
        if priority is not None:
            return priority
        if impact is not None and urgency is not None:
            return self.priority_matrix[impact][urgency - 1]
        return self.default_priority

    def group_of(self, region: str | None) -> str:
        """Return the group that serves a region (T3); an unknown region is served by the default group."""
        return self.region_groups.get(region or "", self.default_group)

    def stands_still(self, target: Target, state: TicketState) -> bool:
        """Tell whether a clock is paused in a state."""
        return state in self.pauses.get(target, ())


@dataclass(frozen=True, slots=True)
class Clock:
    """One SLA clock of one ticket. Moments are aware; durations are wall-clock seconds.

    paused_s: seconds of finished pauses. missed_due_at: the due moment at which the target was missed, once it was.
    """

    target: Target
    cycle: int
    started_at: datetime
    target_s: int
    paused_s: float = 0.0
    paused_at: datetime | None = None
    stopped_at: datetime | None = None
    missed_due_at: datetime | None = None

    @property
    def due_at(self) -> datetime:
        """The moment at which the target is used up, if no further pause comes."""
        return self.started_at + timedelta(seconds=self.target_s + self.paused_s)

    def warn_at(self, share: float) -> datetime:
        """The moment at which a share (0 to 1) of the target is used up, if no further pause comes."""
        return self.started_at + timedelta(seconds=self.target_s * share + self.paused_s)

    @property
    def runs(self) -> bool:
        """Whether time counts now."""
        return self.stopped_at is None and self.paused_at is None

    def is_missed(self, moment: datetime) -> bool:
        """Tell whether the target is newly missed at a moment: past due, while it ran. Due itself is in time."""
        return self.runs and self.missed_due_at is None and moment > self.due_at

    def missed(self) -> Clock:
        """Return the clock with its miss recorded; in this cycle it stays missed at that due moment."""
        return replace(self, missed_due_at=self.due_at)

    def paused(self, moment: datetime) -> Clock:
        """Return the clock standing still from a moment on."""
        return replace(self, paused_at=moment) if self.runs else self

    def resumed(self, moment: datetime) -> Clock:
        """Return the clock running again; the pause moves the due moment."""
        if self.paused_at is None:
            return self
        pause_s = (moment - self.paused_at).total_seconds()
        return replace(self, paused_at=None, paused_s=self.paused_s + pause_s)

    def stopped(self, moment: datetime) -> Clock:
        """Return the clock at its end; a pause under way ends with it."""
        return replace(self.resumed(moment), stopped_at=moment) if self.stopped_at is None else self

    def restated(self, target_s: int) -> Clock:
        """Return the clock with another target, counted from its start; pauses are kept (priority change)."""
        return replace(self, target_s=target_s) if self.stopped_at is None else self


@dataclass(frozen=True, slots=True)
class Engineer:
    """Somebody who can hold tickets. open_count: tickets held now."""

    employee_number: str
    active: bool
    away: Sequence[AwaySpan]
    open_count: int

    def is_there(self, moment: datetime) -> bool:
        """Tell whether the engineer works here and is not away."""
        return self.active and not any(span.begin_at <= moment < span.end_at for span in self.away)


def choose_engineer(engineers: Sequence[Engineer], moment: datetime) -> str | None:
    """Return who takes the next ticket of a group: the least loaded who is there; None when nobody is (T3).

    Equal loads go by employee number, so that the same facts always give the same answer.
    """
    there = [one for one in engineers if one.is_there(moment)]
    return min(there, key=lambda one: (one.open_count, one.employee_number)).employee_number if there else None


def believed_moment(time: datetime, arrived_at: datetime, *, history: bool) -> datetime:
    """Return the moment at which an event counts: its own time when believable or history, else its arrival."""
    if history or arrived_at - BELIEVED_BEFORE <= time <= arrived_at + BELIEVED_AFTER:
        return time
    return arrived_at


def is_visible(ticket: Mapping[str, object], scope: Mapping[str, object]) -> bool:
    """Tell whether a caller of this scope may see the ticket; an unknown scope sees nothing (deny by default)."""
    kind = scope.get("kind")
    person, groups = scope.get("person"), scope.get("groups") or ()
    if kind == "all":
        return True
    if kind == "own":
        return person is not None and person in (ticket["requester"], ticket["assignee"])
    if kind == "group":
        mine = person is not None and person in (ticket["requester"], ticket["assignee"])
        return mine or (isinstance(groups, list | tuple) and ticket["group_name"] in groups)
    if kind == "department":
        return ticket["department"] is not None and ticket["department"] == scope.get("department")
    return False


def state_text(state: TicketState) -> str:
    """Return what people see of a state (T5)."""
    if state in FINISHED:
        return "已解决"
    return "待处理" if state is TicketState.NEW else "处理中"


def ticket_number(year: int, running: int) -> str:
    """Return a ticket's number, such as T2026-000123."""
    return f"T{year}-{running:06d}"
