"""The numbers that are true of a list of events: counted without SQL, and without anything of the service."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from contracts.gateway import EventRefused, PersonChanged
from contracts.notify import Medium, NotificationAccepted, NotificationFailed
from contracts.register import FACTS
from contracts.tickets import (
    SlaBreached,
    SlaMet,
    SlaWarned,
    Target,
    TicketClosed,
    TicketOpened,
    TicketReopened,
    TicketResolved,
    TicketResponded,
)
from contracts.words import Channel, TicketState
from eventkit.envelope import Event
from tests.metrics import windows

_LIMITS_S = (300, 900, 1800, 3600, 14400, 28800, 86400, 259200)


def truth(events: Iterable[Event[Any]], now: datetime) -> dict[str, float]:
    """Return every sample that the page must show for these events at `now`, 0 included."""
    once = list({(event.source, event.id): event for event in events}.values())
    live = [event for event in once if not event.history]
    shown = _zeros()
    shown |= _counted(live)
    for event in once:
        shown[f'liaison_events_journaled_total{{type="{event.type}"}}'] += 1
    if live:
        shown["liaison_metrics_last_event_timestamp_seconds"] = max(
            (event.arrived_at or event.time).timestamp() for event in live
        )
    return shown | _present(once, now, shown) | windows.present(once, now) | windows.recent(once, now)


def _zeros() -> dict[str, float]:
    states = [state.value for state in TicketState if state.value not in ("resolved", "closed")]
    ps, targets = range(1, 5), [target.value for target in Target]
    names = ["liaison_tickets_unowned", "liaison_people_active", "liaison_events_refused_total"]
    names += ["liaison_metrics_last_event_timestamp_seconds"]
    names += [f'liaison_tickets_opened_total{{channel="{c.value}",priority="{p}"}}' for c in Channel for p in ps]
    for what in ("responded", "resolved", "reopened", "closed"):
        names += [f'liaison_tickets_{what}_total{{priority="{p}"}}' for p in ps]
    names += [f'liaison_tickets_open{{priority="{p}",state="{state}"}}' for p in ps for state in states]
    names += [f'liaison_ticket_oldest_open_age_seconds{{priority="{p}"}}' for p in ps]
    for what in ("targets", "breaches", "warnings"):
        names += [f'liaison_sla_{what}_total{{priority="{p}",target="{target}"}}' for p in ps for target in targets]
    for medium in Medium:
        for outcome in ("accepted", "failed", "unknown", "other"):
            names.append(f'liaison_notify_deliveries_total{{medium="{medium.value}",outcome="{outcome}"}}')
    names += [f'liaison_events_journaled_total{{type="{name}"}}' for name in FACTS]
    for what in ("first_response", "resolution"):
        base = f"liaison_ticket_{what}_duration_seconds"
        for p in ps:
            ends = [*[f"{limit}.0" for limit in _LIMITS_S], "+Inf"]
            names += [f'{base}_bucket{{le="{end}",priority="{p}"}}' for end in ends]
            names += [f'{base}_sum{{priority="{p}"}}', f'{base}_count{{priority="{p}"}}']
    return dict.fromkeys(names, 0.0) | windows.zeros()


def _counted(live: list[Event[Any]]) -> dict[str, float]:
    counts: Counter[str] = Counter()
    sums: dict[str, timedelta] = defaultdict(timedelta)
    for event in live:
        for name in _raised(event.data):
            counts[name] += 1
        for base, took in _took(event.data):
            priority = f'priority="{event.data.priority}"'
            for limit in _LIMITS_S:
                counts[f'{base}_bucket{{le="{limit}.0",{priority}}}'] += took <= timedelta(seconds=limit)
            counts[f'{base}_bucket{{le="+Inf",{priority}}}'] += 1
            counts[f"{base}_count{{{priority}}}"] += 1
            sums[f"{base}_sum{{{priority}}}"] += took
    return dict(counts) | {name: took.total_seconds() for name, took in sums.items()}


_PLAIN: dict[Any, str] = {
    TicketResponded: "responded",
    TicketResolved: "resolved",
    TicketReopened: "reopened",
    TicketClosed: "closed",
}
_CLOCKS: dict[Any, tuple[str, ...]] = {
    SlaMet: ("targets",),
    SlaBreached: ("targets", "breaches"),
    SlaWarned: ("warnings",),
}


def _raised(data: Any) -> Iterable[str]:
    kind = type(data)
    if kind is TicketOpened:
        yield f'liaison_tickets_opened_total{{channel="{data.channel.value}",priority="{data.priority}"}}'
    if kind in _PLAIN:
        yield f'liaison_tickets_{_PLAIN[kind]}_total{{priority="{data.priority}"}}'
    for what in _CLOCKS.get(kind, ()):
        yield f'liaison_sla_{what}_total{{priority="{data.priority}",target="{data.target.value}"}}'
    if kind in (NotificationAccepted, NotificationFailed):
        outcome = getattr(data, "outcome", "accepted")
        outcome = outcome if outcome in ("accepted", "failed", "unknown") else "other"
        yield f'liaison_notify_deliveries_total{{medium="{data.medium.value}",outcome="{outcome}"}}'
    if kind is EventRefused:
        yield "liaison_events_refused_total"
    yield from windows.raised(data)


def _took(data: Any) -> Iterable[tuple[str, timedelta]]:
    if isinstance(data, TicketResponded):
        yield "liaison_ticket_first_response_duration_seconds", data.responded_at - data.opened_at
    if isinstance(data, TicketResolved):
        yield "liaison_ticket_resolution_duration_seconds", data.resolved_at - data.opened_at


def _present(once: list[Event[Any]], now: datetime, shown: dict[str, float]) -> dict[str, float]:
    after: dict[str, float] = defaultdict(float)
    for event in latest(once).values():
        data = event.data
        if data.state in (TicketState.RESOLVED, TicketState.CLOSED):
            continue
        after[f'liaison_tickets_open{{priority="{data.priority}",state="{data.state.value}"}}'] += 1
        after["liaison_tickets_unowned"] += data.assignee is None
        age = f'liaison_ticket_oldest_open_age_seconds{{priority="{data.priority}"}}'
        after[age] = max(after[age], (now - data.opened_at).total_seconds())
    people: dict[str, PersonChanged] = {}
    for event in sorted(once, key=lambda one: getattr(one.data, "version", 0)):
        if isinstance(event.data, PersonChanged):
            people[event.data.employee_number] = event.data
    after["liaison_people_active"] = sum(person.active for person in people.values())
    assert after.keys() <= shown.keys()
    return after


def latest(once: Iterable[Event[Any]]) -> dict[str, Event[Any]]:
    """Return the last event of each ticket, in the order in which the tickets service emitted them."""
    last: dict[str, Event[Any]] = {}
    for event in once:
        if not hasattr(event.data, "opened_at"):
            continue
        if event.subject not in last or (event.sequence or 0) > (last[event.subject].sequence or 0):
            last[event.subject] = event
    return last
