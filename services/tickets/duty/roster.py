"""The duty roster (值班表, T13): who is on duty at a moment, and when nobody will be. Pure.

A shift names the person on duty and perhaps a stand-in. Swaps pass duty on, in the order in which they were agreed.
Whoever has the duty after the swaps and is away, or has left, is replaced by the shift's stand-in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from contracts.gateway import AwaySpan
from eventkit.errors import RuleBroken

#: How far ahead a gap is looked for (T13).
HORIZON = timedelta(days=7)
#: The levels of support (T4), as people call them.
LEVEL_TEXTS = {1: "关键用户", 2: "专家", 3: "技术团队", 4: "厂商"}


@dataclass(frozen=True, slots=True, order=True)
class Post:
    """What is to be manned: a level of a group. level: 1 key user, 2 specialist, 3 technical team, 4 vendor (T4)."""

    group: str
    level: int

    def told(self) -> str:
        """Return the post as people see it."""
        return f"{self.group} {LEVEL_TEXTS.get(self.level, self.level)}"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time. Aware moments; the end does not belong to it. Raises RuleBroken when it is none."""

    begin_at: datetime
    end_at: datetime

    def __post_init__(self) -> None:
        if self.begin_at.tzinfo is None or self.end_at.tzinfo is None:
            raise RuleBroken("needs a time zone", field="begin_at")
        if self.end_at <= self.begin_at:
            raise RuleBroken("must be after the begin", field="end_at")

    def holds(self, moment: datetime) -> bool:
        """Tell whether a moment lies in the span."""
        return self.begin_at <= moment < self.end_at

    def overlaps(self, other: Span) -> bool:
        """Tell whether the two have any time in common."""
        return self.begin_at < other.end_at and other.begin_at < self.end_at

    def without(self, other: Span) -> list[Span]:
        """Return what is left without the time of another: two parts, one, or none."""
        parts = ((self.begin_at, min(self.end_at, other.begin_at)), (max(self.begin_at, other.end_at), self.end_at))
        return [Span(begin, end) for begin, end in parts if begin < end]


@dataclass(frozen=True, slots=True)
class Shift:
    """One person's duty. stand_in: takes over while the person is away; employee numbers."""

    post: Post
    person: str
    span: Span
    stand_in: str | None = None

    def without(self, spans: Iterable[Span]) -> list[Shift]:
        """Return what is left of the shift without the time of spans."""
        parts = [self.span]
        for span in spans:
            parts = [rest for part in parts for rest in part.without(span)]
        return [replace(self, span=part) for part in parts]


@dataclass(frozen=True, slots=True)
class Swap:
    """Within the span `taker` does whatever duty `giver` has on the post. An exchange is two swaps."""

    post: Post
    giver: str
    taker: str
    span: Span


class Why(StrEnum):
    """Why somebody is on duty."""

    ROSTERED = "rostered"
    SWAPPED = "swapped"
    STANDING_IN = "standing_in"


@dataclass(frozen=True, slots=True)
class Duty:
    """Somebody on duty. rostered: whom the roster names, when it is somebody else."""

    person: str
    why: Why
    rostered: str | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A span in which nobody is on duty. absent: who would be, but is away or has left; in order, each once.

    goes_on: it reaches the end of what was looked at, so nobody knows yet when it ends.
    """

    post: Post
    span: Span
    absent: tuple[str, ...] = ()
    goes_on: bool = False

    def told(self, zone: ZoneInfo) -> str:
        """Return the gap as people read it, in their time zone."""
        begin, end = (at.astimezone(zone).strftime("%Y-%m-%d %H:%M") for at in (self.span.begin_at, self.span.end_at))
        because = f"({'、'.join(self.absent)} 不在岗)" if self.absent else "(未排班)"
        return f"{self.post.told()} {begin} 至 {end}{'之后' if self.goes_on else ''} 无人值班{because}"


@dataclass(frozen=True, slots=True)
class Roster:
    """A duty roster and what is known of its people. Swaps in the order in which they were agreed.

    away: spans in which somebody is away, by employee number; they may overlap. left: who no longer works here.
    """

    shifts: Sequence[Shift]
    swaps: Sequence[Swap] = ()
    away: Mapping[str, Sequence[AwaySpan]] = field(default_factory=dict)
    left: Collection[str] = ()

    @property
    def posts(self) -> list[Post]:
        """Every post that the roster names, in order."""
        return sorted({shift.post for shift in self.shifts})

    def of(self, post: Post) -> Roster:
        """Return the part of the roster about one post."""
        shifts = [shift for shift in self.shifts if shift.post == post]
        return Roster(shifts, [swap for swap in self.swaps if swap.post == post], self.away, self.left)

    def is_present(self, person: str, moment: datetime) -> bool:
        """Tell whether somebody works here and is not away."""
        if person in self.left:
            return False
        return not any(span.begin_at <= moment < span.end_at for span in self.away.get(person, ()))

    def holder(self, shift: Shift, moment: datetime) -> str:
        """Return who has a shift's duty after the swaps, present or not."""
        person = shift.person
        for swap in self.swaps:
            if swap.post == shift.post and swap.giver == person and swap.span.holds(moment):
                person = swap.taker
        return person

    def on_duty(self, post: Post, moment: datetime) -> list[Duty]:
        """Return who is on duty on a post, each once, in the roster's order. Empty: nobody is."""
        found: dict[str, Duty] = {}
        for shift in self.shifts:
            if shift.post == post and shift.span.holds(moment):
                duty = self._duty(shift, moment)
                if duty:
                    found.setdefault(duty.person, duty)
        return list(found.values())

    def absent(self, post: Post, moment: datetime) -> list[str]:
        """Return who would be on duty on a post but is not there, stand-ins included; each once."""
        shifts = [shift for shift in self.shifts if shift.post == post and shift.span.holds(moment)]
        meant = [person for shift in shifts for person in (self.holder(shift, moment), shift.stand_in) if person]
        return [person for person in dict.fromkeys(meant) if not self.is_present(person, moment)]

    def gaps(
        self, now: datetime, needed: Mapping[Post, Sequence[Span]] | None = None, *, horizon: timedelta = HORIZON
    ) -> list[Gap]:
        """Return when, from now to the horizon, a post that must be manned has nobody; by post, then by time.

        needed: when each post must be manned, such as a calendar's openings; by default around the clock on every
        post that the roster names. Gaps that touch are one; none is longer than the span in which it is needed.
        """
        window = Span(now, now + horizon)
        needed = dict.fromkeys(self.posts, (window,)) if needed is None else needed
        return [
            gap
            for post in sorted(needed)
            for span in _joined(needed[post])
            if span.overlaps(window)
            for gap in self.of(post)._gaps(post, _within(span, window), window.end_at)
        ]

    def next_turn(self, now: datetime) -> datetime | None:
        """Return the next moment at which somebody may come on duty, go, be back or be away; None after the last."""
        return min((turn for turn in self._turns() if turn > now), default=None)

    def _duty(self, shift: Shift, moment: datetime) -> Duty | None:
        holder = self.holder(shift, moment)
        if self.is_present(holder, moment):
            return Duty(holder, Why.ROSTERED) if holder == shift.person else Duty(holder, Why.SWAPPED, shift.person)
        if shift.stand_in and self.is_present(shift.stand_in, moment):
            return Duty(shift.stand_in, Why.STANDING_IN, shift.person)
        return None

    def _turns(self) -> Iterator[datetime]:
        """Yield every moment at which somebody's duty or presence may change."""
        people = {person for shift in self.shifts for person in (shift.person, shift.stand_in)}
        people |= {swap.taker for swap in self.swaps}
        spans: list[Span | AwaySpan] = [*(one.span for one in self.shifts), *(one.span for one in self.swaps)]
        spans += [span for person in people if person for span in self.away.get(person, ())]
        for span in spans:
            yield from (span.begin_at, span.end_at)

    def _gaps(self, post: Post, span: Span, window_end: datetime) -> Iterator[Gap]:
        turns = sorted({span.begin_at, *(turn for turn in self._turns() if span.holds(turn))})
        begin: datetime | None = None
        absent: dict[str, None] = {}
        for turn in turns:
            if self.on_duty(post, turn):
                if begin:
                    yield Gap(post, Span(begin, turn), tuple(absent))
                begin, absent = None, {}
            else:
                begin = begin or turn
                absent |= dict.fromkeys(self.absent(post, turn))
        if begin:
            yield Gap(post, Span(begin, span.end_at), tuple(absent), goes_on=span.end_at == window_end)


def exchange(first: Shift, second: Shift) -> tuple[Swap, Swap]:
    """Return the two swaps by which two people exchange whole shifts (换班). Raises RuleBroken when they cannot."""
    if first.person == second.person:
        raise RuleBroken("both shifts are the same person's", field="second")
    if first.post == second.post and first.span.overlaps(second.span):
        raise RuleBroken("the shifts are at the same time on the same post: nothing would change", field="second")
    return (
        Swap(first.post, first.person, second.person, first.span),
        Swap(second.post, second.person, first.person, second.span),
    )


def swap_problem(roster: Roster, swap: Swap) -> tuple[str, str] | None:
    """Return field and reason why a swap cannot be agreed on top of a roster; None when it can.

    The giver must have the duty at every moment of the span, and the taker none of it: two cannot be done by one.
    """
    part = roster.of(swap.post)
    after = replace(part, swaps=[*part.swaps, swap])
    turns = {turn for turn in after._turns() if swap.span.holds(turn)}
    for turn in sorted(turns):
        holders = {part.holder(shift, turn) for shift in part.shifts if shift.span.holds(turn)}
        if swap.giver not in holders:
            return "giver", f"{swap.giver} has no duty at {turn.isoformat()}"
        if swap.taker in holders:
            return "taker", f"{swap.taker} is on duty already at {turn.isoformat()}"
        if not part.is_present(swap.taker, turn):
            return "taker", f"{swap.taker} is not there at {turn.isoformat()}"
    return None


def manned(shifts: Iterable[Shift], until: datetime) -> dict[Post, list[Span]]:
    """Return when each post had somebody up to a moment, in order."""
    begun = (one for one in shifts if one.span.begin_at < until)
    return {
        post: _joined([Span(span.begin_at, min(span.end_at, until)) for span in spans])
        for post, spans in _by_post(begun).items()
    }


def covered(shifts: Iterable[Shift], since: datetime) -> dict[Post, Span]:
    """Return from when to when the shifts of each post reach, without what is before a moment."""
    reached = {
        post: (max(since, min(span.begin_at for span in spans)), max(span.end_at for span in spans))
        for post, spans in _by_post(shifts).items()
    }
    return {post: Span(begin, end) for post, (begin, end) in reached.items() if begin < end}


def _by_post(shifts: Iterable[Shift]) -> dict[Post, list[Span]]:
    spans: dict[Post, list[Span]] = {}
    for one in shifts:
        spans.setdefault(one.post, []).append(one.span)
    return spans


def news(found: Iterable[Gap], known: Sequence[Gap]) -> list[Gap]:
    """Return the gaps to warn of: those, or a part of those, that the last look (`known`) did not show.

    A gap that has begun, and one that went on past the last look's horizon and now shows its end, are no news.
    """
    return [gap for gap in found if not any(_is_part(gap, one) for one in known)]


def _is_part(gap: Gap, known: Gap) -> bool:
    if gap.post != known.post or not known.span.begin_at <= gap.span.begin_at <= known.span.end_at:
        return False
    return known.goes_on or gap.span.end_at <= known.span.end_at


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Return the spans in order, those that touch or overlap as one."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda one: one.begin_at):
        if joined and span.begin_at <= joined[-1].end_at:
            joined[-1] = Span(joined[-1].begin_at, max(joined[-1].end_at, span.end_at))
        else:
            joined.append(span)
    return joined


def _within(span: Span, window: Span) -> Span:
    return Span(max(span.begin_at, window.begin_at), min(span.end_at, window.end_at))
