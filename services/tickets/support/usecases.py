"""Escalation (T4): a ticket goes up a level of support, with that level's group and internal target."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from contracts.tickets import TicketChanged, TicketEscalated
from contracts.words import TicketState
from eventkit.errors import RuleBroken
from services.tickets import usecases
from services.tickets.duty import usecases as duty
from services.tickets.rules import FINISHED, VENDOR
from services.tickets.sla import usecases as sla
from services.tickets.sla.policy import Policy
from services.tickets.telling import Change, Row, begun, tell

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore


def escalate(
    store: TicketStore, policy: Policy, row: Row, change: Change, *, level: int | None = None, reason: str
) -> Row:
    """Bring a ticket to a higher level of support, the next one unless told, and give it to somebody there.

    Raises RuleBroken for a finished ticket, and for a level that is not higher or that the policy does not have.
    """
    before = row["support_level"]
    level = _next(policy, before) if level is None else level
    if row["state"] in FINISHED:
        raise RuleBroken("a finished ticket is not escalated", field="state")
    if level is None or level <= before or level not in policy.support:
        known = ", ".join(str(one) for one in sorted(policy.support) if one > before) or "none"
        raise RuleBroken(f"must be a level above {before}: there are {known}", field="level")
    row, change = begun(store, row, change)
    sla.record_misses(store, policy, row, change)
    store.note(row["number"], change, "support_level", before=str(before), after=str(level), reason=reason)
    group = policy.support[level].group or row["group_name"] or policy.default_group
    moved = store.tickets.change(row, support_level=level, group_name=group)
    moved = sla.begin_support(store, policy, moved, change)
    if group != row["group_name"]:
        moved = sla.restate(store, policy, moved, change)
    tell(store, TicketEscalated, moved, policy, change, level=level, previous_level=before, reason=reason)
    placed = duty.place(store, policy, moved, change)
    placed = duty.handed_over(store, policy, row, placed, change, reason=f"escalated: {reason}")
    if level == VENDOR and placed["state"] != TicketState.AWAITING_VENDOR:
        placed = usecases.enter(store, policy, placed, TicketState.AWAITING_VENDOR, change, reason=reason)
    return placed


def overdue(store: TicketStore, policy: Policy, number: str, cycle: int, change: Change) -> None:
    """Escalate a ticket whose internal target was missed, where the policy says so, unless it has moved on since."""
    row = store.tickets.get(number)
    if row is None or row["state"] in FINISHED or row["support_cycle"] != cycle:
        return
    level = policy.support.get(row["support_level"])
    if level is not None and level.auto and _next(policy, row["support_level"]) is not None:
        escalate(store, policy, row, change, reason="the level's own target was missed")


def _next(policy: Policy, level: int) -> int | None:
    return min((one for one in policy.support if one > level), default=None)


def diagnose(
    store: TicketStore, policy: Policy, row: Row, change: Change, *, mode: str, appointment_at: datetime | None
) -> Row:
    """Note how a ticket is diagnosed, remotely or on site, and when (T4)."""
    return _note_support(store, policy, row, change, {"diagnosis_mode": mode, "appointment_at": appointment_at})


def vendor_says(store: TicketStore, policy: Policy, row: Row, change: Change, said: dict[str, Any]) -> Row:
    """Note the vendor's number, promise and root cause (T4). said: only what is to change."""
    return _note_support(store, policy, row, change, said)


def _note_support(store: TicketStore, policy: Policy, row: Row, change: Change, said: dict[str, Any]) -> Row:
    known = store.supports.get(row["number"]) or store.supports.add(number=row["number"])
    changed = {name: value for name, value in said.items() if known[name] != value}
    if not changed:
        return row
    row, change = begun(store, row, change)
    for name, value in changed.items():
        before, after = (None if one is None else str(one) for one in (known[name], value))
        store.note(row["number"], change, name, before=before, after=after)
    store.supports.change(known, **changed)
    tell(store, TicketChanged, row, policy, change, changed=tuple(changed), occurrences=row["occurrences"])
    return row
