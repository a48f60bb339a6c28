"""The policy file: service levels, priorities and groups, read and checked once at start."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from contracts.tickets import Target
from contracts.words import Channel, Secrecy, TicketState
from eventkit.errors import BadSettings
from services.tickets.business_time.allowance import Allowance
from services.tickets.business_time.files import Calendars
from services.tickets.request_types import OwnField, RequestType
from services.tickets.sla.clock import OnChange, OnReopen
from services.tickets.sla.policy import (
    MATCHED,
    Assigning,
    Closing,
    Goal,
    Policy,
    ServiceLevel,
    SkillWanted,
    SupportLevel,
)

_PRIORITIES = (1, 2, 3, 4)
#: The fields of a goal beside the priorities: a span for all others, and the calendar.
_ANY, _CALENDAR = "any", "calendar"
_TARGETS = (Target.FIRST_RESPONSE, Target.NEXT_RESPONSE, Target.SOLUTION)
#: The names that people write for fields of a ticket, where they differ from the table's.
_FIELDS = {"group": "group_name"} | {name: name for name in MATCHED if name != "group_name"}

_Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
_Priority = Annotated[int, msgspec.Meta(ge=1, le=4)]
_Goal = str | dict[int | str, str]


class _Habits(msgspec.Struct, forbid_unknown_fields=True):
    """What a level says, or leaves to the file's defaults."""

    calendar: str | None = None
    warn_at_shares: list[_Share] | None = None
    pauses: dict[Target, list[TicketState]] | None = None
    on_change: OnChange | None = None
    on_reopen: OnReopen | None = None


class _Level(_Habits, forbid_unknown_fields=True, kw_only=True):
    name: str
    when: dict[str, Any] = {}
    first_response: _Goal | None = None
    next_response: _Goal | None = None
    solution: _Goal | None = None


class _Skill(msgspec.Struct, forbid_unknown_fields=True):
    skill: str
    when: dict[str, Any]


class _Assigning(msgspec.Struct, forbid_unknown_fields=True):
    """capacity: so many that it is none, unless the file has one."""

    capacity: Annotated[int, msgspec.Meta(ge=1)] = 1_000_000
    even_out: bool = False
    keep_what_can_wait: bool = True
    duty_calendar: str | None = None
    skills: list[_Skill] = []


class _Closing(msgspec.Struct, forbid_unknown_fields=True):
    silence: str = "3 workdays"
    calendar: str | None = None
    follow_up_at_most: Annotated[int, msgspec.Meta(ge=0, le=5)] = 2


class _Support(msgspec.Struct, forbid_unknown_fields=True):
    target: str | None = None
    group: str | None = None
    calendar: str | None = None
    auto: bool = False


class _OwnField(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    required: bool = False
    pattern: str | None = None


class _RequestType(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    fields: dict[str, _OwnField] = {}
    group: str | None = None
    priority: _Priority | None = None
    secrecy: Secrecy | None = None
    alarm: bool = False


class _PolicyFile(msgspec.Struct, forbid_unknown_fields=True):
    default_priority: _Priority
    defaults: _Habits
    levels: list[_Level]
    priority_matrix: dict[int, list[_Priority]]
    default_group: str
    regions: dict[str, str]
    group_leads: dict[str, str]
    assignment: _Assigning = msgspec.field(default_factory=_Assigning)
    closing: _Closing = msgspec.field(default_factory=_Closing)
    support: dict[_Priority, _Support] = {}
    request_types: dict[str, _RequestType] = {}


def read_policy(path: Path, calendars: Calendars) -> Policy:
    """Read a policy file. Raises BadSettings naming the file and everything that is wrong in it."""
    try:
        file = msgspec.yaml.decode(path.read_bytes(), type=_PolicyFile, strict=False)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadSettings(f"{path}: {error}") from None
    faults: list[str] = []
    levels = [_LevelReader(one, file.defaults, calendars, faults).read() for one in file.levels]
    faults += _order_faults(levels)
    rows = file.priority_matrix
    if set(rows) != set(_PRIORITIES) or any(len(row) != 4 for row in rows.values()):
        faults.append("priority_matrix: needs rows 1 to 4 of four priorities each")
    assigning, closing = _assigning(file, calendars, faults), _closing(file, calendars, faults)
    support = {level: _support(level, given, file, calendars, faults) for level, given in sorted(file.support.items())}
    types = {name: _request_type(name, given, faults) for name, given in file.request_types.items()}
    if faults:
        raise BadSettings(f"{path}: {'; '.join(faults)}")
    return Policy(
        levels,
        calendars,
        file.default_priority,
        rows,
        file.default_group,
        file.regions,
        file.group_leads,
        assigning,
        closing,
        support,
        types,
    )


def _assigning(file: _PolicyFile, calendars: Calendars, faults: list[str]) -> Assigning:
    given = file.assignment
    calendar = _calendar(given.duty_calendar, file, calendars)
    if calendar not in calendars.named:
        faults.append(f"assignment.duty_calendar: no calendar {calendar!r}")
    skills = [
        SkillWanted(one.skill, _conditions(one.when, f"assignment.skills: {one.skill}", faults)) for one in given.skills
    ]
    return Assigning(given.capacity, given.even_out, given.keep_what_can_wait, calendar, skills)


def _calendar(named: str | None, file: _PolicyFile, calendars: Calendars) -> str:
    """Return the calendar of a part of the file: its own, else the general one, else the first there is."""
    return named or file.defaults.calendar or min(calendars.named)


def _closing(file: _PolicyFile, calendars: Calendars, faults: list[str]) -> Closing:
    given = file.closing
    calendar = _calendar(given.calendar, file, calendars)
    silence = Allowance()
    if calendar not in calendars.named:
        faults.append(f"closing.calendar: no calendar {calendar!r}")
    else:
        try:
            silence = _allowance(given.silence, calendar, calendars)
        except ValueError as error:
            faults.append(f"closing.silence: {error}")
    return Closing(silence, calendar, given.follow_up_at_most)


def _support(level: int, given: _Support, file: _PolicyFile, calendars: Calendars, faults: list[str]) -> SupportLevel:
    calendar = _calendar(given.calendar, file, calendars)
    allowed = None
    if calendar not in calendars.named:
        faults.append(f"support.{level}.calendar: no calendar {calendar!r}")
    elif given.target is not None:
        try:
            allowed = _allowance(given.target, calendar, calendars)
        except ValueError as error:
            faults.append(f"support.{level}.target: {error}")
    return SupportLevel(given.group, allowed, calendar, given.auto)


def _request_type(name: str, given: _RequestType, faults: list[str]) -> RequestType:
    for field, own in given.fields.items():
        try:
            re.compile(own.pattern or "")
        except re.error as error:
            faults.append(f"request_types.{name}.fields.{field}.pattern: {error}")
    fields = {field: OwnField(own.title, own.required, own.pattern) for field, own in given.fields.items()}
    return RequestType(given.title, fields, given.group, given.priority, given.secrecy, given.alarm)


def _conditions(when: Mapping[str, Any], place: str, faults: list[str]) -> dict[str, frozenset[Any]]:
    """Return the values that each named field may have, under the names of the ticket's columns."""
    found = {}
    for name, given in when.items():
        values = given if isinstance(given, list) else [given]
        if name not in _FIELDS:
            faults.append(f"{place}: when.{name}: no such field: there are {', '.join(_FIELDS)}")
        elif name == "channel" and (unknown := set(values) - {str(one) for one in Channel}):
            known = ", ".join(Channel)
            faults.append(f"{place}: when.channel: {', '.join(map(str, unknown))} is not known: there are {known}")
        elif name in ("priority", "impact", "urgency") and not set(values) <= set(_PRIORITIES):
            faults.append(f"{place}: when.{name}: has numbers from 1 to 4")
        found[_FIELDS.get(name, name)] = frozenset(values)
    return found


def _order_faults(levels: list[ServiceLevel]) -> Iterator[str]:
    names = [level.name for level in levels]
    yield from (f"levels: {name!r} stands here twice" for name in sorted({n for n in names if names.count(n) > 1}))
    if not levels or levels[-1].when:
        yield "levels: the last one must have no `when`, so that every ticket has a level"
    yield from (
        f"levels: after {level.name!r}, which has no `when`, none is ever reached"
        for level in levels[:-1]
        if not level.when
    )


def _allowance(span: str, calendar: str, calendars: Calendars) -> Allowance:
    """Return what a span allows. Raises ValueError for one that a calendar, or a region's form of it, cannot count."""
    allowance = Allowance.read(span)
    for one in calendars.forms_of(calendar):
        if allowance.in_s(one) <= 0:
            raise ValueError(f"{span!r}: calendar {one.name!r} has no workdays")
    return allowance


class _LevelReader:
    """Turns one entry of the file into a service level, and notes what is wrong in it."""

    def __init__(self, level: _Level, defaults: _Habits, calendars: Calendars, faults: list[str]) -> None:
        self._level = level
        self._defaults = defaults
        self._calendars = calendars
        self._faults = faults

    def read(self) -> ServiceLevel:
        shares = self._habit("warn_at_shares", [])
        if sorted(set(shares)) != shares:
            self._wrong("warn_at_shares", "must rise")
        goals = {target: goal for target in _TARGETS if (goal := self._goal(target)) is not None}
        if not goals:
            self._wrong("solution", "a level needs a target at least")
        pauses = self._habit("pauses", {})
        if Target.OTHER in pauses or any(TicketState.OTHER in states for states in pauses.values()):
            self._wrong("pauses", "names a target or a state that is not known")
        return ServiceLevel(
            self._level.name,
            _conditions(self._level.when, f"levels: {self._level.name}", self._faults),
            goals,
            tuple(shares),
            {target: frozenset(states) for target, states in pauses.items()},
            self._habit("on_change", OnChange.FROM_START),
            self._habit("on_reopen", OnReopen.NEW),
        )

    def _wrong(self, place: str, reason: str) -> None:
        self._faults.append(f"levels: {self._level.name}: {place}: {reason}")

    def _habit(self, name: str, otherwise: Any) -> Any:
        own, general = getattr(self._level, name), getattr(self._defaults, name)
        return own if own is not None else general if general is not None else otherwise

    def _goal(self, target: Target) -> Goal | None:
        given = getattr(self._level, target.value)
        if given is None:
            return None
        spans = {_ANY: given} if isinstance(given, str) else {str(key): span for key, span in given.items()}
        calendar = spans.pop(_CALENDAR, None) or self._habit("calendar", None)
        if calendar not in self._calendars.named:
            known = ", ".join(sorted(self._calendars.named))
            self._wrong(f"{target}.calendar", f"no calendar {calendar!r}: there are {known}")
            return None
        return Goal(self._by_priority(target, spans, calendar), calendar)

    def _by_priority(self, target: Target, spans: Mapping[str, str], calendar: str) -> dict[int, Allowance]:
        known = {_ANY, *map(str, _PRIORITIES)}
        if unknown := set(spans) - known:
            self._wrong(str(target), f"{', '.join(sorted(unknown))} is not one of {', '.join(sorted(known))}, calendar")
        allowed = {}
        for priority in _PRIORITIES:
            span = spans.get(str(priority), spans.get(_ANY))
            if span is None:
                self._wrong(str(target), f"priority {priority} has no span, and there is no `any`")
                continue
            try:
                allowed[priority] = _allowance(span, calendar, self._calendars)
            except ValueError as error:
                self._wrong(str(target), str(error))
        return allowed
