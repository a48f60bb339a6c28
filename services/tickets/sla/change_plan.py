"""What another policy or calendar would do to the clocks that run, and how it is applied without a storm of notices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from services.tickets.sla import usecases
from services.tickets.sla.clock import Clock, OnChange
from services.tickets.sla.policy import Policy
from services.tickets.telling import Change, Row, Via

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore

#: What was due longer ago than this before a change is applied is recorded and told to nobody.
QUIET = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Move:
    """A clock that would be due at another moment, stand still, go on, or end. misses: only then it is past due."""

    number: str
    before: Clock
    after: Clock
    misses: bool


def moves_of(policy: Policy, row: Row, clocks: Sequence[Clock], now: datetime) -> Iterator[Move]:
    """Return what becomes of a ticket's clocks under another policy: each counted anew from its start, pauses kept.

    Whether one stands still in the ticket's present state, the other policy says too.
    """
    for clock in clocks:
        if clock.stopped_at is not None:
            continue
        aim = policy.aim_of(clock.target, row)
        if aim is None:
            yield Move(row["number"], clock, clock.ended(now), misses=False)
            continue
        restated = clock.restated(*aim, OnChange.FROM_START, now)
        after, is_missed = usecases.as_state_asks(policy, row, restated, Change(now, via=Via.COMMAND))
        if _seen(after) != _seen(clock):
            # No timer would tell of the miss of one that stands still.
            after = after.missed() if is_missed and after.is_paused else after
            yield Move(row["number"], clock, after, is_missed and not clock.is_missed(now))


def _seen(clock: Clock) -> tuple[datetime, int, bool]:
    return clock.due_at, clock.target_s, clock.is_paused


def _note(store: TicketStore, row: Row, change: Change, before: Clock, after: Clock) -> None:
    """Keep what moved: the due moment, and whether the clock runs."""
    sides = {"due": (before.due_at.isoformat(), after.due_at.isoformat()), "clock": (before.state, after.state)}
    for what, (old, new) in sides.items():
        if old != new:
            noted = {"before": str(old), "after": str(new), "reason": "policy or calendar changed"}
            store.note(row["number"], change, f"{after.target} {what}", **noted)


def apply(store: TicketStore, policy: Policy, row: Row, now: datetime) -> list[Move]:
    """Let a ticket's clocks follow another policy; thresholds that were due a while ago are told to nobody."""
    moves = list(moves_of(policy, row, usecases.clocks_of(store, policy, row), now))
    change = Change(now, via=Via.COMMAND)
    for move in moves:
        if move.after.stopped_at is not None:
            row = usecases.end(store, policy, row, move.before, change, reason="policy or calendar changed")
            continue
        after = _quiet(policy, row, move.after, now)
        _note(store, row, change, move.before, after)
        row = usecases.put(store, policy, row, after, change)
        if after.missed_due_at is not None and move.before.missed_due_at is None:
            is_history = after.missed_due_at < now - QUIET
            usecases.miss(store, policy, row, after, replace(change, history=is_history))
    moved = {(move.before.target, move.before.cycle) for move in moves}
    for clock in usecases.clocks_of(store, policy, row):
        if clock.runs and (clock.target, clock.cycle) not in moved:
            # Its due moment stays, and its warnings may come at other shares.
            row = usecases.put(store, policy, row, _quiet(policy, row, clock, now), change)
    return moves


def _quiet(policy: Policy, row: Row, clock: Clock, now: datetime) -> Clock:
    """Return a clock with the thresholds of long ago behind it."""
    if not clock.runs or clock.missed_due_at is not None:
        return clock
    shares = policy.level_named(clock.level, row).warn_at_shares
    past = tuple(share for share in clock.shares_to_tell(shares) if clock.used_at(share) < now - QUIET)
    clock = replace(clock, told=(*clock.told, *past))
    return clock.missed() if clock.due_at < now - QUIET else clock
