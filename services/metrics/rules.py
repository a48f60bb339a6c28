"""What one event adds to the counters and the facts: pure, and the same in any order.

A counter is a sum over the set of events. A fact is what a merge of its events leaves, and every merge here gives
the same whichever event comes first: what is true *now* is taken from the event with the highest place in its
subject's order, first moments are the earliest, last moments and counts are the highest, and a mark that was once
set stays. So neither the order of arrival nor a rebuild from the journal can change a number.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts import gateway, notify, tickets
from contracts.register import FACTS
from eventkit.envelope import Event
from services.metrics import gauges

Row = Mapping[str, Any]
Merge = Callable[[Row | None, Event[Any]], dict[str, Any]]
Counts = Iterator[tuple[str, int]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SNAPSHOT = {"number", "state", "priority", "channel", "opened_at"}
TICKET_TYPES = frozenset(
    name for name, fact in FACTS.items() if fact.emitter() == "tickets" and set(fact.__struct_fields__) >= _SNAPSHOT
)
"""The types whose events carry their ticket as it stood."""

_CLOCKS = {
    tickets.SlaWarned.TYPE: "warned",
    tickets.SlaMet.TYPE: "met",
    tickets.SlaBreached.TYPE: "breached",
}
# A clock that was breached stays so, whatever else is told of it.
_OUTCOME_RANKS = ("warned", "met", "breached")


def microseconds(moment: datetime) -> int:
    """Return the microseconds from the epoch to an aware moment, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def counted(event: Event[Any]) -> Counts:
    """Return (series, amount) of each counter that the event raises.

    Imports raise none but the journal's own (design: History).
    """
    yield gauges.JOURNALED.at(event.type), 1
    count = _COUNTED.get(event.type)
    if count is not None and not event.history:
        yield from count(event.data)


def newest(event: Event[Any]) -> Counts:
    """Return (series, least value) of each gauge that only ever rises and that the event may raise."""
    if not event.history:
        yield gauges.LAST_EVENT.at(), microseconds(event.arrived_at or event.time)


def facts_of(event: Event[Any]) -> Iterator[tuple[str, str, Merge]]:
    """Return (kind, key, merge) of each fact that the event tells of; kinds are the names of the fact tables."""
    data = event.data
    if event.type in TICKET_TYPES:
        yield "ticket_fact", data.number, _merge_ticket
    if event.type in _CLOCKS:
        yield "sla_fact", f"{data.number}/{data.target}/{data.cycle}", _merge_clock
    elif isinstance(data, notify.NotificationAccepted | notify.NotificationFailed):
        yield "delivery_fact", data.delivery_id, _merge_delivery
    elif isinstance(data, gateway.PersonChanged):
        yield "person_fact", data.employee_number, _merge_person


def _opened(data: tickets.TicketOpened) -> Counts:
    yield gauges.OPENED.at(data.channel, str(data.priority)), 1


def _responded(data: tickets.TicketResponded) -> Counts:
    yield gauges.RESPONDED.at(str(data.priority)), 1
    yield from _observed(gauges.FIRST_RESPONSE, data.responded_at - data.opened_at, data.priority)


def _resolved(data: tickets.TicketResolved) -> Counts:
    yield gauges.RESOLVED.at(str(data.priority)), 1
    yield from _observed(gauges.RESOLUTION, data.resolved_at - data.opened_at, data.priority)


def _observed(histogram: gauges.Histogram, took: timedelta, priority: int) -> Counts:
    took = max(took, timedelta(0))
    bucket = gauges.BUCKETS[bisect_left(gauges.BUCKETS_S, took.total_seconds())]
    yield histogram.buckets.at(str(priority), bucket), 1
    yield histogram.sums.at(str(priority)), took // _MICROSECOND


def _stopped(data: tickets.SlaMet | tickets.SlaBreached) -> Counts:
    yield gauges.SLA_TARGETS.at(data.target, str(data.priority)), 1
    if isinstance(data, tickets.SlaBreached):
        yield gauges.SLA_BREACHES.at(data.target, str(data.priority)), 1


def _plain(metric: gauges.Metric) -> Callable[[Any], Counts]:
    return lambda data: iter([(metric.at(str(data.priority)), 1)])


_COUNTED: Mapping[str, Callable[[Any], Counts]] = {
    tickets.TicketOpened.TYPE: _opened,
    tickets.TicketResponded.TYPE: _responded,
    tickets.TicketResolved.TYPE: _resolved,
    tickets.TicketReopened.TYPE: _plain(gauges.REOPENED),
    tickets.TicketClosed.TYPE: _plain(gauges.CLOSED),
    tickets.SlaMet.TYPE: _stopped,
    tickets.SlaBreached.TYPE: _stopped,
    tickets.SlaWarned.TYPE: lambda data: iter([(gauges.SLA_WARNINGS.at(data.target, str(data.priority)), 1)]),
    notify.NotificationAccepted.TYPE: lambda data: iter([(gauges.DELIVERIES.at(data.medium, "accepted"), 1)]),
    notify.NotificationFailed.TYPE: lambda data: iter([(gauges.DELIVERIES.at(data.medium, data.outcome), 1)]),
    gateway.EventRefused.TYPE: lambda data: iter([(gauges.REFUSED.at(), 1)]),
}


def _later(before: Row | None, event: Event[Any]) -> dict[str, Any] | None:
    """Return the event's place in its subject's order when it is the highest so far, else None."""
    place = (-1 if event.sequence is None else event.sequence, event.id)
    if before is not None and place <= (before["last_sequence"], before["last_event"]):
        return None
    return {"last_sequence": place[0], "last_event": place[1]}


_BLANK_TICKET = {
    "responded_at": None,
    "resolved_at": None,
    "closed_at": None,
    "reopen_count": 0,
    "history": False,
}


def _merge_ticket(before: Row | None, event: Event[Any]) -> dict[str, Any]:
    data = event.data
    after = dict(before or _BLANK_TICKET)
    if (place := _later(before, event)) is not None:
        after |= place | {
            "number": data.number,
            "opened_at": data.opened_at,
            "channel": data.channel.value,
            "category": data.category,
            "priority": data.priority,
            "region": data.region,
            "group_name": data.group,
            "department": data.department,
            "state": data.state.value,
            "assignee": data.assignee,
        }
    match data:
        case tickets.TicketOpened():
            after["history"] = after["history"] or event.history
        case tickets.TicketResponded():
            after["responded_at"] = min(after["responded_at"] or data.responded_at, data.responded_at)
        case tickets.TicketResolved():
            after["resolved_at"] = max(after["resolved_at"] or data.resolved_at, data.resolved_at)
        case tickets.TicketReopened():
            after["reopen_count"] = max(after["reopen_count"], data.reopen_count)
        case tickets.TicketClosed():
            after["closed_at"] = max(after["closed_at"] or data.closed_at, data.closed_at)
    return after


def _merge_clock(before: Row | None, event: Event[Any]) -> dict[str, Any]:
    data = event.data
    after = dict(before or {"outcome": "warned", "stopped_at": None, "retroactive": False, "history": False})
    if (place := _later(before, event)) is not None:
        after |= place | {
            "clock": f"{data.number}/{data.target}/{data.cycle}",
            "ticket": data.number,
            "target": data.target.value,
            "cycle": data.cycle,
            "due_at": data.due_at,
            "priority": data.priority,
        }
    after["outcome"] = max(after["outcome"], _CLOCKS[event.type], key=_OUTCOME_RANKS.index)
    after["retroactive"] = after["retroactive"] or data.retroactive
    after["history"] = after["history"] or event.history
    if isinstance(data, tickets.SlaMet):
        after["stopped_at"] = max(after["stopped_at"] or data.stopped_at, data.stopped_at)
    return after


def _merge_delivery(before: Row | None, event: Event[Any]) -> dict[str, Any]:
    place = _later(before, event)
    if place is None:
        return dict(before or {})
    data = event.data
    accepted = isinstance(data, notify.NotificationAccepted)
    return place | {
        "delivery_id": data.delivery_id,
        "medium": data.medium.value,
        "rule": data.rule,
        "about_type": data.about_type,
        "about_subject": data.about_subject,
        "priority": data.priority,
        "recipient": data.recipient,
        "outcome": "accepted" if accepted else data.outcome,
        "delay_s": data.delay_s if accepted else None,
        "settled_at": event.time,
        "history": event.history,
    }


def _merge_person(before: Row | None, event: Event[Any]) -> dict[str, Any]:
    data = event.data
    # Several systems may tell of one person, each with a sequence of its own; the version is the person's.
    if before is not None and (data.version, event.id) <= (before["version"], before["last_event"]):
        return dict(before)
    return {
        "employee_number": data.employee_number,
        "version": data.version,
        "active": data.active,
        "region": data.region,
        "department": data.department,
        "joined_on": data.joined_on,
        "history": event.history,
        "last_event": event.id,
    }
