"""What the metrics service does: keeps each event, and reckons what it changes."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.metrics import rules

if TYPE_CHECKING:
    from eventkit.envelope import Event
    from services.metrics.storage import MetricsStore

MONTHS_KIND = "journal_months"
_DAY_S = 24 * 3600.0


def prepare(store: MetricsStore, events: Sequence[Event[Any]]) -> None:
    """Read what these events will change, in a statement a table."""
    facts: dict[str, dict[str, None]] = defaultdict(dict)
    for event in events:
        for kind, key, _ in rules.facts_of(event):
            facts[kind][key] = None
    store.preload(dict.fromkeys(_series(events)), facts)


def _series(events: Iterable[Event[Any]]) -> Iterable[str]:
    for event in events:
        for series, _ in itertools.chain(rules.counted(event), rules.newest(event)):
            yield series


def take(store: MetricsStore, event: Event[Any]) -> None:
    """Keep an event in the journal and reckon it."""
    store.append(event)
    reckon(store, event)


def reckon(store: MetricsStore, event: Event[Any]) -> None:
    """Change the counters and the facts as the event says; the order of events makes no difference."""
    store.enter()
    for series, amount in rules.counted(event):
        store.count(series, amount)
    for series, least in rules.newest(event):
        store.raise_to(series, least)
    for kind, key, merge in rules.facts_of(event):
        before = store.fact(kind, key)
        store.put_fact(kind, before, merge(before, event))


def reckon_all(store: MetricsStore, events: Sequence[Event[Any]]) -> None:
    """Reckon events that the journal has already."""
    prepare(store, events)
    for event in events:
        reckon(store, event)


def look_after_journal(store: MetricsStore, payload: Mapping[str, Any]) -> None:
    """Look after the journal every day: partitions for the coming months, and an end to what people wrote.

    payload: `thinned_until`, how far it has been thinned. A step takes some thousand events, and the next is due at
    once, so that no day is too long for a transaction.
    """
    store.make_months()
    before = payload.get("thinned_until")
    until = store.thin_journal(datetime.fromisoformat(before) if before else None)
    payload = {"thinned_until": until.isoformat()} if until else payload
    store.call_again(MONTHS_KIND, in_s=0 if until else _DAY_S, payload=payload)
