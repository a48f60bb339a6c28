"""Every number on the page `/facts`, declared with one sentence each.

Source: notes/notify-metrics.md 3.2 (names, buckets), Prometheus naming practices.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from contracts.knowledge import MissedBy, SuggestedFor
from contracts.notify import Medium
from contracts.register import FACTS
from contracts.tickets import Target
from contracts.words import Channel, FeedbackClass, FeedbackStatus, Severity, TicketState
from services.metrics.metric import MICROSECONDS, Histogram, Metric

WINDOWS: Mapping[str, timedelta] = MappingProxyType(
    {
        "1h": timedelta(hours=1),
        "6h": timedelta(hours=6),
        "1d": timedelta(days=1),
        "7d": timedelta(days=7),
        "30d": timedelta(days=30),
    }
)
FINISHED = (TicketState.RESOLVED.value, TicketState.CLOSED.value)
#: Upper ends of the spans by which open tickets are counted; a ticket of exactly an end's age is in the span before.
AGES: Mapping[str, timedelta | None] = MappingProxyType(
    {
        "0-4h": timedelta(hours=4),
        "4-24h": timedelta(hours=24),
        "1-3d": timedelta(days=3),
        "3-7d": timedelta(days=7),
        "7-30d": timedelta(days=30),
        "over_30d": None,
    }
)

PRIORITIES = ("1", "2", "3", "4")
CHANNELS = tuple(one.value for one in Channel)
OPEN_STATES = tuple(one.value for one in TicketState if one.value not in FINISHED)
TARGETS = tuple(one.value for one in Target)
MEDIA = tuple(one.value for one in Medium)
OUTCOMES = ("accepted", "failed", "unknown", "other")
UNCLASSIFIED = "unclassified"
CLASSES = (*(one.value for one in FeedbackClass), UNCLASSIFIED)
STATUSES = tuple(one.value for one in FeedbackStatus)
SCORES = ("1", "2", "3", "4", "5")
SEVERITIES = tuple(one.value for one in Severity)
MISSED_BY = tuple(one.value for one in MissedBy)
SUGGESTED_FOR = tuple(one.value for one in SuggestedFor)
EITHER = ("true", "false")
PERCENTILES = ("50", "90")
ALL = "all"
# What the facts name joins this at the time of reading (`Metric.within`).
_DEPARTMENTS = ("other",)
_WINDOWS = tuple(WINDOWS)


def _counter(name: str, text: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(f"liaison_{name}_total", "counter", text, labels)


def _gauge(name: str, text: str, scale: int = 1, **labels: tuple[str, ...]) -> Metric:
    return Metric(f"liaison_{name}", "gauge", text, labels, scale)


def _recent(name: str, text: str, **labels: tuple[str, ...]) -> Metric:
    told = f"{text} within the window that ends now, exactly, without imports."
    return Metric(f"liaison_{name}_recent", "gauge", told, {"window": _WINDOWS, **labels})


def _histogram(name: str, text: str, **labels: tuple[str, ...]) -> Histogram:
    return Histogram(f"liaison_{name}", "histogram", text, labels)


def _percentile(name: str, text: str) -> Metric:
    told = f"{text} of those within the window that ends now, exactly; 0 when there are none."
    labels = {"window": _WINDOWS, "percentile": PERCENTILES, "priority": (*PRIORITIES, ALL)}
    return Metric(f"liaison_{name}_recent_seconds", "gauge", told, labels, MICROSECONDS)


OPENED = _counter("tickets_opened", "Tickets opened.", channel=CHANNELS, priority=PRIORITIES)
RESPONDED = _counter("tickets_responded", "Tickets whose requester got a first answer.", priority=PRIORITIES)
RESOLVED = _counter("tickets_resolved", "Times a ticket was given a solution.", priority=PRIORITIES)
REOPENED = _counter("tickets_reopened", "Times a solution did not hold.", priority=PRIORITIES)
CLOSED = _counter("tickets_closed", "Tickets closed.", priority=PRIORITIES)
OPEN = _gauge(
    "tickets_open", "Tickets neither resolved nor closed now, imports included.", state=OPEN_STATES, priority=PRIORITIES
)
OPEN_BY_AGE = _gauge(
    "tickets_open_by_age",
    "Tickets neither resolved nor closed now by the time since their opening, imports included.",
    age=tuple(AGES),
    priority=PRIORITIES,
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
COMPLETIONS = _counter("course_completions", "Courses passed; first: for the first time by this person.", first=EITHER)
ENROLMENTS = _counter("enrolments_confirmed", "Enrolments; reported: known only by their completion.", reported=EITHER)
RETRAININGS = _counter("retrainings_assigned", "Times somebody who failed was given something to learn again.")
FEEDBACK_RECEIVED = _counter("feedback_received", "Feedback received.", feedback_class=CLASSES, status=STATUSES)
FEEDBACK_ANSWERED = _counter(
    "feedback_answered", "Times feedback was classified or given a status.", feedback_class=CLASSES, status=STATUSES
)
FEEDBACK_SCORES = _counter("feedback_scores", "Feedback received with a score, 1 worst to 5 best.", score=SCORES)
DRAFTED = _counter("articles_drafted", "Articles drafted.")
PUBLISHED = _counter("articles_published", "Versions of articles published.")
RETIRED = _counter("articles_retired", "Articles retired.")
RATED = _counter("articles_rated", "Feedback about articles.", score=(*SCORES, "none"))
MISSED = _counter("searches_missed", "Times an answer was found missing.", missed_by=MISSED_BY)
SUGGESTED = _counter(
    "answers_suggested", "Suggestions made; found: with an article at least.", suggested_for=SUGGESTED_FOR, found=EITHER
)
ALERTS_FIRED = _counter("alerts_fired", "Alerts that the monitoring fired.", severity=SEVERITIES)
ALERTS_RESOLVED = _counter("alerts_resolved", "Alerts that the monitoring took back.", severity=SEVERITIES)
DELIVERIES = _counter("notify_deliveries", "Messages to people by what became of them.", medium=MEDIA, outcome=OUTCOMES)
FEEDBACK_OPEN = _gauge("feedback_open", "Feedback that is not resolved now, imports included.", feedback_class=CLASSES)
COURSE_ENROLMENTS = _gauge(
    "course_enrolments", "People enrolled, once a course, imports included.", department=_DEPARTMENTS
)
COURSE_COMPLETED = _gauge(
    "course_enrolments_completed",
    "People enrolled who passed, once a course, imports included.",
    department=_DEPARTMENTS,
)
COMPLETION_RATIO = _gauge(
    "course_completion_ratio",
    "Share of the people enrolled who passed, 0 to 1, imports included; 0 when nobody is enrolled.",
    MICROSECONDS,
    department=_DEPARTMENTS,
)
PEOPLE = _gauge("people_active", "People known and active now, imports included.")
REFUSED = _counter("events_refused", "Events refused at the door.")
JOURNALED = _counter("events_journaled", "Events in the journal, imports included.", type=tuple(FACTS))
LAST_EVENT = _gauge(
    "metrics_last_event_timestamp_seconds",
    "When the newest counted event arrived at a door or was emitted.",
    MICROSECONDS,
)

OPENED_RECENT = _recent("tickets_opened", "Tickets opened", channel=CHANNELS, priority=PRIORITIES)
RESPONDED_RECENT = _recent("tickets_responded", "First answers", priority=PRIORITIES)
RESOLVED_RECENT = _recent("tickets_resolved", "Solutions given", priority=PRIORITIES)
REOPENED_RECENT = _recent("tickets_reopened", "Solutions that did not hold", priority=PRIORITIES)
CLOSED_RECENT = _recent("tickets_closed", "Tickets closed", priority=PRIORITIES)
FIRST_RESPONSE_RECENT = _percentile(
    "ticket_first_response", "Wall-clock seconds from opening to first answer, by nearest rank,"
)
RESOLUTION_RECENT = _percentile(
    "ticket_resolution", "Wall-clock seconds from opening to each solution, by nearest rank,"
)
TARGETS_RECENT = _recent(
    "sla_targets", "Service level clocks breached or stopped in time", target=TARGETS, priority=PRIORITIES
)
BREACHES_RECENT = _recent(
    "sla_breaches", "Service level targets missed whose due moment lies", target=TARGETS, priority=PRIORITIES
)
COMPLETIONS_RECENT = _recent("course_completions", "Courses passed for the first time", department=_DEPARTMENTS)
ENROLMENTS_RECENT = _recent("enrolments_confirmed", "Enrolments")
RETRAININGS_RECENT = _recent("retrainings_assigned", "Retrainings assigned")
FEEDBACK_RECENT = _recent(
    "feedback_received", "Feedback received, as it stands now,", feedback_class=CLASSES, status=STATUSES
)
SCORES_RECENT = _recent("feedback_scores", "Feedback received with a score", score=SCORES)
DELIVERIES_RECENT = _recent("notify_deliveries", "Messages settled", medium=MEDIA, outcome=OUTCOMES)
MISSED_RECENT = _recent("searches_missed", "Missing answers noticed", missed_by=MISSED_BY)
SUGGESTED_RECENT = _recent("answers_suggested", "Suggestions made", found=EITHER)

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""Everything on the page, in the order in which it stands there: the order of this file."""
