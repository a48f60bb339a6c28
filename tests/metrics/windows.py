"""What is true of the windows, and of training, feedback and knowledge: counted from the events alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from contracts import gateway, knowledge, notify, tickets, training
from contracts.words import Channel, FeedbackClass, FeedbackStatus, Severity
from eventkit.envelope import Event

_WINDOWS_H = {"1h": 1, "6h": 6, "1d": 24, "7d": 168, "30d": 720}
_AGES_H = {"0-4h": 4, "4-24h": 24, "1-3d": 72, "3-7d": 168, "7-30d": 720}
_PS = ("1", "2", "3", "4")
_CLASSES = (*(str(one) for one in FeedbackClass), "unclassified")
_YES = ("true", "false")
_SCORES = ("1", "2", "3", "4", "5")
_TARGETS = tuple(str(one) for one in tickets.Target)
_OUTCOMES = ("accepted", "failed", "unknown", "other")
_STATUSES = tuple(str(one) for one in FeedbackStatus)
_LISTS: dict[str, dict[str, Sequence[str]]] = {
    "tickets_open_by_age": {"age": (*_AGES_H, "over_30d"), "priority": _PS},
    "course_completions_total": {"first": _YES},
    "enrolments_confirmed_total": {"reported": _YES},
    "retrainings_assigned_total": {},
    "feedback_received_total": {"feedback_class": _CLASSES, "status": _STATUSES},
    "feedback_answered_total": {"feedback_class": _CLASSES, "status": _STATUSES},
    "feedback_scores_total": {"score": _SCORES},
    "articles_drafted_total": {},
    "articles_published_total": {},
    "articles_retired_total": {},
    "articles_rated_total": {"score": (*_SCORES, "none")},
    "searches_missed_total": {"missed_by": [str(one) for one in knowledge.MissedBy]},
    "answers_suggested_total": {"found": _YES, "suggested_for": [str(one) for one in knowledge.SuggestedFor]},
    "alerts_fired_total": {"severity": [str(one) for one in Severity]},
    "alerts_resolved_total": {"severity": [str(one) for one in Severity]},
    "feedback_open": {"feedback_class": _CLASSES},
}
_RECENT: dict[str, dict[str, Sequence[str]]] = {
    "tickets_opened": {"channel": [str(one) for one in Channel], "priority": _PS},
    "tickets_responded": {"priority": _PS},
    "tickets_resolved": {"priority": _PS},
    "tickets_reopened": {"priority": _PS},
    "tickets_closed": {"priority": _PS},
    "sla_targets": {"priority": _PS, "target": _TARGETS},
    "sla_breaches": {"priority": _PS, "target": _TARGETS},
    "enrolments_confirmed": {},
    "retrainings_assigned": {},
    "feedback_received": {"feedback_class": _CLASSES, "status": _STATUSES},
    "feedback_scores": {"score": _SCORES},
    "notify_deliveries": {"medium": [str(one) for one in notify.Medium], "outcome": _OUTCOMES},
    "searches_missed": {"missed_by": [str(one) for one in knowledge.MissedBy]},
    "answers_suggested": {"found": _YES},
}
_DURATIONS = ("ticket_first_response_recent_seconds", "ticket_resolution_recent_seconds")


def sample(name: str, **labels: Any) -> str:
    """Return the name of a sample as the tests' reader of pages writes it."""
    pairs = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"liaison_{name}{{{pairs}}}" if pairs else f"liaison_{name}"


def _product(lists: dict[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    if not lists:
        yield {}
        return
    [(label, values), *rest] = lists.items()
    for value in values:
        for others in _product(dict(rest)):
            yield {label: value, **others}


def zeros() -> dict[str, float]:
    """Return every sample that has closed lists of labels."""
    names = [sample(name, **labels) for name, lists in _LISTS.items() for labels in _product(lists)]
    for window in _WINDOWS_H:
        for name, lists in _RECENT.items():
            names += [sample(f"{name}_recent", window=window, **labels) for labels in _product(lists)]
        for name in _DURATIONS:
            lists = {"percentile": ("50", "90"), "priority": (*_PS, "all")}
            names += [sample(name, window=window, **labels) for labels in _product(lists)]
        names.append(sample("course_completions_recent", window=window, department="other"))
    for name in ("course_enrolments", "course_enrolments_completed", "course_completion_ratio"):
        names.append(sample(name, department="other"))
    return dict.fromkeys(names, 0.0)


def _class(data: Any) -> str:
    return str(data.feedback_class or "unclassified")


def raised(data: Any) -> Iterator[str]:
    """Yield the counters that one event raises by 1."""
    match data:
        case tickets.FeedbackReceived():
            yield sample("feedback_received_total", feedback_class=_class(data), status=data.status)
            if data.score:
                yield sample("feedback_scores_total", score=data.score)
        case tickets.FeedbackAnswered():
            yield sample("feedback_answered_total", feedback_class=_class(data), status=data.status)
        case training.CourseCompleted():
            yield sample("course_completions_total", first=str(data.first).lower())
        case training.EnrolmentConfirmed():
            yield sample("enrolments_confirmed_total", reported=str(data.reported).lower())
        case training.RetrainingAssigned():
            yield sample("retrainings_assigned_total")
        case gateway.AlertFired():
            yield sample("alerts_fired_total", severity=data.severity)
        case gateway.AlertResolved():
            yield sample("alerts_resolved_total", severity=data.severity)
        case _:
            yield from _raised_by_knowledge(data)


def _raised_by_knowledge(data: Any) -> Iterator[str]:
    match data:
        case knowledge.ArticleDrafted():
            yield sample("articles_drafted_total")
        case knowledge.ArticlePublished():
            yield sample("articles_published_total")
        case knowledge.ArticleRetired():
            yield sample("articles_retired_total")
        case knowledge.ArticleRated():
            yield sample("articles_rated_total", score=data.score or "none")
        case knowledge.SearchMissed():
            yield sample("searches_missed_total", missed_by=data.missed_by)
        case knowledge.AnswerSuggested():
            found = "true" if data.suggestions else "false"
            yield sample("answers_suggested_total", suggested_for=data.suggested_for, found=found)


def _last(once: Iterable[Event[Any]], kinds: tuple[type, ...], key: str) -> dict[str, Event[Any]]:
    """Return the last event of each thing, in its emitter's order."""
    last: dict[str, Event[Any]] = {}
    for event in once:
        if isinstance(event.data, kinds):
            name = getattr(event.data, key) if key else event.subject
            if name not in last or (event.sequence or 0) > (last[name].sequence or 0):
                last[name] = event
    return last


_FEEDBACK = (tickets.FeedbackReceived, tickets.FeedbackAnswered)
_TRAINING = (training.EnrolmentConfirmed, training.CourseCompleted, training.RetrainingAssigned)
_DELIVERIES = (notify.NotificationAccepted, notify.NotificationFailed)


def present(once: list[Event[Any]], now: datetime) -> dict[str, float]:
    """Return what is so at `now`: ages of open tickets, open feedback, how far the departments' people have come."""
    counts: defaultdict[str, float] = defaultdict(float)
    for event in _last(once, (tickets._TicketFact,), "number").values():
        if event.data.state not in ("resolved", "closed"):
            age_h = (now - event.data.opened_at) / timedelta(hours=1)
            span = next((span for span, end in _AGES_H.items() if age_h <= end), "over_30d")
            counts[sample("tickets_open_by_age", age=span, priority=event.data.priority)] += 1
    for event in _last(once, _FEEDBACK, "feedback_id").values():
        if event.data.status != "resolved":
            counts[sample("feedback_open", feedback_class=_class(event.data))] += 1
    passed = {event.subject for event in once if isinstance(event.data, training.CourseCompleted) and event.data.first}
    departments: defaultdict[str, list[bool]] = defaultdict(list)
    for subject, event in _last(once, _TRAINING, "").items():
        departments[event.data.department or "other"].append(subject in passed)
    for department, completed in departments.items():
        counts[sample("course_enrolments", department=department)] = len(completed)
        counts[sample("course_enrolments_completed", department=department)] = sum(completed)
        ratio = math.floor(1e6 * sum(completed) / len(completed)) / 1e6
        counts[sample("course_completion_ratio", department=department)] = ratio
        for window in _WINDOWS_H:
            counts[sample("course_completions_recent", department=department, window=window)] += 0
    return dict(counts)


def recent(once: list[Event[Any]], now: datetime) -> dict[str, float]:
    """Return the counts of what lies within each window that ends at `now`."""
    found: dict[str, float] = {}
    moments = list(_moments(once))
    for window, hours in _WINDOWS_H.items():
        took: defaultdict[str, list[timedelta]] = defaultdict(list)
        for at, name, labels, duration in moments:
            if not now - timedelta(hours=hours) < at <= now:
                continue
            series = sample(f"{name}_recent", window=window, **labels)
            found[series] = found.get(series, 0.0) + 1
            if duration is not None:
                of = "first_response" if name == "tickets_responded" else "resolution"
                for priority in (str(labels["priority"]), "all"):
                    took[f"{of} {priority}"].append(max(duration, timedelta(0)))
        for name, durations in took.items():
            of, priority = name.split()
            durations.sort()
            for percentile in (50, 90):
                rank = math.ceil(percentile * len(durations) / 100)
                labels = {"window": window, "percentile": percentile, "priority": priority}
                value = durations[rank - 1].total_seconds()
                found[sample(f"ticket_{of}_recent_seconds", **labels)] = value
    return found


Moment = tuple[datetime, str, dict[str, Any], timedelta | None]


def _moments(once: list[Event[Any]]) -> Iterator[Moment]:
    for event in once:
        if not event.history:
            yield from _of_event(event)
    yield from _of_clocks(once)
    yield from _of_feedback(once)
    for event in _last(once, _DELIVERIES, "delivery_id").values():
        if not event.history:
            outcome = getattr(event.data, "outcome", "accepted")
            outcome = outcome if outcome in _OUTCOMES else "other"
            yield event.time, "notify_deliveries", {"medium": event.data.medium, "outcome": outcome}, None
    latest = _last(once, _TRAINING, "")
    for event in once:
        if isinstance(event.data, training.CourseCompleted) and event.data.first and not event.history:
            department = latest[event.subject].data.department or "other"
            yield event.data.completed_at, "course_completions", {"department": department}, None


def _of_clocks(once: list[Event[Any]]) -> Iterator[Moment]:
    for event in _ended_clocks(once):
        labels = {"priority": event.data.priority, "target": event.data.target}
        at = getattr(event.data, "stopped_at", event.data.due_at)
        yield at, "sla_targets", labels, None
        if isinstance(event.data, tickets.SlaBreached):
            yield at, "sla_breaches", labels, None


def _of_feedback(once: list[Event[Any]]) -> Iterator[Moment]:
    imported = {event.subject for event in once if isinstance(event.data, _FEEDBACK) and event.history}
    for event in _last(once, _FEEDBACK, "feedback_id").values():
        if event.subject not in imported:
            labels = {"feedback_class": _class(event.data), "status": event.data.status}
            yield event.data.received_at, "feedback_received", labels, None
            if event.data.score:
                yield event.data.received_at, "feedback_scores", {"score": event.data.score}, None


def _ended_clocks(once: list[Event[Any]]) -> Iterable[Event[Any]]:
    ended: dict[str, Event[Any]] = {}
    for event in once:
        if isinstance(event.data, tickets.SlaBreached | tickets.SlaMet) and not event.history:
            ended[f"{event.subject} {event.data.target}"] = event
    return ended.values()


def _of_event(event: Event[Any]) -> Iterator[Moment]:
    data = event.data
    match data:
        case tickets.TicketOpened():
            yield data.opened_at, "tickets_opened", {"channel": data.channel, "priority": data.priority}, None
        case tickets.TicketResponded():
            took = data.responded_at - data.opened_at
            yield data.responded_at, "tickets_responded", {"priority": data.priority}, took
        case tickets.TicketResolved():
            took = data.resolved_at - data.opened_at
            yield data.resolved_at, "tickets_resolved", {"priority": data.priority}, took
        case tickets.TicketReopened():
            yield data.reopened_at, "tickets_reopened", {"priority": data.priority}, None
        case tickets.TicketClosed():
            yield data.closed_at, "tickets_closed", {"priority": data.priority}, None
        case training.EnrolmentConfirmed():
            yield data.enrolled_at, "enrolments_confirmed", {}, None
        case training.RetrainingAssigned():
            yield event.time, "retrainings_assigned", {}, None
        case knowledge.SearchMissed():
            yield event.time, "searches_missed", {"missed_by": data.missed_by}, None
        case knowledge.AnswerSuggested():
            yield event.time, "answers_suggested", {"found": "true" if data.suggestions else "false"}, None
