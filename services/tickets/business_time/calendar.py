"""Business time: when a target is used up, and how much of it is. Pure; exact to the microsecond.

A calendar's openings are kept year by year as moments in UTC with running sums, made when first needed: an answer
takes a search within a year's table, and a step for each further year.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import accumulate
from zoneinfo import ZoneInfo

from eventkit.errors import RuleBroken
from services.tickets.business_time.wall_clock import first_shown, microseconds, moment_of
from services.tickets.business_time.working_days import Day, WorkingDays

#: Moments outside these years are refused: they are slips of the pen, and a search must end.
FIRST_YEAR, LAST_YEAR = 1900, 2299
_ONE_DAY = timedelta(days=1)


class Edge(StrEnum):
    """When a target is due that is used up exactly as time stops counting."""

    OPEN = "open"  # when time counts again: the next opening, or the end of the pause
    CLOSE = "close"  # at that very moment


@dataclass(frozen=True, slots=True)
class Pause:
    """A span in which a clock stands still. end_at: None while it lasts. by, why: who paused it, for `explain`."""

    begin_at: datetime
    end_at: datetime | None
    by: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Due:
    """When a target is used up. at: UTC; None while a pause lasts that begins before. unpublished: see Elapsed."""

    at: datetime | None
    unpublished: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Elapsed:
    """How much time counted. unpublished: years in the span whose statutory holidays nobody knows yet."""

    time: timedelta
    unpublished: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Year:
    """The openings between two New Years of a calendar, in microseconds since 1970. reached: open time up to ends."""

    begin: int
    end: int
    begins: tuple[int, ...]
    ends: tuple[int, ...]
    reached: tuple[int, ...]

    @property
    def total(self) -> int:
        return self.reached[-1] if self.reached else 0

    def open_before(self, us: int) -> int:
        """Return the open time of this year before a moment."""
        place = bisect_right(self.begins, us) - 1
        return self.reached[place] - max(0, self.ends[place] - us) if place >= 0 else 0

    def used_up(self, amount: int, edge: Edge) -> int | None:
        """Return when an amount of this year's open time is used up; None when the year does not hold it."""
        place = (bisect_left if edge is Edge.CLOSE else bisect_right)(self.reached, amount)
        return self.ends[place] - (self.reached[place] - amount) if place < len(self.ends) else None


@dataclass(frozen=True)
class Calendar:
    """When a desk is open. Raises RuleBroken when it never is."""

    name: str
    zone: ZoneInfo
    days: WorkingDays
    edge: Edge = Edge.CLOSE
    _years: dict[int, _Year] = field(default_factory=dict, init=False, repr=False, compare=False)
    _last_open: date | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for_ever = self.days.opens_for_ever
        # The class is frozen for its users; this is settled here, once.
        object.__setattr__(self, "_last_open", None if for_ever else self.days.last_open)
        if not for_ever and self._last_open is None:
            raise RuleBroken(f"calendar {self.name!r} has no open time at all", field="week")

    @property
    def usual_day_s(self) -> int:
        """The open seconds of a workday, which targets in workdays are counted by."""
        return self.days.usual_day_s

    def due(
        self, start_at: datetime, target: timedelta, pauses: Sequence[Pause] = (), *, edge: Edge | None = None
    ) -> Due:
        """Return when `target` of open time has passed since `start_at`, pauses left out.

        edge: instead of the calendar's own. Pauses may overlap, touch and lie in closed hours.
        Raises RuleBroken naming the field: a target that is not positive, a naive moment, a pause that ends before it
        begins, a moment outside the years 1900 to 2299, a calendar that does not open long enough any more.
        """
        if target <= timedelta(0):
            raise RuleBroken("must be more than 0", field="target_s")
        edge = edge or self.edge
        now, left = _checked(start_at, "start"), target // timedelta(microseconds=1)
        for begin, end in _merged(pauses, now):
            before = self._open_us(now, begin)
            if left < before or (left == before and edge is Edge.CLOSE):
                break
            if end is None:
                return Due(None, self._unpublished(start_at, begin))
            now, left = end, left - before
        due = self._used_up(now, left, edge)
        return Due(moment_of(due), self._unpublished(start_at, due))

    def elapsed(self, start_at: datetime, end_at: datetime, pauses: Sequence[Pause] = ()) -> Elapsed:
        """Return the open time from `start_at` to `end_at`, pauses left out; nothing when the end comes first.

        Raises RuleBroken naming the field, as `due` does.
        """
        start, end = _checked(start_at, "start"), _checked(end_at, "end")
        counted, now = 0, start
        for begin, until in _merged(pauses, start):
            counted += self._open_us(now, min(begin, end))
            now = end if until is None else until
        counted += self._open_us(now, end)
        years = self._unpublished(start_at, end) if end > start else ()
        return Elapsed(timedelta(microseconds=counted), years)

    def openings(self, begin_at: datetime, end_at: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the openings between two moments, in order, cut to them; over New Year an opening may come in two."""
        begin, end = _checked(begin_at, "start"), _checked(end_at, "end")
        while begin < end:
            year = self._year_at(begin)
            first = bisect_right(year.ends, begin)
            for opens, closes in zip(year.begins[first:], year.ends[first:], strict=True):
                if opens >= end:
                    break
                yield moment_of(max(opens, begin)), moment_of(min(closes, end))
            begin = year.end

    def local_date(self, moment: datetime) -> date:
        """Return the date on the desk's wall at a moment."""
        return moment.astimezone(self.zone).date()

    def _open_us(self, begin: int, end: int) -> int:
        """Return the open time between two moments; nothing when the second is not later."""
        if end <= begin:
            return 0
        year = self._year_at(begin)
        counted = -year.open_before(begin)
        while end > year.end:
            counted += year.total
            year = self._year_at(year.end)
        return counted + year.open_before(end)

    def _used_up(self, begin: int, amount: int, edge: Edge) -> int:
        """Return when an amount of open time from a moment on is used up. Raises RuleBroken when it never is."""
        year = self._year_at(begin)
        amount += year.open_before(begin)
        while (moment := year.used_up(amount, edge)) is None:
            amount -= year.total
            if self._last_open and moment_of(year.begin).date() > self._last_open:
                raise RuleBroken(f"{self.name!r} has no open time after {self._last_open}", field="calendar")
            year = self._year_at(year.end)
        return moment

    def unpublished(self, start_at: datetime, end_at: datetime) -> tuple[int, ...]:
        """Return the years between two moments whose statutory holidays nobody knows yet."""
        if self.days.statutory is None:
            return ()
        return self.days.unpublished(self.local_date(start_at), self.local_date(end_at))

    def _unpublished(self, start_at: datetime, us: int) -> tuple[int, ...]:
        return self.unpublished(start_at, moment_of(us))

    def _year_at(self, us: int) -> _Year:
        number = moment_of(us).year
        year = self._year(number)
        if us < year.begin:
            return self._year(number - 1)
        return self._year(number + 1) if us >= year.end else year

    def _year(self, number: int) -> _Year:
        if number not in self._years:
            if not FIRST_YEAR <= number <= LAST_YEAR:
                raise RuleBroken(f"reaches into {number}: only {FIRST_YEAR} to {LAST_YEAR} are known", field="target_s")
            self._years[number] = self._made(number)
        return self._years[number]

    def _made(self, number: int) -> _Year:
        begin, end = (first_shown(self.zone, date(year, 1, 1), 0) for year in (number, number + 1))
        begins: list[int] = []
        ends: list[int] = []
        for first, last in self._spans_of(number):
            opens, closes = max(first, begin), min(last, end)
            if opens >= closes:
                continue
            if ends and opens <= ends[-1]:
                ends[-1] = max(ends[-1], closes)
            else:
                begins.append(opens)
                ends.append(closes)
        lengths = (closes - opens for opens, closes in zip(begins, ends, strict=True))
        return _Year(begin, end, tuple(begins), tuple(ends), tuple(accumulate(lengths)))

    def _spans_of(self, number: int) -> list[tuple[int, int]]:
        """Return a year's openings as the days have them: the night that begins in the old year is among them."""
        day, spans = date(number, 1, 1) - _ONE_DAY, []
        while day.year <= number:
            spans += self.spans_on(day, self.days.of(day))
            day += _ONE_DAY
        return sorted(spans)

    def spans_on(self, day: date, what: Day) -> list[tuple[int, int]]:
        """Return the openings that begin on a date, in microseconds since 1970."""
        return [
            (first_shown(self.zone, day, hours.begins_s), first_shown(self.zone, day, hours.ends_s))
            for hours in what.hours
        ]


def _checked(moment: datetime, field_name: str) -> int:
    """Return a moment in microseconds since 1970. Raises RuleBroken for a naive one, or one that is out of bounds."""
    if moment.tzinfo is None:
        raise RuleBroken("has no time zone", field=field_name)
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise RuleBroken(f"lies in {moment.year}: only {FIRST_YEAR} to {LAST_YEAR} are known", field=field_name)
    return microseconds(moment)


def _merged(pauses: Sequence[Pause], start: int) -> list[tuple[int, int | None]]:
    """Return pauses from a start on, in order, those that overlap or touch as one; None ends the one that lasts."""
    spans = []
    for number, pause in enumerate(pauses):
        begin = _checked(pause.begin_at, f"pauses[{number}]")
        end = None if pause.end_at is None else _checked(pause.end_at, f"pauses[{number}]")
        if end is not None and end < begin:
            raise RuleBroken("ends before it begins", field=f"pauses[{number}]")
        if end is None or end > start:
            spans.append((max(begin, start), end))
    merged: list[tuple[int, int | None]] = []
    for begin, end in sorted(spans, key=lambda span: span[0]):
        if not merged or (merged[-1][1] is not None and begin > merged[-1][1]):
            merged.append((begin, end))
        elif merged[-1][1] is not None:
            merged[-1] = merged[-1][0], None if end is None else max(end, merged[-1][1])
    return merged
