"""A ServiceNow incident audit log as events: one row for each change of an incident, read so that nothing is lost.

Columns may come in any order. A row that cannot be read is told by its line and reason, and costs no other row.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

SOURCE = "/servicenow"
PERSON = "servicenow.person.listed"
OPENED = "servicenow.incident.opened"
UPDATED = "servicenow.incident.updated"
TYPES = "servicenow.*"

_AWAITED = ("User Info", "Problem", "Vendor", "Evidence")
_LEVELS = ("1 - High", "2 - Medium", "3 - Low")
_WORDS: Mapping[str, Sequence[str]] = {
    "incident_state": ("New", "Active", "Resolved", "Closed", *(f"Awaiting {what}" for what in _AWAITED)),
    "priority": ("1 - Critical", "2 - High", "3 - Moderate", "4 - Low", "?", ""),
    "impact": (*_LEVELS, "?", ""),
    "urgency": (*_LEVELS, "?", ""),
}
_FINISHED = ("Resolved", "Closed")
_NEEDED = ("number", "incident_state", "opened_at", "sys_updated_at")
_USED = (
    *_NEEDED,
    *("priority", "impact", "urgency", "category", "subcategory", "u_symptom", "location", "assignment_group"),
    *("assigned_to", "caller_id", "contact_type", "resolved_by", "closed_code", "reopen_count", "made_sla"),
)
_TITLE = "short_description"
_UNKNOWN = ("?", "")
_TIME = "%d-%m-%Y %H:%M"
# What the door takes. A row that it refused could be the one that opens its incident, and those after it would find
# no ticket; so we look first.
_MAX_CELL = 255
_MAX_NUMBER_BYTES = 200
# Labels of one number in two columns are not known to be one person, so each column has its own letter.
_LABELS = {"caller_id": ("Caller", "C"), "assigned_to": ("Resolver", "R"), "resolved_by": ("Resolved by", "B")}


class NotALog(Exception):
    """The file as a whole cannot be read: the message says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row. line: where it begins in the file, from 1. cells: by column name, stripped."""

    line: int
    number: str
    opened_at: datetime
    updated_at: datetime
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Broken:
    """A row that was left out."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Log:
    """A log as read. missing: columns of use that the file does not have; what they would say is not known."""

    rows: tuple[Row, ...]
    broken: tuple[Broken, ...]
    encoding: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event as the log's system publishes it. line: the row that it was made from, None for people."""

    id: str
    type: str
    subject: str
    time: datetime
    body: bytes
    line: int | None = None


def read_log(content: bytes) -> Log:
    """Read a log. Raises NotALog when it has no header, or the header lacks a column that nothing goes without."""
    encoding, text = _decoded(content)
    lines = [(number, line) for number, line in enumerate(re.split("\r\n|\n|\r", text), 1) if line.strip()]
    if not lines:
        raise NotALog("the file is empty")
    columns = _columns(lines[0][1])
    rows: list[Row] = []
    broken: list[Broken] = []
    for number, cells in _records(lines[1:], len(columns)):
        row = cells if isinstance(cells, Broken) else _row(number, dict(zip(columns, cells, strict=True)))
        if isinstance(row, Row):
            rows.append(row)
        else:
            broken.append(row)
    missing = tuple(name for name in _USED if name not in columns)
    return Log(tuple(rows), tuple(broken), encoding, missing)


def _decoded(content: bytes) -> tuple[str, str]:
    """Return the encoding and the text: a byte order mark, else UTF-8, else GB18030, else Latin-1.

    An encoding is taken when it fits at least half of the lines that are not plain ASCII; what does not fit is kept
    as lone surrogates, by which its row is found broken. Nearly every byte pair is *some* GB18030 character, so a
    line counts as GB18030 only when all its characters are in everyday use (GB 2312).
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16", content.decode("utf-16", "replace").replace("�", "\udcff")
    content = content.removeprefix(b"\xef\xbb\xbf")
    foreign = [line for line in re.split(b"\r\n|\n|\r", content) if not line.isascii()]
    for name, fits in (("UTF-8", _is_utf8), ("GB18030", _is_everyday_chinese)):
        if 2 * sum(map(fits, foreign)) >= len(foreign):
            return name, content.decode(name, "surrogateescape")
    return "Latin-1", content.decode("latin-1")


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_everyday_chinese(line: bytes) -> bool:
    try:
        line.decode("gb2312")
    except UnicodeDecodeError:
        return False
    return True


def _columns(header: str) -> list[str]:
    columns = [name.strip().lower() for name in next(csv.reader([header]))]
    if missing := [name for name in _NEEDED if name not in columns]:
        raise NotALog(f"the header has no {', '.join(missing)}; it has {', '.join(columns)[:200]}")
    if twice := [name for name, count in Counter(columns).items() if count > 1 and name in _USED]:
        raise NotALog(f"the header has {', '.join(twice)} more than once")
    return columns


def _records(lines: Sequence[tuple[int, str]], width: int) -> Iterator[tuple[int, list[str] | Broken]]:
    """Return each record with its first line's number; quoted cells may run over lines.

    A quote that is never closed would swallow the rest of the file, so a record ends before the next line that is
    whole by itself.
    """
    at = 0
    while at < len(lines):
        number, text = lines[at]
        at += 1
        cells = _split(text)
        while cells is None and at < len(lines) and len(_split(lines[at][1]) or ()) != width:
            text += "\n" + lines[at][1]
            at += 1
            cells = _split(text)
        if cells is None:
            yield number, Broken(number, "a quoted cell is not closed, or goes on after its closing quote")
        elif len(cells) != width:
            yield number, Broken(number, f"{len(cells)} cells, the header has {width}")
        else:
            yield number, [cell.strip() for cell in cells]


def _split(text: str) -> list[str] | None:
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error:
        return None


def _row(line: int, cells: dict[str, str]) -> Row | Broken:
    for name, cell in cells.items():
        if reason := _unfit(cell, is_used=name in _USED):
            return Broken(line, f"{name}: {reason}")
    if cells["number"] in _UNKNOWN or len(cells["number"].encode()) > _MAX_NUMBER_BYTES:
        return Broken(line, f"number: is required, with at most {_MAX_NUMBER_BYTES} bytes")
    for name, words in _WORDS.items():
        if name in cells and cells[name] not in words:
            return Broken(line, f"{name}: {cells[name][:60]!r} is not one of {', '.join(filter(None, words))}")
    moments = {}
    for name in ("opened_at", "sys_updated_at"):
        try:
            moments[name] = datetime.strptime(cells[name], _TIME).replace(tzinfo=UTC)
        except ValueError:
            return Broken(line, f"{name}: {cells[name][:60]!r} is not a time like 29-02-2016 01:16")
    return Row(line, cells["number"], moments["opened_at"], moments["sys_updated_at"], cells)


def _unfit(cell: str, *, is_used: bool) -> str | None:
    if any("\ud800" <= character <= "\udfff" for character in cell):
        return "bytes that the file's encoding does not have"
    if is_used and any(character < " " and character not in "\t\n\r" for character in cell):
        return "a control character"
    if is_used and len(cell) > _MAX_CELL:
        return f"{len(cell)} characters; a cell may have {_MAX_CELL}"
    return None


@dataclass(frozen=True, slots=True)
class Times:
    """When the log's moments are told to have been: as they were, or squeezed into the time from `begins_at`.

    begins_at: None for history as it was. first_at: the log's first moment. speed: log seconds per second.
    """

    begins_at: datetime | None = None
    first_at: datetime = field(default=datetime.min.replace(tzinfo=UTC))
    speed: float = 1.0

    def of(self, moment: datetime) -> datetime:
        """Return when a moment of the log is told to have been."""
        if self.begins_at is None:
            return moment
        return self.begins_at + timedelta(seconds=(moment - self.first_at).total_seconds() / self.speed)

    def name(self, number: str) -> str:
        """Return an incident's number; each play with today's times is of incidents of its own."""
        return number if self.begins_at is None else f"{number}-{self.begins_at:%Y%m%dT%H%M%S}"


def in_time_order(rows: Iterable[Row]) -> list[tuple[datetime, bool, Row]]:
    """Return (moment, is the incident's first, row): by time across incidents, as in the file within one.

    A row that is dated before an earlier row of its incident takes that one's place in time, and keeps its own date.
    """
    reached: dict[str, datetime] = {}
    placed = []
    for row in rows:
        is_first = row.number not in reached
        moment = row.opened_at if is_first else row.updated_at
        reached[row.number] = max(moment, reached.get(row.number, moment))
        placed.append((reached[row.number], moment, is_first, row))
    placed.sort(key=lambda one: one[0])
    return [(moment, is_first, row) for _, moment, is_first, row in placed]


def log_events(log: Log, times: Times | None = None) -> list[LogEvent]:
    """Return everything that the log tells, people first. Ids are made from content: told twice, they repeat."""
    times = times or Times()
    placed = in_time_order(log.rows)
    if not placed:
        return []
    told = [_incident_event(row, moment, is_first, times) for moment, is_first, row in placed]
    return [*_people(log.rows, times.of(placed[0][0])), *_numbered(told)]


def _numbered(events: Iterable[LogEvent]) -> Iterator[LogEvent]:
    """Tell rows of equal content apart by counting them."""
    seen: Counter[str] = Counter()
    for event in events:
        seen[event.id] += 1
        count = seen[event.id]
        yield event if count == 1 else replace(event, id=f"{event.id}-{count}")


def _incident_event(row: Row, moment: datetime, is_first: bool, times: Times) -> LogEvent:
    number = times.name(row.number)
    data: dict[str, object] = {name: row.cells[name] for name in _USED if name in row.cells}
    data |= {"number": number, _TITLE: _title(row)}
    data.update(_nobody(row))
    if times.begins_at is not None:
        data |= {
            "opened_at": f"{times.of(row.opened_at):{_TIME}}",
            "sys_updated_at": f"{times.of(row.updated_at):{_TIME}}",
        }
    for name, (_, letter) in _LABELS.items():
        # Every row of the log names who resolved the incident in the end; that is no fact before it is resolved.
        is_known = name != "resolved_by" or row.cells["incident_state"] in _FINISHED
        if is_known and row.cells.get(name, "") not in _UNKNOWN:
            data[f"{name}_number"] = employee_number(name, row.cells[name], letter)
    # Whatever the order of its columns, a row is the same row.
    content = {name: cell for name, cell in row.cells.items() if name} | {"number": number}
    event_type = OPENED if is_first else UPDATED
    return LogEvent(_digest(content), event_type, number, times.of(moment), _json(data), row.line)


def _title(row: Row) -> str:
    """Return what the log says in a line: many logs have no descriptions, but categories."""
    told = row.cells.get(_TITLE, "")
    named = [row.cells.get(name, "") for name in ("category", "subcategory")]
    told = "".join(character if character.isprintable() else " " for character in told)
    title = told if told not in _UNKNOWN else " / ".join(name for name in named if name not in _UNKNOWN)
    return title[:500] or row.number


def _nobody(row: Row) -> dict[str, bool]:
    """Say that nobody, or no group, holds the incident; a column that is missing says nothing."""
    told = {"unassigned": row.cells.get("assigned_to"), "ungrouped": row.cells.get("assignment_group")}
    return {name: True for name, cell in told.items() if cell in _UNKNOWN}


def employee_number(column: str, label: str, letter: str) -> str:
    """Return the employee number of a label: `Caller 2403` is SN-C2403; another form is told by its digest."""
    usual = re.fullmatch(rf"{_LABELS[column][0]}\s+(\d+)", label)
    return f"SN-{letter}{usual[1]}" if usual else f"SN-{letter}-{hashlib.sha256(label.encode()).hexdigest()[:12]}"


def _people(rows: Sequence[Row], at: datetime) -> list[LogEvent]:
    """Return everybody in the log, once. The version is the number of rows that name the person: it only grows."""
    mentions: Counter[tuple[str, str]] = Counter()
    groups: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        for column in _LABELS:
            label = row.cells.get(column, "")
            if label in _UNKNOWN:
                continue
            mentions[column, label] += 1
            group = row.cells.get("assignment_group", "")
            if column == "assigned_to" and group not in _UNKNOWN:
                groups.setdefault((column, label), set()).add(group)
    return [
        _person_event(column, label, version, sorted(groups.get((column, label), ())), at)
        for (column, label), version in sorted(mentions.items())
    ]


def _person_event(column: str, label: str, version: int, groups: list[str], at: datetime) -> LogEvent:
    number = employee_number(column, label, _LABELS[column][1])
    data = {
        "employee_number": number,
        "version": version,
        "name": label,
        "email": f"{number.lower()}@example.invalid",
        "roles": ["engineer"] if column == "assigned_to" else [],
        "groups": groups,
    }
    return LogEvent(_digest(data), PERSON, number, at, _json(data))


def _json(data: Mapping[str, object]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def _digest(content: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
