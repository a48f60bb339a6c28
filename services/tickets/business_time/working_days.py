"""What a date is to a desk: which hours it opens, and why it does or does not. Pure.

A special opening comes before everything, then closed dates, yearly closures, make-up workdays (调休), statutory
holidays, and last the week.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

DAY_S = 86_400


class DayKind(StrEnum):
    """Why a date has the hours that it has."""

    WORKDAY = "workday"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"
    MAKEUP_DAY = "makeup_day"
    CLOSED = "closed"
    YEARLY_CLOSURE = "yearly_closure"
    SPECIAL_OPENING = "special_opening"


@dataclass(frozen=True, slots=True, order=True)
class Hours:
    """One opening on a date, in seconds since its midnight on the wall clock.

    ends_s: after begins_s; past 86,400 it runs into the next date, and belongs to the date on which it begins.
    """

    begins_s: int
    ends_s: int


@dataclass(frozen=True, slots=True)
class Day:
    """One date. hours: in order, none when closed. text: the holiday's name or the reason given in the file."""

    kind: DayKind
    hours: tuple[Hours, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Statutory:
    """Statutory holidays and the workdays that make up for them (调休), with the holiday's name.

    published: the years whose notice is known.
    """

    holidays: Mapping[date, str]
    makeup_days: Mapping[date, str]
    published: frozenset[int]

    @staticmethod
    def notice_year(day: date) -> int:
        """Return the year whose notice says what a date is: New Year's holiday may begin on 29 December."""
        return day.year + 1 if (day.month, day.day) >= (12, 29) else day.year

    def unpublished(self, first: date, last: date) -> tuple[int, ...]:
        """Return the years between two dates of which nobody knows the holidays yet."""
        years = range(self.notice_year(first), self.notice_year(last) + 1)
        return tuple(year for year in years if year not in self.published)


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """The dates of one calendar.

    week: the hours of Monday (0) to Sunday (6). open: special openings, which replace the day's hours. closed,
    yearly (month, day): with their reasons. makeup_hours: the hours of a make-up workday. statutory: None where
    statutory holidays do not count.
    """

    week: Sequence[tuple[Hours, ...]]
    open: Mapping[date, Day] = field(default_factory=dict)
    closed: Mapping[date, str] = field(default_factory=dict)
    yearly: Mapping[tuple[int, int], str] = field(default_factory=dict)
    makeup_hours: tuple[Hours, ...] = ()
    statutory: Statutory | None = None

    def of(self, day: date) -> Day:
        """Return what a date is. Source: issue 5, business time; T7."""
        if day in self.open:
            return self.open[day]
        if day in self.closed:
            return Day(DayKind.CLOSED, (), self.closed[day])
        if (day.month, day.day) in self.yearly:
            return Day(DayKind.YEARLY_CLOSURE, (), self.yearly[day.month, day.day])
        if self.statutory is not None:
            if day in self.statutory.makeup_days:
                return Day(DayKind.MAKEUP_DAY, self.makeup_hours, self.statutory.makeup_days[day])
            if day in self.statutory.holidays:
                return Day(DayKind.HOLIDAY, (), self.statutory.holidays[day])
        hours = self.week[day.weekday()]
        return Day(DayKind.WORKDAY if hours else DayKind.WEEKEND, hours)

    @property
    def usual_day_s(self) -> int:
        """The open seconds of a workday: those of the first weekday from Monday on that opens."""
        usual = next((hours for hours in self.week if hours), self.makeup_hours)
        return sum(each.ends_s - each.begins_s for each in usual)

    @property
    def opens_for_ever(self) -> bool:
        """Whether the week itself opens, on dates that no yearly closure takes."""
        leap_year = (date(2000, 1, 1) + timedelta(days=number) for number in range(366))
        return any(self.week) and any((day.month, day.day) not in self.yearly for day in leap_year)

    @property
    def last_open(self) -> date | None:
        """The last date that opens, for a calendar that does not open for ever; None when no date does."""
        makeup_days: Iterable[date] = self.statutory.makeup_days if self.statutory else ()
        return max((day for day in {*self.open, *makeup_days} if self.of(day).hours), default=None)

    def unpublished(self, first: date, last: date) -> tuple[int, ...]:
        """Return the years between two dates whose holidays are not known yet, and so were not taken into account."""
        return self.statutory.unpublished(first, last) if self.statutory else ()
