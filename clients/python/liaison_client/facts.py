"""The facts that other systems may tell Liaison, as typed classes.

Written from Liaison's contracts by `clients/python/write_facts.py`: do not edit. A field that is None is left out, and
the door takes the default of the contract. Limits of fields are checked at the door.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, ClassVar

from liaison_client.fact import NAMED, Fact, Part

if TYPE_CHECKING:
    from typing import Literal


@dataclass(frozen=True, **NAMED)
class AwaySpan(Part):
    """A span in which a person is away. begin_at, end_at: aware; the end does not belong to it."""

    begin_at: datetime
    end_at: datetime


@dataclass(frozen=True, **NAMED)
class TicketRequested(Fact):
    """Somebody needs help: the request for a ticket (T1).

    The event's `externalref` is the requester's own key: a second request with it is an occurrence of the first. A
    second one from the same source with the same `fingerprint` is one too, as long as the first is open; whoever else
    asks watches the ticket then. `request_type` has `fields` of its own. `secrecy` absent: as the type has it, else
    internal.
    `mail_from`: the address of a mail's sender, by which the requester is found.
    """

    TYPE: ClassVar[str] = "liaison.ticket.requested.v1"

    title: str
    description: str | None = None
    requester: str | None = None
    channel: Literal["hotline", "chat", "mail", "web", "specialist", "event", "other"] | None = None
    priority: int | None = None
    impact: int | None = None
    urgency: int | None = None
    category: str | None = None
    subcategory: str | None = None
    problem_code: str | None = None
    region: str | None = None
    department: str | None = None
    group: str | None = None
    assignee: str | None = None
    state: (
        Literal[
            "new",
            "in_progress",
            "awaiting_user",
            "awaiting_problem",
            "awaiting_vendor",
            "awaiting_evidence",
            "resolved",
            "closed",
            "other",
        ]
        | None
    ) = None
    request_type: str | None = None
    fields: Mapping[str, str] | None = None
    secrecy: Literal["public", "internal", "sensitive", "other"] | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, **NAMED)
class TicketUpdateRequested(Fact):
    """Another system asks to change a ticket: state, holder, comment or solution.

    The ticket is found by `number`, else by the event's `externalref` within the same source.
    A field that is absent stays as it is; `unassigned` says that nobody holds the ticket now, `ungrouped` no group.
    `mail_from`: the comment came by mail from this address. It counts when the sender is the ticket's requester, its
    holder or an engineer; from anybody else, and without such a ticket, it becomes a ticket of its own, called `title`.
    """

    TYPE: ClassVar[str] = "liaison.ticket.update_requested.v1"

    number: str | None = None
    state: (
        Literal[
            "new",
            "in_progress",
            "awaiting_user",
            "awaiting_problem",
            "awaiting_vendor",
            "awaiting_evidence",
            "resolved",
            "closed",
            "other",
        ]
        | None
    ) = None
    assignee: str | None = None
    unassigned: bool | None = None
    group: str | None = None
    ungrouped: bool | None = None
    priority: int | None = None
    impact: int | None = None
    urgency: int | None = None
    category: str | None = None
    subcategory: str | None = None
    problem_code: str | None = None
    secrecy: Literal["public", "internal", "sensitive", "other"] | None = None
    comment: str | None = None
    solution: str | None = None
    resolved_by: str | None = None
    title: str | None = None


@dataclass(frozen=True, **NAMED)
class PersonChanged(Fact):
    """The full state of a person; `version` rises with each change, an older one never overwrites a newer.

    `skills`: what an engineer knows; `capacity`: how many open tickets they hold at most, else the desk's own number.
    """

    TYPE: ClassVar[str] = "liaison.person.changed.v1"

    employee_number: str
    version: int
    name: str
    email: str | None = None
    mobile: str | None = None
    dingtalk_id: str | None = None
    wecom_id: str | None = None
    feishu_id: str | None = None
    department: str | None = None
    region: str | None = None
    position: str | None = None
    manager: str | None = None
    roles: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    language: str | None = None
    time_zone: str | None = None
    joined_on: date | None = None
    active: bool | None = None
    away: Sequence[AwaySpan] | None = None
    skills: Sequence[str] | None = None
    capacity: int | None = None


@dataclass(frozen=True, **NAMED)
class FeedbackSubmitted(Fact):
    """Somebody says what they think of a service, an article or a ticket (T9).

    `author` absent: anonymous, and nothing that leads to a person may be in the event. `score`: 1 worst to 5 best.
    The event's `externalref` is the sender's own key: a second one with it is the same feedback.

    `receipt_hash`: for anonymous feedback whose form showed its author a receipt code, with which they read the status
    (`POST /v1/feedback/status`) and add to it. The code is 24 symbols of 0123456789ABCDEFGHJKMNPQRSTVWXYZ, drawn at
    random; this is the SHA-256 of these 24, without hyphens, in hexadecimal digits.
    """

    TYPE: ClassVar[str] = "liaison.feedback.submitted.v1"

    text: str
    way: Literal["web", "paper_box", "chat_group", "event", "other"] | None = None
    author: str | None = None
    department: str | None = None
    score: int | None = None
    about_ticket: str | None = None
    about_article: str | None = None
    problem_code: str | None = None
    receipt_hash: str | None = None


@dataclass(frozen=True, **NAMED)
class CourseCompletionReported(Fact):
    """A learning platform says how an attempt at a course ended (L16); it counts like our own.

    `score`: the share of the points that was reached, 0 to 1, when there was an exam. `passed` false: a failed exam.
    `course`: the course's code in our catalogue.
    """

    TYPE: ClassVar[str] = "liaison.course.completion_reported.v1"

    course: str
    learner: str
    attempt: int | None = None
    passed: bool | None = None
    score: float | None = None
    completed_at: datetime | None = None
    failed_codes: Sequence[str] | None = None


@dataclass(frozen=True, **NAMED)
class AlertFired(Fact):
    """The monitoring says that something is wrong (M6)."""

    TYPE: ClassVar[str] = "liaison.alert.fired.v1"

    fingerprint: str
    alert: str
    severity: Literal["critical", "warning", "info", "other"]
    starts_at: datetime
    service: str | None = None
    summary: str | None = None
    description: str | None = None
    runbook_url: str | None = None
    about: str | None = None


@dataclass(frozen=True, **NAMED)
class AlertResolved(Fact):
    """What an alert told of is over, since `ended_at`."""

    TYPE: ClassVar[str] = "liaison.alert.resolved.v1"

    fingerprint: str
    alert: str
    severity: Literal["critical", "warning", "info", "other"]
    starts_at: datetime
    ended_at: datetime
    service: str | None = None
    summary: str | None = None
    description: str | None = None
    runbook_url: str | None = None
    about: str | None = None


FACTS: tuple[type[Fact], ...] = (
    TicketRequested,
    TicketUpdateRequested,
    PersonChanged,
    FeedbackSubmitted,
    CourseCompletionReported,
    AlertFired,
    AlertResolved,
)
"""Every fact."""
