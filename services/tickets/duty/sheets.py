"""Reading a duty roster from a spreadsheet as CSV: bytes in, shifts and faults out. Pure.

The first line names the columns, in Chinese or English, in any order. Encodings: UTF-8, with or without a byte order
mark, and GB18030, as which Excel saves plain "CSV" in China. Separators: comma, semicolon or tab.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from eventkit.errors import RuleBroken
from services.tickets.business_time.wall_clock import first_shown, moment_of
from services.tickets.duty.roster import LEVEL_TEXTS, Post, Shift, Span

_COLUMNS = {
    "group": ("组", "组别", "支持组", "group"),
    "level": ("级别", "层级", "level"),
    "person": ("工号", "值班人", "值班人工号", "person"),
    "day": ("日期", "值班日期", "date"),
    "begin": ("开始", "开始时间", "begin"),
    "end": ("结束", "结束时间", "end"),
    "stand_in": ("替班", "替班人", "替班工号", "stand_in"),
}
_NEEDED = ("group", "level", "person", "begin", "end")
#: Columns that only help people to read the sheet.
_IGNORED = ("姓名", "值班人姓名", "替班姓名", "备注", "星期", "name", "note", "")
_LEVELS = {
    **{str(level): level for level in LEVEL_TEXTS},
    **{text: level for level, text in LEVEL_TEXTS.items()},
    **{"一线": 1, "二线": 2, "三线": 3, "四线": 4},
}
_MOMENT = re.compile(
    r"(?:(?P<year>(?:19|20|21|22)\d{2})[-/.年](?P<month>\d{1,2})[-/.月](?P<day>\d{1,2})日?)?"
    r"[T ]*(?:(?P<hour>\d{1,2})[:：](?P<minute>\d{2})(?:[:：](?P<second>\d{2}))?)?"
)
_EMPLOYEE_NUMBER = re.compile(r"\S{1,64}")
_LONGEST_SHIFT = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class SheetFault:
    """What is wrong in a sheet. line, column: from 1; column 0 means the line as a whole, line 0 the file."""

    line: int
    column: int
    reason: str

    def told(self, name: str) -> str:
        """Return the fault as `file:line:column: reason`; what it has no place for is left out."""
        place = [str(number) for number in (self.line, self.column) if number]
        return f"{':'.join([name, *place])}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a sheet says. shifts: in its order. faults: all of them; a sheet with any should not be taken."""

    shifts: tuple[Shift, ...]
    faults: tuple[SheetFault, ...]


def read_sheet(content: bytes, zone: ZoneInfo) -> Sheet:
    """Read a roster. zone: of the sheet's times. A time alone takes the date of the row's date column or its begin.

    An end that is a time alone, and not after the begin, lies on the next date; 24:00 is the end of a date.
    """
    text = decoded(content)
    if isinstance(text, SheetFault):
        return Sheet((), (text,))
    reading = _Reading(zone)
    shifts = list(reading.shifts(text))
    return Sheet(tuple(shift for _, shift in shifts), tuple(sorted([*reading.faults, *_doubles(shifts)], key=_place)))


def decoded(content: bytes) -> str | SheetFault:
    """Return a sheet's text, or why it has none."""
    if b"\0" in content:
        return SheetFault(0, 0, "is not a CSV file in UTF-8 or GB18030")
    encoding = "utf-8-sig" if _is_meant_as_utf8(content) else "gb18030"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        name = encoding.removesuffix("-sig").upper()
        return SheetFault(line, 0, f"cannot be read as {name}, as which the file was taken")


class _Reading:
    """One sheet under way."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._line = 0
        self._places: Mapping[str, int] = {}
        self.faults: list[SheetFault] = []

    def shifts(self, text: str) -> Iterator[tuple[int, Shift]]:
        """Yield every right row's line and shift."""
        rows = self._rows(text)
        self._places = self._header(next(rows, []))
        if any(name not in self._places for name in _NEEDED):
            return
        found = 0
        for cells in rows:
            if any(cells):
                found += 1
                shift = self._shift({name: cells[at] if at < len(cells) else "" for name, at in self._places.items()})
                if shift:
                    yield self._line, shift
        if not found:
            self._line = 0
            self._fault(0, "has no shifts")

    def _rows(self, text: str) -> Iterator[list[str]]:
        first = text.partition("\n")[0]
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
        self._line = 1
        try:
            for cells in reader:
                yield [cell.strip() for cell in cells]
                # A quoted cell may hold line breaks: a row begins after the line on which the one before it ended.
                self._line = reader.line_num + 1
        except csv.Error as error:
            self._fault(0, f"cannot be read: {error}")

    def _header(self, cells: Sequence[str]) -> dict[str, int]:
        known = {text: name for name, texts in _COLUMNS.items() for text in texts}
        places: dict[str, int] = {}
        for at, cell in enumerate(cells):
            name = known.get(cell.lower())
            if name is None and cell.lower() not in _IGNORED:
                self._fault(
                    at + 1, f"unknown column {cell!r}; known: {', '.join(each[0] for each in _COLUMNS.values())}"
                )
            elif name in places:
                self._fault(at + 1, f"column {cell!r} stands here twice")
            elif name:
                places[name] = at
        for name in _NEEDED:
            if name not in places:
                self._fault(0, f"there is no column {_COLUMNS[name][0]} ({name})")
        return places

    def _fault(self, column: int, reason: str) -> None:
        self.faults.append(SheetFault(self._line, column, reason))

    def _cell_fault(self, name: str, reason: str) -> None:
        self._fault(self._places[name] + 1, f"{_COLUMNS[name][0]}: {reason}")

    def _shift(self, row: Mapping[str, str]) -> Shift | None:
        before = len(self.faults)
        if not row["group"]:
            self._cell_fault("group", "is empty")
        level = _LEVELS.get(row["level"].upper().removeprefix("L"))
        if level is None:
            self._cell_fault("level", f"{row['level']!r} is no level; known: {', '.join(_LEVELS)}")
        for name in ("person", "stand_in"):
            self._check_number(name, row.get(name, ""))
        span = self._span(row)
        if level is None or span is None or len(self.faults) > before:
            return None
        return Shift(Post(row["group"], level), row["person"], span, row.get("stand_in") or None)

    def _check_number(self, name: str, given: str) -> None:
        if not _EMPLOYEE_NUMBER.fullmatch(given) and (given or name == "person"):
            self._cell_fault(name, f"{given!r} is not an employee number")

    def _span(self, row: Mapping[str, str]) -> Span | None:
        day, _ = self._parts("day", row["day"]) if row.get("day") else (None, None)
        begin_day, begin_s = self._parts("begin", row["begin"])
        end_day, end_s = self._parts("end", row["end"])
        if begin_s is None or end_s is None:
            return None
        first = begin_day or day
        if first is None:
            self._cell_fault("begin", f"{row['begin']!r} has no date, and there is none in the row")
            return None
        last = end_day or first
        if end_day is None and end_s <= begin_s:
            last += timedelta(days=1)
        try:
            span = Span(self._moment(first, begin_s), self._moment(last, end_s))
        except RuleBroken:
            self._cell_fault("end", "is not after the begin")
            return None
        if span.end_at - span.begin_at > _LONGEST_SHIFT:
            self._cell_fault("end", f"is more than {_LONGEST_SHIFT.days} days after the begin")
        return span

    def _parts(self, name: str, given: str) -> tuple[date | None, int | None]:
        """Return the date and the seconds since its midnight, each as far as the cell has it."""
        found = _MOMENT.fullmatch(given)
        part = {key: int(value) for key, value in found.groupdict().items() if value} if found else {}
        wanted = "year" if name == "day" else "hour"
        seconds = part.get("hour", 0) * 3600 + part.get("minute", 0) * 60 + part.get("second", 0)
        try:
            if wanted not in part or part.get("minute", 0) > 59 or part.get("second", 0) > 59 or seconds > 86_400:
                raise ValueError(given)
            day = date(part["year"], part["month"], part["day"]) if "year" in part else None
        except ValueError:
            like = "2026-11-23" if name == "day" else "2026-11-23 08:00, or 08:00 with a date in the row"
            self._cell_fault(name, f"{given!r} is not such as {like}")
            return None, None
        return day, seconds

    def _moment(self, day: date, second: int) -> datetime:
        return moment_of(first_shown(self._zone, day, second))


def _place(fault: SheetFault) -> tuple[int, int]:
    return fault.line, fault.column


def _is_meant_as_utf8(content: bytes) -> bool:
    """Tell whether there is a byte order mark, or more than half of the lines that are not plain ASCII are UTF-8.

    So one torn byte in a UTF-8 file is told, instead of being read as GB18030, in which nearly everything means
    something.
    """
    foreign = [line for line in content.split(b"\n") if not line.isascii()]
    return content.startswith(codecs.BOM_UTF8) or sum(map(_is_utf8, foreign)) * 2 > len(foreign) or not foreign


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _doubles(shifts: Sequence[tuple[int, Shift]]) -> Iterator[SheetFault]:
    """Yield a fault for each row whose person has the same duty, in part at least, in an earlier row already."""
    latest: dict[tuple[Post, str], tuple[int, Shift]] = {}
    for line, shift in sorted(shifts, key=lambda one: (one[1].span.begin_at, one[0])):
        key = shift.post, shift.person
        if key in latest and latest[key][1].span.overlaps(shift.span):
            other = latest[key][0]
            yield SheetFault(max(line, other), 0, f"{shift.person} has this duty already, in line {min(line, other)}")
        if key not in latest or shift.span.end_at > latest[key][1].span.end_at:
            latest[key] = line, shift
        if shift.stand_in == shift.person:
            yield SheetFault(line, 0, f"{shift.person} cannot stand in for themselves")
