"""What the gateway may ask about duty: load a roster, swap, see who is on duty and why somebody was given a ticket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from contracts.fact import Moment
from eventkit.arguments import checked, converted, moment_in
from eventkit.errors import NotFound, RuleBroken
from services.tickets.calls import visible
from services.tickets.duty.assignment import PASSED_TEXTS, Passed
from services.tickets.duty.roster import HORIZON, Gap, Post, Roster, Shift, Span, Swap, swap_problem
from services.tickets.duty.sheets import read_sheet
from services.tickets.sla.policy import Policy

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore

#: Faults of a sheet that one answer names.
MOST_FAULTS = 50


class _Shift(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    group: str
    level: int
    person: str
    begin_at: Moment
    end_at: Moment
    stand_in: str | None = None


class _Swap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    group: str
    level: int
    giver: str
    taker: str
    begin_at: Moment
    end_at: Moment


def load_roster(store: TicketStore, policy: Policy, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Take in a roster, a `sheet` (CSV text) or `shifts`; it replaces the same posts' shifts in the span it covers.

    What is over stays as it was. Raises RuleBroken naming lines and reasons when anything is wrong; then nothing is
    taken in.
    """
    if arguments.get("sheet") is None:
        shifts = [_shift(one) for one in converted(arguments.get("shifts") or [], list[_Shift], "shifts")]
        return _taken_in(store, shifts, arguments)
    sheet = read_sheet(str(arguments["sheet"]).encode(), policy.duty_calendar.zone)
    if sheet.faults:
        raise RuleBroken("; ".join(fault.told("sheet") for fault in sheet.faults[:MOST_FAULTS]), field="sheet")
    return _taken_in(store, sheet.shifts, arguments)


def _taken_in(store: TicketStore, shifts: Sequence[Shift], arguments: Mapping[str, Any]) -> dict[str, Any]:
    if not shifts:
        raise RuleBroken("holds no shift", field="shifts")
    for one in shifts:
        _check_group(arguments, one.post.group)
    taken, replaced = store.duty.replace_shifts(shifts)
    _look_over(store, {one.post.group for one in shifts})
    return {"shifts": taken, "replaced": replaced, "groups": sorted({one.post.group for one in shifts})}


def swap_duty(store: TicketStore, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Let one take over another's duty. Raises RuleBroken naming the field when they cannot."""
    given = {name: arguments.get(name) for name in _Swap.__struct_fields__}
    asked = checked(_Swap, given)
    _check_group(arguments, asked.group)
    swap = Swap(Post(asked.group, asked.level), asked.giver, asked.taker, Span(asked.begin_at, asked.end_at))
    if problem := swap_problem(store.duty.roster_for(asked.group, asked.taker), swap):
        raise RuleBroken(problem[1], field=problem[0])
    store.duty.add_swap(swap, actor)
    _look_over(store, {asked.group})
    return given


def _look_over(store: TicketStore, groups: set[str]) -> None:
    """Have gaps looked for, queues drawn from and loads evened out, under the roster as it is from now on."""
    now = store.work.now
    store.work.arm("duty_watch", key="roster", subject="duty", due_at=now, payload={})
    for group in sorted(groups):
        store.work.arm("duty_turn", key=group, subject=f"queue {group}", due_at=now, payload={})


def show_duty(store: TicketStore, policy: Policy, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a group's duty: who has it at a moment, the coming shifts, and the gaps of the next 7 days."""
    group = str(arguments["group"])
    _check_group(arguments, group)
    now = store.work.now
    roster = store.duty.roster(group)
    moment = moment_in(arguments, "at") or now
    calendar = policy.duty_calendar
    needed = [Span(begin, end) for begin, end in calendar.openings(now, now + HORIZON)]
    gaps = roster.gaps(now, {post: needed for post in roster.posts})
    coming = [one for one in roster.shifts if one.span.end_at > now and one.span.begin_at < now + timedelta(days=31)]
    return {
        "group": group,
        "at": moment,
        "time_zone": calendar.zone.key,
        "on_duty": [duty for post in roster.posts for duty in _on_duty(roster, post, moment)],
        "shifts": [_shown(one) for one in sorted(coming, key=lambda one: (one.span.begin_at, one.post, one.person))],
        "gaps": [_gap(one) | {"text": one.told(calendar.zone)} for one in gaps],
    }


def _on_duty(roster: Roster, post: Post, moment: datetime) -> list[dict[str, Any]]:
    return [
        {"level": post.level, "person": one.person, "why": one.why, "rostered": one.rostered}
        for one in roster.on_duty(post, moment)
    ]


def _shown(one: Shift) -> dict[str, Any]:
    return {
        "level": one.post.level,
        "person": one.person,
        "stand_in": one.stand_in,
        "begin_at": one.span.begin_at,
        "end_at": one.span.end_at,
    }


def _gap(one: Gap) -> dict[str, Any]:
    return {
        "level": one.post.level,
        "begin_at": one.span.begin_at,
        "end_at": one.span.end_at,
        "absent": list(one.absent),
        "goes_on": one.goes_on,
    }


def assignments(store: TicketStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return why a ticket was given to whom: every decision, oldest first, with every candidate and their score."""
    row = visible(store, arguments)
    return {"items": [_decision(found) for found in store.duty.assignments_of(row["number"])]}


def _decision(found: Mapping[str, Any]) -> dict[str, Any]:
    judged = [
        {**one, "text": PASSED_TEXTS[Passed(one["passed"])] if one["passed"] else "分派"} for one in found["judged"]
    ]
    return {
        "at": found["at"],
        "group": found["group_name"],
        "person": found["person"],
        "waits_for": found["waits_for"],
        "skill_lifted": found["skill_lifted"],
        "candidates": judged,
    }


def _check_group(arguments: Mapping[str, Any], group: str) -> None:
    scope = arguments.get("scope") or {}
    if scope.get("kind") == "all" or (scope.get("kind") == "group" and group in (scope.get("groups") or ())):
        return
    raise NotFound(f"no group {group}", field="group")


def _shift(given: _Shift) -> Shift:
    return Shift(Post(given.group, given.level), given.person, Span(given.begin_at, given.end_at), given.stand_in)
