"""What one calendar file says, and what becomes of it over its base. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from eventkit.errors import RuleBroken
from services.tickets.business_time.calendar import Edge
from services.tickets.business_time.statutory_holidays import china
from services.tickets.business_time.working_days import Day, Hours, Statutory, WorkingDays

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in a calendar. path: the way to it from the calendar's top, such as ("week", "mon", 0)."""

    calendar: str
    path: Path
    reason: str

    def told(self) -> str:
        """Return the fault with its place, such as "week.mon[0]: ends before it begins"."""
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path).lstrip(".")
        return f"{place}: {self.reason}" if place else self.reason


@dataclass(frozen=True, slots=True)
class Parts:
    """One file's own words; None or empty where it says nothing. statutory: False says that none counts."""

    base: str | None = None
    region: str | None = None
    timezone: ZoneInfo | None = None
    edge: Edge | None = None
    week: Mapping[int, tuple[Hours, ...]] = field(default_factory=dict)
    makeup_hours: tuple[Hours, ...] | None = None
    open: Mapping[date, Day] = field(default_factory=dict)
    closed: Mapping[date, str] = field(default_factory=dict)
    yearly: Mapping[tuple[int, int], str] = field(default_factory=dict)
    statutory: bool | None = None
    workdays: Mapping[date, str] = field(default_factory=dict)
    published: frozenset[int] = frozenset()

    def over(self, below: Parts) -> Parts:
        """Return these parts laid over a base's: a date or weekday that both name is as these parts say."""
        merged: dict[str, Any] = {}
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(below, each.name)
            if isinstance(mine, Mapping):
                merged[each.name] = {**theirs, **mine}
            else:
                merged[each.name] = mine | theirs if isinstance(mine, frozenset) else theirs if mine is None else mine
        # Within one file a special opening comes before a closed date; an overlay's closed date before its base's.
        closed_here = self.closed.keys() - self.open.keys()
        merged["open"] = {day: what for day, what in merged["open"].items() if day not in closed_here}
        return Parts(**merged)

    def zone(self) -> ZoneInfo:
        """Return the time zone. Raises RuleBroken when neither the file nor its bases name one."""
        if self.timezone is None:
            raise RuleBroken("is missing: a name such as Asia/Shanghai", field="timezone")
        return self.timezone

    def edge_or_default(self) -> Edge:
        """Return when a target used up exactly at closing is due; by default at closing."""
        return self.edge or Edge.CLOSE

    def days(self) -> WorkingDays:
        """Return the dates. A make-up workday has `makeup_hours`, else those of the first open day from Monday on."""
        week = [self.week.get(number, ()) for number in range(7)]
        usual = next((hours for hours in week[:5] if hours), ())
        makeup_hours = usual if self.makeup_hours is None else self.makeup_hours
        return WorkingDays(week, self.open, self.closed, self.yearly, makeup_hours, self._statutory())

    def _statutory(self) -> Statutory | None:
        if self.statutory:
            known = china()
            makeup_days = {**known.makeup_days, **self.workdays}
            return Statutory(known.holidays, makeup_days, known.published | self.published)
        # Without statutory holidays no year can be unpublished; the file's own make-up days count all the same.
        every_year = frozenset(range(date.min.year, date.max.year + 2))
        return Statutory({}, self.workdays, every_year) if self.workdays else None
