"""What one event adds to the counters, and which facts it tells of: pure, and the same in any order.

A counter is a sum over the set of events. A fact is what a merge of its events leaves (`merges.py`), and every merge
gives the same whichever event comes first. So neither the order of arrival nor a rebuild from the journal can change
a number.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts import gateway, knowledge, notify, tickets, training
from contracts.register import FACTS
from contracts.words import FeedbackClass, is_our_watchdog
from eventkit.envelope import Event
from services.metrics import gauges, merges
from services.metrics.metric import BUCKETS, BUCKETS_S, Histogram, Metric

Row = merges.Row
Merge = Callable[[Row | None, Event[Any]], dict[str, Any]]
Counts = Iterator[tuple[str, int]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SNAPSHOT = {"number", "state", "priority", "channel", "opened_at"}
TICKET_TYPES = frozenset(
    name for name, fact in FACTS.items() if fact.emitter() == "tickets" and set(fact.__struct_fields__) >= _SNAPSHOT
)
"""The types whose events carry their ticket as it stood."""


def microseconds(moment: datetime) -> int:
    """Return the microseconds from the epoch to an aware moment, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def counted(event: Event[Any]) -> Counts:
    """Return (series, amount) of each counter that the event raises.

    Imports raise none but the journal's own (design: History), and neither does our watchdog.
    """
    yield gauges.JOURNALED.at(event.type), 1
    count = _COUNTED.get(event.type)
    if count is not None and not event.history and not _is_watchdog(event):
        yield from count(event.data)


def _is_watchdog(event: Event[Any]) -> bool:
    data = event.data
    return isinstance(data, gateway.AlertFired) and is_our_watchdog(data.alert, data.about, event.source)


def newest(event: Event[Any]) -> Counts:
    """Return (series, least value) of each gauge that only ever rises and that the event may raise."""
    if not event.history:
        yield gauges.LAST_EVENT.at(), microseconds(event.arrived_at or event.time)


def facts_of(event: Event[Any]) -> Iterator[tuple[str, str, Merge]]:
    """Return (kind, key, merge) of each fact that the event tells of; kinds are the names of the fact tables."""
    data = event.data
    if event.type in TICKET_TYPES:
        yield "ticket_fact", data.number, merges.merge_ticket
    if event.type in merges.CLOCKS:
        yield "sla_fact", f"{data.number}/{data.target}/{data.cycle}", merges.merge_clock
    elif isinstance(data, notify.NotificationAccepted | notify.NotificationFailed):
        yield "delivery_fact", data.delivery_id, merges.merge_delivery
    elif isinstance(data, gateway.PersonChanged):
        yield "person_fact", data.employee_number, merges.merge_person
    elif isinstance(data, tickets.FeedbackReceived | tickets.FeedbackAnswered):
        yield "feedback_fact", data.feedback_id, merges.merge_feedback
    elif isinstance(data, training.EnrolmentConfirmed | training.CourseCompleted | training.RetrainingAssigned):
        yield "enrolment_fact", f"{data.course}/{data.learner}", merges.merge_enrolment
    if event.type in _HAPPENINGS:
        yield "happening_fact", happening_key(event), _merge_happening


def happening_key(event: Event[Any]) -> str:
    """Return the key of what one event says has happened; a source holds no space."""
    return f"{event.source} {event.id}"


def either(true: bool) -> str:
    """Return the label's value for yes or no."""
    return "true" if true else "false"


def class_of(feedback_class: FeedbackClass | None) -> str:
    """Return the label's value for the class of feedback."""
    return feedback_class.value if feedback_class else gauges.UNCLASSIFIED


def _opened(data: tickets.TicketOpened) -> Counts:
    yield gauges.OPENED.at(data.channel, str(data.priority)), 1


def _responded(data: tickets.TicketResponded) -> Counts:
    yield gauges.RESPONDED.at(str(data.priority)), 1
    yield from _observed(gauges.FIRST_RESPONSE, data.responded_at - data.opened_at, data.priority)


def _resolved(data: tickets.TicketResolved) -> Counts:
    yield gauges.RESOLVED.at(str(data.priority)), 1
    yield from _observed(gauges.RESOLUTION, data.resolved_at - data.opened_at, data.priority)


def _observed(histogram: Histogram, took: timedelta, priority: int) -> Counts:
    took = max(took, timedelta(0))
    bucket = BUCKETS[bisect_left(BUCKETS_S, took.total_seconds())]
    yield histogram.buckets.at(str(priority), bucket), 1
    yield histogram.sums.at(str(priority)), took // _MICROSECOND


def _stopped(data: tickets.SlaMet | tickets.SlaBreached) -> Counts:
    yield gauges.SLA_TARGETS.at(data.target, str(data.priority)), 1
    if isinstance(data, tickets.SlaBreached):
        yield gauges.SLA_BREACHES.at(data.target, str(data.priority)), 1


def _received(data: tickets.FeedbackReceived) -> Counts:
    yield gauges.FEEDBACK_RECEIVED.at(class_of(data.feedback_class), data.status), 1
    if data.score is not None:
        yield gauges.FEEDBACK_SCORES.at(str(data.score)), 1


def _one(metric: Metric, labels: Callable[[Any], tuple[str, ...]] = lambda data: ()) -> Callable[[Any], Counts]:
    return lambda data: iter([(metric.at(*labels(data)), 1)])


def _priority(data: Any) -> tuple[str, ...]:
    return (str(data.priority),)


def _suggested(data: knowledge.AnswerSuggested) -> tuple[str, ...]:
    return data.suggested_for.value, either(bool(data.suggestions))


_COUNTED: Mapping[str, Callable[[Any], Counts]] = {
    tickets.TicketOpened.TYPE: _opened,
    tickets.TicketResponded.TYPE: _responded,
    tickets.TicketResolved.TYPE: _resolved,
    tickets.TicketReopened.TYPE: _one(gauges.REOPENED, _priority),
    tickets.TicketClosed.TYPE: _one(gauges.CLOSED, _priority),
    tickets.SlaMet.TYPE: _stopped,
    tickets.SlaBreached.TYPE: _stopped,
    tickets.SlaWarned.TYPE: _one(gauges.SLA_WARNINGS, lambda data: (data.target, str(data.priority))),
    tickets.FeedbackReceived.TYPE: _received,
    tickets.FeedbackAnswered.TYPE: _one(
        gauges.FEEDBACK_ANSWERED, lambda data: (class_of(data.feedback_class), data.status)
    ),
    training.CourseCompleted.TYPE: _one(gauges.COMPLETIONS, lambda data: (either(data.first),)),
    training.EnrolmentConfirmed.TYPE: _one(gauges.ENROLMENTS, lambda data: (either(data.reported),)),
    training.RetrainingAssigned.TYPE: _one(gauges.RETRAININGS),
    knowledge.ArticleDrafted.TYPE: _one(gauges.DRAFTED),
    knowledge.ArticlePublished.TYPE: _one(gauges.PUBLISHED),
    knowledge.ArticleRetired.TYPE: _one(gauges.RETIRED),
    knowledge.ArticleRated.TYPE: _one(
        gauges.RATED, lambda data: (str(data.score) if str(data.score) in gauges.SCORES else "none",)
    ),
    knowledge.SearchMissed.TYPE: _one(gauges.MISSED, lambda data: (data.missed_by,)),
    knowledge.AnswerSuggested.TYPE: _one(gauges.SUGGESTED, _suggested),
    notify.NotificationAccepted.TYPE: _one(gauges.DELIVERIES, lambda data: (data.medium, "accepted")),
    notify.NotificationFailed.TYPE: _one(gauges.DELIVERIES, lambda data: (data.medium, data.outcome)),
    gateway.AlertFired.TYPE: _one(gauges.ALERTS_FIRED, lambda data: (data.severity,)),
    gateway.AlertResolved.TYPE: _one(gauges.ALERTS_RESOLVED, lambda data: (data.severity,)),
    gateway.EventRefused.TYPE: _one(gauges.REFUSED),
}


def _ticket(what: str, at: datetime, data: Any, **more: Any) -> dict[str, Any]:
    return {"what": what, "at": at, "priority": data.priority, **more}


def _took(what: str, at: datetime, data: Any) -> dict[str, Any]:
    return _ticket(what, at, data, took_us=max(at - data.opened_at, timedelta(0)) // _MICROSECOND)


_HAPPENINGS: Mapping[str, Callable[[Event[Any]], dict[str, Any]]] = {
    tickets.TicketOpened.TYPE: lambda event: _ticket(
        "opened", event.data.opened_at, event.data, word=event.data.channel.value
    ),
    tickets.TicketResponded.TYPE: lambda event: _took("responded", event.data.responded_at, event.data),
    tickets.TicketResolved.TYPE: lambda event: _took("resolved", event.data.resolved_at, event.data),
    tickets.TicketReopened.TYPE: lambda event: _ticket("reopened", event.data.reopened_at, event.data),
    tickets.TicketClosed.TYPE: lambda event: _ticket("closed", event.data.closed_at, event.data),
    training.EnrolmentConfirmed.TYPE: lambda event: {"what": "enrolled", "at": event.data.enrolled_at},
    training.RetrainingAssigned.TYPE: lambda event: {"what": "retrained", "at": event.time},
    knowledge.SearchMissed.TYPE: lambda event: {
        "what": "missed",
        "at": event.time,
        "word": event.data.missed_by.value,
    },
    knowledge.AnswerSuggested.TYPE: lambda event: {
        "what": "suggested",
        "at": event.time,
        "word": either(bool(event.data.suggestions)),
    },
}


def _merge_happening(before: Row | None, event: Event[Any]) -> dict[str, Any]:
    if before is not None:
        return dict(before)
    blank = {"subject": event.subject, "priority": None, "word": None, "took_us": None, "history": event.history}
    return blank | {"happening": happening_key(event)} | _HAPPENINGS[event.type](event)
