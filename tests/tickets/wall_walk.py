"""Business time walked step by step: slow, plain, and written apart from the code that it judges.

It reads a calendar's definition itself, and follows a clock on the wall that never goes back: what a clock shows a
second time it has shown before, and what it skips it jumps over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from chinese_calendar import get_holiday_detail, is_workday  # type: ignore[import-untyped]  # It ships no types.

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Spans = Sequence[tuple[datetime, datetime]]


def open_steps(definition: Mapping[str, Any], begin: datetime, steps: int, step: timedelta) -> list[bool]:
    """Return for each step from a moment on whether the desk is open in it."""
    zone = ZoneInfo(definition["timezone"])
    spans: dict[date, Spans] = {}
    # The clock is followed from before the begin, which may lie where it shows times again.
    lead = int(timedelta(hours=2) / step)
    shown = (begin - lead * step).astimezone(zone).replace(tzinfo=None)
    flags = []
    for number in range(-lead, steps):
        shown = max(shown, (begin + number * step).astimezone(zone).replace(tzinfo=None))
        today = shown.date()
        if today not in spans:
            spans[today] = [*_spans(definition, today - timedelta(days=1)), *_spans(definition, today)]
        flags.append(any(opens <= shown < closes for opens, closes in spans[today]))
    return flags[lead:]


def _spans(definition: Mapping[str, Any], day: date) -> Iterator[tuple[datetime, datetime]]:
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - it is a wall time
    for begins, ends in _hours(definition, day):
        first, last = _since_midnight(begins), _since_midnight(ends)
        yield midnight + first, midnight + (last if last > first else last + timedelta(days=1))


def _since_midnight(time: str) -> timedelta:
    hour, minute, *second = (int(part) for part in time.split(":"))
    return timedelta(hours=hour, minutes=minute, seconds=sum(second))


def _hours(definition: Mapping[str, Any], day: date) -> Sequence[Sequence[str]]:
    if day.isoformat() in definition.get("open", {}):
        hours: Sequence[Sequence[str]] = definition["open"][day.isoformat()]
        return hours
    week = definition["week"]
    if day.isoformat() in definition.get("closed", []) or day.strftime("%m-%d") in definition.get("closed_yearly", []):
        return []
    if definition.get("holidays") == "CN":
        if day.weekday() >= 5 and is_workday(day):
            return next((week[name] for name in WEEKDAYS[:5] if week.get(name)), [])
        if get_holiday_detail(day)[0] and get_holiday_detail(day)[1]:
            return []
    found: Sequence[Sequence[str]] = week.get(WEEKDAYS[day.weekday()], [])
    return found


class Walk:
    """One walk from a start: what counts in each step, pauses left out."""

    def __init__(
        self, definition: Mapping[str, Any], start: datetime, steps: int, pauses: Spans, step: timedelta
    ) -> None:
        self.start, self.step = start.astimezone(UTC), step
        flags = open_steps(definition, self.start, steps, step)
        self.counts = [
            flag and not any(begin <= self.start + number * step < end for begin, end in pauses)
            for number, flag in enumerate(flags)
        ]

    def elapsed(self) -> timedelta:
        """Return what counted in the whole walk."""
        return sum(self.counts) * self.step

    def due(self, target: timedelta, edge: str) -> datetime | None:
        """Return when the target is used up, or None when the walk ends before."""
        left = target // self.step
        for number, counts in enumerate(self.counts):
            if counts and not left:
                return self.start + number * self.step
            left -= counts
            if not left and edge == "close":
                return self.start + (number + 1) * self.step
        return None
