"""What is left of the events that tell of one thing: a row of a fact table, the same in whatever order they come.

What is true *now* is taken from the event with the highest place in its subject's order, first moments are the
earliest, last moments and counts are the highest, and a mark that was once set stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from contracts import notify, tickets, training
from eventkit.envelope import Event

Row = Mapping[str, Any]

CLOCKS = {
    tickets.SlaWarned.TYPE: "warned",
    tickets.SlaMet.TYPE: "met",
    tickets.SlaBreached.TYPE: "breached",
}
"""What a clock has come to, by the type that tells of it."""
# A clock that was breached stays so, whatever else is told of it.
_OUTCOME_RANKS = ("warned", "met", "breached")


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


def merge_ticket(before: Row | None, event: Event[Any]) -> dict[str, Any]:
    """Return a ticket as its events tell of it."""
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


def merge_clock(before: Row | None, event: Event[Any]) -> dict[str, Any]:
    """Return what a service level clock has come to."""
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
    after["outcome"] = max(after["outcome"], CLOCKS[event.type], key=_OUTCOME_RANKS.index)
    after["retroactive"] = after["retroactive"] or data.retroactive
    after["history"] = after["history"] or event.history
    if isinstance(data, tickets.SlaMet):
        after["stopped_at"] = max(after["stopped_at"] or data.stopped_at, data.stopped_at)
    return after


def merge_delivery(before: Row | None, event: Event[Any]) -> dict[str, Any]:
    """Return what became of a message last."""
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


def merge_person(before: Row | None, event: Event[Any]) -> dict[str, Any]:
    """Return what reports group a person by, from the highest version."""
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


def merge_feedback(before: Row | None, event: Event[Any]) -> dict[str, Any]:
    """Return a piece of feedback as it stands, without its text and its author."""
    data = event.data
    after = dict(before or {"answered_at": None, "history": False})
    if (place := _later(before, event)) is not None:
        after |= place | {
            "feedback_id": data.feedback_id,
            "way": data.way.value,
            "status": data.status.value,
            "feedback_class": data.feedback_class.value if data.feedback_class else None,
            "score": data.score,
            "department": data.department,
            "received_at": data.received_at,
        }
    after["history"] = after["history"] or event.history
    if isinstance(data, tickets.FeedbackAnswered):
        after["answered_at"] = _earliest(after["answered_at"], event.time)
    return after


def merge_enrolment(before: Row | None, event: Event[Any]) -> dict[str, Any]:
    """Return how far one person has come with one course; `completed_at` is that of the first completion."""
    data = event.data
    blank = {"enrolled_at": None, "completed_at": None, "completed_history": False}
    after = dict(before or blank)
    if (place := _later(before, event)) is not None:
        after |= place | {
            "enrolment": f"{data.course}/{data.learner}",
            "course": data.course,
            "learner": data.learner,
            "department": data.department,
        }
    if isinstance(data, training.EnrolmentConfirmed):
        after["enrolled_at"] = _earliest(after["enrolled_at"], data.enrolled_at)
    elif isinstance(data, training.CourseCompleted) and data.first:
        after["completed_at"] = _earliest(after["completed_at"], data.completed_at)
        after["completed_history"] = after["completed_history"] or event.history
    return after


def _earliest(known: datetime | None, told: datetime) -> datetime:
    return told if known is None else min(known, told)
