"""Reading what one calendar file says: plain values in, parts and faults out. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.tickets.business_time.calendar import Edge
from services.tickets.business_time.parts import Fault, Parts, Path
from services.tickets.business_time.working_days import DAY_S, Day, DayKind, Hours

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_MONTH_DAY = re.compile(r"(\d{2})-(\d{2})")
#: Every month and day there is.
_YEAR = [(day.month, day.day) for day in (date(2000, 1, 1) + timedelta(days=number) for number in range(366))]
_LONGEST_RANGE = timedelta(days=3660)


class PartsReader:
    """Reads one calendar's plain values and collects what is wrong with them. Times are text, as are dates."""

    def __init__(self, name: str, faults: list[Fault]) -> None:
        self._name = name
        self._faults = faults
        self._readers: dict[str, tuple[str, Callable[[object, Path], object]]] = {
            "timezone": ("timezone", self._zone),
            "edge": ("edge", self._edge),
            "base": ("base", self._text),
            "region": ("region", self._text),
            "week": ("week", self._week),
            "makeup_hours": ("makeup_hours", self._hours),
            "open": ("open", self._openings),
            "closed": ("closed", self._closed),
            "closed_yearly": ("yearly", self._yearly),
            "holidays": ("statutory", self._holidays),
            "workdays": ("workdays", self._closed),
            "published": ("published", self._years),
            "title": ("", self._text),
            "note": ("", self._text),
        }

    def parts(self, given: object) -> Parts:
        """Return what is right of a calendar."""
        found: dict[str, object] = {}
        for name, value in self._entries(given, ()):
            if name not in self._readers:
                self._fault((name,), f"is not known: a calendar has {', '.join(self._readers)}")
                continue
            part, read = self._readers[name]
            value_read = None if value is None else read(value, (name,))
            if part and value_read is not None:
                found[part] = value_read
        if "region" in found and "base" not in found:
            self._fault(("region",), "needs a base, which it is for")
        return Parts(**found)  # type: ignore[arg-type]  # Each reader returns what its part holds.

    def _fault(self, path: Path, reason: str) -> None:
        self._faults.append(Fault(self._name, path, reason))

    def _entries(self, given: object, path: Path) -> Iterator[tuple[str, object]]:
        if isinstance(given, Mapping):
            yield from ((str(name), value) for name, value in given.items())
        else:
            self._fault(path, "must be a mapping of names to values")

    def _items(self, given: object, path: Path) -> Iterator[tuple[object, Path]]:
        if isinstance(given, list):
            yield from ((item, (*path, number)) for number, item in enumerate(given))
        else:
            self._fault(path, "must be a list")

    def _text(self, given: object, path: Path) -> str | None:
        if isinstance(given, str) and given:
            return given
        self._fault(path, "must be text")
        return None

    def _zone(self, given: object, path: Path) -> ZoneInfo | None:
        try:
            return ZoneInfo(str(given))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self._fault(path, f"{given!r} is not a time zone: a name such as Asia/Shanghai")
            return None

    def _edge(self, given: object, path: Path) -> Edge | None:
        if given in tuple(Edge):
            return Edge(str(given))
        self._fault(path, f"{given!r} is neither open nor close")
        return None

    def _holidays(self, given: object, path: Path) -> bool | None:
        if given in ("CN", "none"):
            return given == "CN"
        self._fault(path, f"{given!r} is neither CN nor none")
        return None

    def _years(self, given: object, path: Path) -> frozenset[int]:
        years = set()
        for item, place in self._items(given, path):
            if re.fullmatch(r"\d{4}", str(item)):
                years.add(int(str(item)))
            else:
                self._fault(place, f"{item!r} is not a year")
        return frozenset(years)

    def _week(self, given: object, path: Path) -> dict[int, tuple[Hours, ...]]:
        week: dict[int, tuple[Hours, ...]] = {}
        for name, hours in self._entries(given, path):
            first, _, last = name.partition("-")
            if first not in WEEKDAYS or (last or first) not in WEEKDAYS[WEEKDAYS.index(first) :]:
                self._fault(
                    (*path, name), f"is not a weekday: one of {', '.join(WEEKDAYS)}, or a range such as mon-fri"
                )
                continue
            read = self._hours(hours or [], (*path, name))
            for number in range(WEEKDAYS.index(first), WEEKDAYS.index(last or first) + 1):
                if number in week:
                    self._fault((*path, name), f"{WEEKDAYS[number]} has hours already")
                week[number] = read
        return week

    def _hours(self, given: object, path: Path) -> tuple[Hours, ...]:
        read = (self._opening(item, place) for item, place in self._items(given, path))
        return tuple(sorted(hours for hours in read if hours))

    def _opening(self, given: object, path: Path) -> Hours | None:
        if not isinstance(given, list) or len(given) != 2:
            self._fault(path, "must be two times, such as [09:00, 18:00]")
            return None
        begins, ends = self._time(given[0], (*path, 0)), self._time(given[1], (*path, 1))
        if begins is None or ends is None:
            return None
        if begins in (ends, DAY_S):
            self._fault(path, "is empty: a whole day is [00:00, 24:00]")
            return None
        return Hours(begins, ends if ends > begins else ends + DAY_S)

    def _time(self, given: object, path: Path) -> int | None:
        found = _TIME.fullmatch(given) if isinstance(given, str) else None
        hour, minute, second = (int(part or 0) for part in found.groups()) if found else (99, 0, 0)
        seconds = hour * 3600 + minute * 60 + second
        if minute < 60 and second < 60 and seconds <= DAY_S:
            return seconds
        self._fault(path, f"{given!r} is not a time from 00:00 to 24:00")
        return None

    def _openings(self, given: object, path: Path) -> dict[date, Day]:
        openings = {}
        for name, value in self._entries(given, path):
            place, reason, hours = (*path, name), "", value
            if isinstance(value, Mapping):
                reason, hours = str(value.get("reason") or ""), value.get("hours")
            read = self._hours(hours, place)
            if not read and hours == []:
                self._fault(place, "has no hours: a day without any belongs under closed")
            for day in self._dates(name, place):
                openings[day] = Day(DayKind.SPECIAL_OPENING, read, reason)
        return openings

    def _closed(self, given: object, path: Path) -> dict[date, str]:
        return {day: reason for name, reason, place in self._reasons(given, path) for day in self._dates(name, place)}

    def _yearly(self, given: object, path: Path) -> dict[tuple[int, int], str]:
        closures = {}
        for name, reason, place in self._reasons(given, path):
            first, _, last = name.partition("..")
            begin = self._month_day(first, place)
            end = self._month_day(last, place) if last else begin
            if begin is None or end is None:
                continue
            # A closure from December to January goes over New Year.
            turned = _YEAR[begin:] + _YEAR[: end + 1] if end < begin else _YEAR[begin : end + 1]
            closures.update(dict.fromkeys(turned, reason))
        return closures

    def _reasons(self, given: object, path: Path) -> Iterator[tuple[str, str, Path]]:
        """Yield dates with their reasons: from a mapping of dates to reasons, or from a list of dates alone."""
        if isinstance(given, Mapping):
            yield from ((str(name), str(reason or ""), (*path, str(name))) for name, reason in given.items())
        else:
            yield from ((str(item), "", place) for item, place in self._items(given, path))

    def _dates(self, given: str, path: Path) -> Iterable[date]:
        first, _, last = given.partition("..")
        try:
            begin, end = date.fromisoformat(first), date.fromisoformat(last or first)
        except ValueError:
            self._fault(path, f"{given!r} is not a date such as 2026-10-01, nor a range such as 2026-10-01..2026-10-07")
            return ()
        if not begin <= end <= begin + _LONGEST_RANGE:
            self._fault(path, f"{given!r} ends before it begins, or is longer than ten years")
            return ()
        return _each(begin, end)

    def _month_day(self, given: str, path: Path) -> int | None:
        """Return the place of a month and day in a leap year."""
        try:
            found = _MONTH_DAY.fullmatch(given)
            return _YEAR.index((int(found[1]), int(found[2]))) if found else _YEAR.index((0, 0))
        except ValueError:
            self._fault(path, f"{given!r} is not a month and day such as 12-31, nor a range such as 12-24..01-02")
            return None


def _each(begin: date, end: date) -> Iterator[date]:
    while begin <= end:
        yield begin
        begin += timedelta(days=1)
