"""Why a ticket's clocks are due when they are, as plain values for callers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from contracts.tickets import Target
from services.tickets.business_time.explanation import Span, explain
from services.tickets.calls import visible
from services.tickets.rules import is_outsider
from services.tickets.sla.clock import Clock
from services.tickets.sla.policy import Policy
from services.tickets.sla.usecases import clock_of

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore

#: Spans of one clock that are shown, the latest ones; a clock of years would fill books.
MOST_SPANS = 1_000


def explain_ticket(store: TicketStore, policy: Policy, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return every clock that a ticket had: what it measures, when it is due, and each span that counted or did not.

    Internal ones are for the desk. Raises NotFound also when the caller may not see the ticket.
    """
    scope = arguments.get("scope") or {}
    row = visible(store, arguments)
    clocks = [clock_of(found, policy) for found in store.all_clock_rows(row["number"])]
    if is_outsider(row, scope):
        clocks = [clock for clock in clocks if clock.target is not Target.INTERNAL]
    return {
        "number": row["number"],
        "level": policy.level_for(row).name,
        "clocks": [_explained(clock, store.work.now) for clock in clocks],
    }


def _explained(clock: Clock, now: datetime) -> dict[str, Any]:
    until = min(clock.stopped_at or now, now)
    until = max(until, clock.started_at)
    elapsed_s = clock.elapsed_s(until)
    spans = explain(clock.calendar, clock.started_at, until, clock.pauses)
    due = clock.calendar.elapsed(clock.started_at, max(clock.due_at, clock.started_at), clock.pauses)
    return {
        "target": clock.target,
        "cycle": clock.cycle,
        "level": clock.level,
        "calendar": clock.calendar.name,
        "time_zone": clock.calendar.zone.key,
        "state": clock.state,
        "paused": clock.is_paused,
        "target_s": clock.target_s,
        "spent_before_s": clock.spent_s,
        "elapsed_s": elapsed_s,
        "remaining_s": clock.target_s - elapsed_s,
        "started_at": clock.started_at,
        "due_at": clock.missed_due_at or clock.due_at,
        "stopped_at": clock.stopped_at,
        "warned_shares": list(clock.told),
        "unpublished_years": list(due.unpublished),
        "spans_left_out": max(0, len(spans) - MOST_SPANS),
        "spans": [_span(one) for one in spans[-MOST_SPANS:]],
    }


def _span(one: Span) -> dict[str, Any]:
    return {
        "begin_at": one.begin_at,
        "end_at": one.end_at,
        "counted": one.counted,
        "reason": one.reason,
        "text": one.text,
        "by": one.by or None,
    }
