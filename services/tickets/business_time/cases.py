"""Cases to reckon: a calendar, a start, and a target or an end, as text. Pure.

A moment without a zone is one on the calendar's wall; answers come back in the form of the start.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from eventkit.errors import RuleBroken
from services.tickets.business_time.calendar import Calendar, Edge, Pause

if TYPE_CHECKING:
    from services.tickets.business_time.files import Calendars

_MISSING = re.compile(r"missing required field `(\w+)`")


class _Case(msgspec.Struct, frozen=True):
    calendar: str
    start: str
    id: str | int | None = None
    target_s: int | None = None
    end: str | None = None
    pauses: list[tuple[str, str | None]] = []
    edge: Edge | None = None
    # What others found, kept with a case for comparing.
    due: str | None = None
    elapsed_s: float | None = None
    source: str | None = None


_FIELDS = frozenset(_Case.__struct_fields__)


@dataclass(frozen=True, slots=True)
class _Moments:
    """Reads moments for one calendar. warnings: what a reader should know of them."""

    calendar: Calendar
    warnings: list[str]

    def read(self, text: str, field: str) -> datetime:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise RuleBroken(f"{text!r} is not a moment such as 2026-02-14T09:00:00", field=field) from None
        if moment.tzinfo is not None:
            return moment
        moment = moment.replace(tzinfo=self.calendar.zone)
        if moment.astimezone(UTC).astimezone(self.calendar.zone).replace(tzinfo=None) != moment.replace(tzinfo=None):
            self.warnings.append(f"{field}: clocks in {self.calendar.zone.key} skip {text}")
        elif moment.utcoffset() != moment.replace(fold=1).utcoffset():
            self.warnings.append(f"{field}: clocks in {self.calendar.zone.key} show {text} twice: the first is meant")
        return moment

    def write(self, moment: datetime, like: str) -> str:
        """Return a moment in the form of another: on the wall, in UTC with Z, or with the same offset."""
        given = datetime.fromisoformat(like)
        if given.tzinfo is not None:
            return moment.astimezone(given.tzinfo).isoformat().replace("+00:00", "Z" if like[-1] in "Zz" else "+00:00")
        local = moment.astimezone(self.calendar.zone)
        # What a clock shows twice needs its offset to be told apart.
        return (local if local.fold else local.replace(tzinfo=None)).isoformat()


def answer(case: bytes | msgspec.Raw, place: int, calendars: Calendars, wrong: dict[str, str]) -> dict[str, Any]:
    """Return a case's `id` with `due` (None while a pause lasts) or `elapsed_s`, or with `error` naming the field.

    place: the case's number from 1, its name when it has no id. wrong: calendars that cannot be used, with reasons.
    """
    try:
        given = msgspec.json.decode(case, type=_Case)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        missing = _MISSING.search(reason)
        found = msgspec.json.decode(case)
        name = found.get("id", place) if isinstance(found, dict) else place
        return _refused(name, missing[1] if missing else where.strip(".`") or "case", reason)
    name = place if given.id is None else given.id
    unknown = msgspec.json.decode(case, type=dict[str, msgspec.Raw]).keys() - _FIELDS
    warnings = [f"{field} is not known and was left out" for field in sorted(unknown)]
    try:
        found = _reckoned(given, _calendar(given.calendar, calendars, wrong), warnings)
    except RuleBroken as broken:
        return _refused(name, broken.field, str(broken))
    return {"id": name, **found, "warnings": warnings} if warnings else {"id": name, **found}


def _refused(name: object, field: str, reason: str) -> dict[str, Any]:
    return {"id": name, "error": f"{field}: {reason}", "field": field}


def _calendar(name: str, calendars: Calendars, wrong: dict[str, str]) -> Calendar:
    if name in wrong:
        raise RuleBroken(f"{name} is wrong: {wrong[name]}", field="calendar")
    if name not in calendars.named:
        raise RuleBroken(f"no calendar {name!r}", field="calendar")
    return calendars.named[name]


def _reckoned(case: _Case, calendar: Calendar, warnings: list[str]) -> dict[str, Any]:
    if (case.target_s is None) == (case.end is None):
        raise RuleBroken("a case has either target_s, to find due, or end, to find elapsed_s", field="target_s")
    moments = _Moments(calendar, warnings)
    start_at = moments.read(case.start, "start")
    pauses = [
        Pause(moments.read(begin, f"pauses[{number}]"), None if end is None else moments.read(end, f"pauses[{number}]"))
        for number, (begin, end) in enumerate(case.pauses)
    ]
    found: dict[str, Any]
    if case.target_s is not None:
        due = calendar.due(start_at, _target(case.target_s), pauses, edge=case.edge)
        found, unpublished = {"due": due.at and moments.write(due.at, case.start)}, due.unpublished
    else:
        elapsed = calendar.elapsed(start_at, moments.read(case.end or "", "end"), pauses)
        seconds = elapsed.time.total_seconds()
        found, unpublished = {"elapsed_s": int(seconds) if seconds.is_integer() else seconds}, elapsed.unpublished
    warnings += [f"no statutory holidays are known for {year}" for year in unpublished]
    return found


def _target(seconds: int) -> timedelta:
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise RuleBroken("is too long", field="target_s") from None
