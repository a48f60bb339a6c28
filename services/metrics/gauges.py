"""Every number on the page `/facts`: its name, its kind, what it says, and the values that its labels may have.

Label values come from closed lists, so that every series can be shown from the start, with 0. Numbers are kept as
whole units of `1 / scale`, because sums of whole numbers do not depend on their order, and sums of floats do.
Source: notes/notify-metrics.md 3.2 (names, buckets), Prometheus naming practices.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from contracts.notify import Medium
from contracts.register import FACTS
from contracts.tickets import Target
from contracts.words import Channel, TicketState

MICROSECONDS = 1_000_000
#: Upper ends in seconds, exactly at the limits of service levels (notes/notify-metrics.md 3.2).
BUCKETS_S = (300, 900, 1800, 3600, 14400, 28800, 86400, 259200)
# Written as floats, as Prometheus 3 and OpenMetrics normalise them; `le` is compared as text.
BUCKETS = (*(str(float(end)) for end in BUCKETS_S), "+Inf")
WINDOWS: Mapping[str, timedelta] = MappingProxyType({f"{days}d": timedelta(days=days) for days in (1, 7, 28)})
FINISHED = (TicketState.RESOLVED.value, TicketState.CLOSED.value)

PRIORITIES = ("1", "2", "3", "4")
CHANNELS = tuple(one.value for one in Channel)
OPEN_STATES = tuple(one.value for one in TicketState if one.value not in FINISHED)
TARGETS = tuple(one.value for one in Target)
MEDIA = tuple(one.value for one in Medium)
OUTCOMES = ("accepted", "failed", "unknown", "other")

Labels = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Metric:
    """A declared metric. help: one sentence. labels: each label's closed list. scale: kept units in one shown unit."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Labels = field(default_factory=dict)
    scale: int = 1

    def at(self, *values: str) -> str:
        """Return the key of one series, in Prometheus's notation.

        A value outside its label's list is counted as `other`. Raises ValueError when the list has no `other`.
        """
        key = self._keys.get(values)
        return self._keys[self._mapped(values)] if key is None else key

    def series(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Return the label values and the key of every series, in the order of the declaration."""
        return iter(self._keys.items())

    @cached_property
    def _keys(self) -> dict[tuple[str, ...], str]:
        return {values: self._key(values) for values in itertools.product(*self.labels.values())}

    def _key(self, values: tuple[str, ...]) -> str:
        pairs = (f'{name}="{value}"' for name, value in zip(self.labels, values, strict=True))
        return f"{self.name}{{{','.join(pairs)}}}" if values else self.name

    def _mapped(self, values: tuple[str, ...]) -> tuple[str, ...]:
        mapped = []
        for value, (name, known) in zip(values, self.labels.items(), strict=True):
            if value not in known and "other" not in known:
                raise ValueError(f"{self.name}: {name}={value!r} is none of {', '.join(known)}")
            mapped.append(value if value in known else "other")
        return tuple(mapped)


@dataclass(frozen=True)
class Histogram(Metric):
    """A histogram of seconds: counts by bucket, not cumulated, and a sum in microseconds."""

    @cached_property
    def buckets(self) -> Metric:
        """The counts by bucket."""
        return Metric(f"{self.name}_bucket", "counter", self.help, {**self.labels, "le": BUCKETS})

    @cached_property
    def sums(self) -> Metric:
        """The sums of what was observed."""
        return Metric(f"{self.name}_sum", "counter", self.help, self.labels, MICROSECONDS)


def _counter(name: str, text: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(f"liaison_{name}_total", "counter", text, labels)


def _gauge(name: str, text: str, scale: int = 1, **labels: tuple[str, ...]) -> Metric:
    return Metric(f"liaison_{name}", "gauge", text, labels, scale)


def _histogram(name: str, text: str, **labels: tuple[str, ...]) -> Histogram:
    return Histogram(f"liaison_{name}", "histogram", text, labels)


OPENED = _counter("tickets_opened", "Tickets opened.", channel=CHANNELS, priority=PRIORITIES)
RESPONDED = _counter("tickets_responded", "Tickets whose requester got a first answer.", priority=PRIORITIES)
RESOLVED = _counter("tickets_resolved", "Times a ticket was given a solution.", priority=PRIORITIES)
REOPENED = _counter("tickets_reopened", "Times a solution did not hold.", priority=PRIORITIES)
CLOSED = _counter("tickets_closed", "Tickets closed.", priority=PRIORITIES)
OPEN = _gauge(
    "tickets_open", "Tickets neither resolved nor closed now, imports included.", state=OPEN_STATES, priority=PRIORITIES
)
UNOWNED = _gauge("tickets_unowned", "Open tickets that nobody is assigned to now, imports included.")
OLDEST_OPEN_AGE = _gauge(
    "ticket_oldest_open_age_seconds",
    "Seconds since the oldest open ticket was opened, imports included; 0 when none is open.",
    MICROSECONDS,
    priority=PRIORITIES,
)
FIRST_RESPONSE = _histogram(
    "ticket_first_response_duration_seconds", "Wall-clock seconds from opening to first answer.", priority=PRIORITIES
)
RESOLUTION = _histogram(
    "ticket_resolution_duration_seconds", "Wall-clock seconds from opening to each solution.", priority=PRIORITIES
)
SLA_TARGETS = _counter(
    "sla_targets", "Service level clocks that came to an end, met or breached.", target=TARGETS, priority=PRIORITIES
)
SLA_BREACHES = _counter("sla_breaches", "Service level targets missed.", target=TARGETS, priority=PRIORITIES)
SLA_WARNINGS = _counter(
    "sla_warnings", "Warnings that a service level target is near.", target=TARGETS, priority=PRIORITIES
)
BREACHES_RECENT = _gauge(
    "sla_breaches_recent",
    "Service level targets missed whose due moment lies within the window, exactly.",
    window=tuple(WINDOWS),
    target=TARGETS,
)
DELIVERIES = _counter("notify_deliveries", "Messages to people by what became of them.", medium=MEDIA, outcome=OUTCOMES)
PEOPLE = _gauge("people_active", "People known and active now, imports included.")
REFUSED = _counter("events_refused", "Events refused at the door.")
JOURNALED = _counter("events_journaled", "Events in the journal, imports included.", type=tuple(FACTS))
LAST_EVENT = _gauge(
    "metrics_last_event_timestamp_seconds",
    "When the newest counted event arrived at a door or was emitted.",
    MICROSECONDS,
)

METRICS: tuple[Metric, ...] = (
    OPENED,
    RESPONDED,
    RESOLVED,
    REOPENED,
    CLOSED,
    OPEN,
    UNOWNED,
    OLDEST_OPEN_AGE,
    FIRST_RESPONSE,
    RESOLUTION,
    SLA_TARGETS,
    SLA_BREACHES,
    SLA_WARNINGS,
    BREACHES_RECENT,
    DELIVERIES,
    PEOPLE,
    REFUSED,
    JOURNALED,
    LAST_EVENT,
)
"""Everything on the page, in the order in which it stands there."""
