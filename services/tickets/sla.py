"""The clocks of a ticket: started, paused, stopped, restated, missed; and their timers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from contracts.tickets import SlaBreached, SlaMet, SlaWarned, Target
from contracts.words import TicketState
from services.tickets.rules import FINISHED, Clock, Policy
from services.tickets.telling import Change, Row, tell

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore


def restate(store: TicketStore, policy: Policy, row: Row, change: Change) -> Row:
    for clock in store.clocks(row):
        target_s = policy.target_s(clock.target, row["priority"], row["channel"])
        if clock.stopped_at is None and target_s != clock.target_s:
            row = put(store, policy, row, clock.restated(target_s), change)
    record_misses(store, policy, row, change)
    return row


def follow_state(store: TicketStore, policy: Policy, row: Row, clock: Clock, state: TicketState, change: Change) -> Row:
    if clock.target is Target.SOLUTION and state in FINISHED:
        return stop(store, policy, row, clock, change)
    if clock.stopped_at is None:
        still = policy.stands_still(clock.target, state)
        following = clock.paused(change.moment) if still else clock.resumed(change.moment)
        if following != clock:
            return put(store, policy, row, following, change)
    return row


def stop(store: TicketStore, policy: Policy, row: Row, clock: Clock, change: Change) -> Row:
    if clock.stopped_at is not None:
        return row
    stopped = clock.stopped(change.moment)
    row = put(store, policy, row, stopped, change)
    if stopped.missed_due_at is None:
        facts = _clock_facts(stopped)
        tell(store, SlaMet, row, policy, change, **facts, retroactive=change.history, stopped_at=change.moment)
    return row


def record_misses(store: TicketStore, policy: Policy, row: Row, change: Change) -> None:
    """Record the targets that were missed before a change; in live operation their timers were here first."""
    for clock in store.clocks(row):
        if clock.is_missed(change.moment):
            miss(store, policy, row, clock, change)


def miss(store: TicketStore, policy: Policy, row: Row, clock: Clock, change: Change) -> None:
    store.put_clock(row["number"], clock.missed())
    store.work.cancel("sla_breach", key=_timer_key(row["number"], clock))
    tell(store, SlaBreached, row, policy, change, **_clock_facts(clock), retroactive=change.history)


def put(store: TicketStore, policy: Policy, row: Row, clock: Clock, change: Change) -> Row:
    """Write a clock, its timers and the ticket's due moment."""
    store.put_clock(row["number"], clock)
    arm(store, policy, row["number"], clock, change)
    column = "due_response_at" if clock.target is Target.FIRST_RESPONSE else "due_solution_at"
    return store.tickets.change(row, **{column: clock.due_at})


def arm(store: TicketStore, policy: Policy, number: str, clock: Clock, change: Change) -> None:
    """Let the clock's timers fit its state: armed while it runs in live operation, cancelled otherwise."""
    key = _timer_key(number, clock)
    if change.history:
        return
    payload = {"number": number, "target": str(clock.target), "cycle": clock.cycle}
    if clock.runs and clock.missed_due_at is None:
        warn_at = clock.warn_at(policy.warn_at_share)
        store.work.arm("sla_breach", key=key, subject=number, due_at=clock.due_at, payload=payload)
        if warn_at > change.moment:
            store.work.arm("sla_warning", key=key, subject=number, due_at=warn_at, payload=payload)
            return
    else:
        store.work.cancel("sla_breach", key=key)
    store.work.cancel("sla_warning", key=key)


def _timer_key(number: str, clock: Clock) -> str:
    return f"{number}/{clock.target}/{clock.cycle}"


def clock_fell_due(
    store: TicketStore, policy: Policy, payload: Mapping[str, Any], moment: datetime, *, warning: bool
) -> None:
    """Warn of a clock or record its miss, when its timer fires; a clock that does not run any more says nothing."""
    row = store.tickets.get(payload["number"])
    if row is None:
        return
    change = Change(moment)
    for clock in store.clocks(row):
        if (str(clock.target), clock.cycle) == (payload["target"], payload["cycle"]):
            if clock.runs and clock.missed_due_at is None:
                if warning:
                    share = policy.warn_at_share
                    tell(store, SlaWarned, row, policy, change, **_clock_facts(clock), share=share)
                else:
                    miss(store, policy, row, clock, change)
            return


def _clock_facts(clock: Clock) -> dict[str, Any]:
    return {"target": clock.target, "cycle": clock.cycle, "due_at": clock.missed_due_at or clock.due_at}
