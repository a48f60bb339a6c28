"""The clocks of a ticket: started, paused, stopped, restated, missed; and their timers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from contracts.tickets import SlaBreached, SlaMet, SlaWarned, Target
from contracts.words import TicketState
from services.tickets.business_time.calendar import Pause
from services.tickets.rules import FINISHED
from services.tickets.sla.clock import Clock, OnReopen
from services.tickets.sla.policy import MATCHED, Policy
from services.tickets.sla.unpublished import warn_of
from services.tickets.telling import Change, Row, tell

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore

#: Where a ticket shows the due moment of each of its clocks.
_DUE_COLUMNS = {
    Target.FIRST_RESPONSE: "due_response_at",
    Target.NEXT_RESPONSE: "due_next_response_at",
    Target.SOLUTION: "due_solution_at",
}


def clocks_of(store: TicketStore, policy: Policy, row: Row) -> list[Clock]:
    """Return the clocks of a ticket's present cycles."""
    return [clock_of(found, policy) for found in store.clock_rows(row)]


def clock_of(row: Mapping[str, Any], policy: Policy) -> Clock:
    """Return a stored clock."""
    return Clock(
        Target(row["target"]),
        row["cycle"],
        row["started_at"],
        row["target_s"],
        policy.calendar(row["calendar"], None),
        row["level"],
        row["due_at"],
        row["spent_s"],
        tuple(_pause(one) for one in row["pauses"]),
        tuple(row["told"]),
        row["stopped_at"],
        row["missed_due_at"],
        row["has_outcome"],
    )


def _pause(stored: Mapping[str, Any]) -> Pause:
    end_at = stored["end_at"]
    return Pause(
        datetime.fromisoformat(stored["begin_at"]),
        None if end_at is None else datetime.fromisoformat(end_at),
        stored["by"],
        stored["why"],
    )


def _values(clock: Clock) -> dict[str, Any]:
    pauses = [
        {
            "begin_at": pause.begin_at.isoformat(),
            "end_at": pause.end_at.isoformat() if pause.end_at else None,
            "by": pause.by,
            "why": pause.why,
        }
        for pause in clock.pauses
    ]
    return {
        "started_at": clock.started_at,
        "target_s": clock.target_s,
        "calendar": clock.calendar.name,
        "level": clock.level,
        "due_at": clock.due_at,
        "spent_s": clock.spent_s,
        "pauses": pauses,
        "told": list(clock.told),
        "stopped_at": clock.stopped_at,
        "missed_due_at": clock.missed_due_at,
        "has_outcome": clock.has_outcome,
    }


def open_clocks(store: TicketStore, policy: Policy, row: Row, change: Change) -> Row:
    """Start the clocks of a new ticket, as its service level has them."""
    store.has_no_clocks_yet(row["number"])
    for target in (Target.FIRST_RESPONSE, Target.SOLUTION):
        if clock := _begun(policy, row, target, 1, change.moment):
            row = put(store, policy, row, clock, change)
    return follow_state(store, policy, row, change)


def _begun(
    policy: Policy, row: Row, target: Target, cycle: int, moment: datetime, *, spent_s: float = 0.0
) -> Clock | None:
    """Return a clock that runs from a moment on; None when the ticket's level has no such target."""
    aim = policy.aim_of(target, row)
    return None if aim is None else Clock.started(target, cycle, moment, *aim, spent_s=spent_s)


def restate(store: TicketStore, policy: Policy, row: Row, change: Change) -> Row:
    """Let a ticket's clocks follow its fields: another priority or service level may mean other targets.

    A target that the new level does not have ends without an outcome; one that only the new level has starts now, and
    tells no warning again that it told before it ended.
    """
    level = policy.level_for(row)
    known = {clock.target: clock for clock in clocks_of(store, policy, row)}
    for target, clock in known.items():
        if clock.stopped_at is not None or target is Target.INTERNAL:
            continue
        aim = policy.aim_of(target, row)
        if aim is None:
            row = end(store, policy, row, clock, change, reason=level.name)
        elif (aim.target_s, aim.calendar.name, aim.level) != (clock.target_s, clock.calendar.name, clock.level):
            row = put(store, policy, row, clock.restated(*aim, level.on_change, change.moment), change)
    if row["state"] not in FINISHED:
        if row["reopen_count"] == 0 or level.on_reopen is not OnReopen.NONE:
            row = _begin(store, policy, row, Target.SOLUTION, _cycle(row), known, change)
        if row["responded_at"] is None:
            row = _begin(store, policy, row, Target.FIRST_RESPONSE, 1, known, change)
    return follow_state(store, policy, row, change)


def _begin(
    store: TicketStore,
    policy: Policy,
    row: Row,
    target: Target,
    cycle: int,
    known: Mapping[Target, Clock],
    change: Change,
) -> Row:
    """Start a clock that the ticket has not had in this cycle, or that ended without an outcome."""
    before = known.get(target)
    if before is not None and before.has_outcome:
        return row
    clock = _begun(policy, row, target, cycle, change.moment)
    if clock is not None and before is not None:
        clock = replace(clock, told=before.told)
    return _put_any(store, policy, row, clock, change)


def begin_support(store: TicketStore, policy: Policy, row: Row, change: Change) -> Row:
    """Start the internal clock of the level of support that a ticket is at now, and stop the one before (T4)."""
    if not policy.support:
        return row
    last = row["support_cycle"]
    before = store.clock_row(row["number"], Target.INTERNAL, last) if last else None
    if before is not None:
        row = stop(store, policy, row, clock_of(before, policy), change)
    row = store.tickets.change(row, support_cycle=last + 1)
    clock = _begun(policy, row, Target.INTERNAL, last + 1, change.moment)
    return follow_state(store, policy, _put_any(store, policy, row, clock, change), change)


def is_matched(fields: Mapping[str, Any]) -> bool:
    """Tell whether a change of these fields may change the service level."""
    return any(name in MATCHED for name in fields)


def reopened(store: TicketStore, policy: Policy, row: Row, change: Change) -> Row:
    """Start the solution clock's next cycle, as the service level says; the row has its new `reopen_count`.

    With `rest`, a budget that was used up is not missed a second time: the cycle begins with the miss.
    """
    how, cycle = policy.level_for(row).on_reopen, _cycle(row)
    if how is OnReopen.NONE:
        return row
    before = store.clock_row(row["number"], Target.SOLUTION, cycle - 1) if how is OnReopen.REST else None
    earlier = clock_of(before, policy) if before else None
    spent_s = earlier.elapsed_s(change.moment) if earlier else 0.0
    clock = _begun(policy, row, Target.SOLUTION, cycle, change.moment, spent_s=spent_s)
    if clock and earlier and earlier.missed_due_at:
        clock = replace(clock, missed_due_at=earlier.missed_due_at)
    return _put_any(store, policy, row, clock, change)


def requester_wrote(store: TicketStore, policy: Policy, row: Row, change: Change) -> Row:
    """Start the next-response clock when the requester writes after the first response; a second word moves nothing."""
    if row["responded_at"] is None or row["state"] in FINISHED:
        return row
    if any(one.target is Target.NEXT_RESPONSE and one.stopped_at is None for one in clocks_of(store, policy, row)):
        return row
    cycle = row["next_response_cycle"] + 1
    clock = _begun(policy, row, Target.NEXT_RESPONSE, cycle, change.moment)
    if clock is None:
        return row
    row = put(store, policy, store.tickets.change(row, next_response_cycle=cycle), clock, change)
    return follow_state(store, policy, row, change)


def desk_answered(store: TicketStore, policy: Policy, row: Row, change: Change) -> Row:
    """Stop the clocks that wait for a word to the requester."""
    for clock in clocks_of(store, policy, row):
        if clock.target in (Target.FIRST_RESPONSE, Target.NEXT_RESPONSE):
            row = stop(store, policy, row, clock, change)
    return row


def follow_state(store: TicketStore, policy: Policy, row: Row, change: Change) -> Row:
    """Pause, resume or stop a ticket's clocks as its present state asks; what is missed by then is told first."""
    for clock in clocks_of(store, policy, row):
        following, is_missed = as_state_asks(policy, row, clock, change)
        if following != clock:
            row = put(store, policy, row, following, change)
        if is_missed:
            miss(store, policy, row, following, change)
            following = following.missed()
        if row["state"] in FINISHED and clock.target is not Target.FIRST_RESPONSE:
            row = stop(store, policy, row, following, change)
    return row


def as_state_asks(policy: Policy, row: Row, clock: Clock, change: Change) -> tuple[Clock, bool]:
    """Return a clock standing still or running, as the ticket's present state asks, and whether it is newly missed."""
    if policy.level_named(clock.level, row).stands_still(clock.target, TicketState(row["state"])):
        # One that stands still from now on ran until now.
        return clock.paused(change.moment, by=change.actor or "", why=row["state"]), clock.is_missed(change.moment)
    running = clock.resumed(change.moment)
    return running, running.is_missed(change.moment)


def stop(store: TicketStore, policy: Policy, row: Row, clock: Clock, change: Change) -> Row:
    """Stop a clock; one that was not missed was met."""
    if clock.stopped_at is not None:
        return row
    stopped = clock.stopped(change.moment)
    row = put(store, policy, row, stopped, change)
    if stopped.missed_due_at is None:
        facts = _clock_facts(stopped)
        tell(store, SlaMet, row, policy, change, **facts, retroactive=change.history, stopped_at=change.moment)
    return row


def end(store: TicketStore, policy: Policy, row: Row, clock: Clock, change: Change, *, reason: str) -> Row:
    """End a clock that runs without an outcome."""
    if clock.stopped_at is not None:
        return row
    store.note(row["number"], change, f"{clock.target} clock", after="ended", reason=reason)
    return put(store, policy, row, clock.ended(change.moment), change)


def end_clocks(store: TicketStore, policy: Policy, row: Row, change: Change, *, reason: str) -> Row:
    """End every clock of a ticket without an outcome."""
    for clock in clocks_of(store, policy, row):
        row = end(store, policy, row, clock, change, reason=reason)
    return row


def record_misses(store: TicketStore, policy: Policy, row: Row, change: Change) -> None:
    """Record the targets that were missed before a change; in live operation their timers were here first."""
    for clock in clocks_of(store, policy, row):
        if clock.is_missed(change.moment):
            miss(store, policy, row, clock, change)


def miss(store: TicketStore, policy: Policy, row: Row, clock: Clock, change: Change) -> None:
    """Record that a target is missed, and tell; of what is history nobody is told, and nothing is escalated."""
    store.put_clock(row["number"], clock.target, clock.cycle, {"missed_due_at": clock.due_at})
    _cancel(store, policy, row, clock)
    tell(store, SlaBreached, row, policy, change, **_clock_facts(clock), retroactive=change.history)
    if clock.target is Target.INTERNAL and not change.history:
        number, payload = row["number"], {"number": row["number"], "cycle": clock.cycle}
        store.work.arm("escalation", key=number, subject=number, due_at=store.work.now, payload=payload)


def _put_any(store: TicketStore, policy: Policy, row: Row, clock: Clock | None, change: Change) -> Row:
    return row if clock is None else put(store, policy, row, clock, change)


def _cycle(row: Row) -> int:
    """Return the solution clock's present cycle."""
    return int(row["reopen_count"]) + 1


def put(store: TicketStore, policy: Policy, row: Row, clock: Clock, change: Change) -> Row:
    """Write a clock, its timers and the ticket's due moment."""
    store.put_clock(row["number"], clock.target, clock.cycle, _values(clock))
    if not change.history:
        _arm(store, policy, row, clock)
    if clock.target in _DUE_COLUMNS:
        row = store.tickets.change(row, **{_DUE_COLUMNS[clock.target]: clock.due_at if clock.has_outcome else None})
    running = [one.due_at for one in clocks_of(store, policy, row) if one.runs]
    return store.tickets.change(row, due_next_at=min(running, default=None))


def _arm(store: TicketStore, policy: Policy, row: Row, clock: Clock) -> None:
    """Let the clock's timers fit its state: armed while it runs, cancelled otherwise.

    A threshold that a change put into the past is told at once, unless the target is missed with it.
    """
    if not clock.runs or clock.missed_due_at is not None:
        _cancel(store, policy, row, clock)
        return
    warn_of(clock.calendar.unpublished(clock.started_at, clock.due_at))
    number = row["number"]
    payload = {"number": number, "target": str(clock.target), "cycle": clock.cycle}
    store.work.arm("sla_breach", key=_key(number, clock), subject=number, due_at=clock.due_at, payload=payload)
    for share in policy.level_named(clock.level, row).warn_at_shares:
        key, due_at = _key(number, clock, share), clock.used_at(share)
        if share in clock.told or clock.due_at <= store.work.now:
            store.work.cancel("sla_warning", key=key)
        else:
            warning = payload | {"share": share}
            store.work.arm("sla_warning", key=key, subject=number, due_at=due_at, payload=warning)


def _cancel(store: TicketStore, policy: Policy, row: Row, clock: Clock) -> None:
    number = row["number"]
    store.work.cancel("sla_breach", key=_key(number, clock))
    for share in policy.level_named(clock.level, row).warn_at_shares:
        store.work.cancel("sla_warning", key=_key(number, clock, share))


def _key(number: str, clock: Clock, share: float | None = None) -> str:
    key = f"{number}/{clock.target}/{clock.cycle}"
    return key if share is None else f"{key}/{share:g}"


def clock_fell_due(store: TicketStore, policy: Policy, payload: Mapping[str, Any], change: Change) -> None:
    """Warn of a clock or record its miss, when its timer fires; a clock that does not run any more says nothing."""
    row = store.tickets.get(payload["number"])
    if row is None:
        return
    for clock in clocks_of(store, policy, row):
        if (str(clock.target), clock.cycle) != (payload["target"], payload["cycle"]):
            continue
        if not clock.runs or clock.missed_due_at is not None:
            return
        share = payload.get("share")
        if share is None:
            miss(store, policy, row, clock, change)
        elif share in clock.shares_to_tell(policy.level_named(clock.level, row).warn_at_shares):
            warned = clock.warned(share)
            store.put_clock(row["number"], clock.target, clock.cycle, {"told": list(warned.told)})
            tell(store, SlaWarned, row, policy, change, **_clock_facts(clock), share=share)


def _clock_facts(clock: Clock) -> dict[str, Any]:
    return {"target": clock.target, "cycle": clock.cycle, "due_at": clock.missed_due_at or clock.due_at}
