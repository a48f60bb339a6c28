"""What other systems ask for or report, after the door has checked it; and what the door refused."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar

import msgspec

from contracts.fact import EmployeeNumber, Fact, Moment, Name, Priority, Score, Share, Text
from contracts.words import Channel, FeedbackWay, Secrecy, Severity, TicketState

#: Fields that only the gateway's own mailbox fills in: the door refuses them from another system.
ONLY_BY_MAIL = ("mail_from", "attachments")
Address = Annotated[str, msgspec.Meta(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]


class AttachedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that belongs to a request; the gateway keeps its bytes under `sha256`, in small hexadecimal letters."""

    id: Name
    name: Name
    size_bytes: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    content_type: Name


class TicketRequested(Fact, frozen=True, kw_only=True):
    """Somebody needs help: the request for a ticket (T1).

    The event's `externalref` is the requester's own key: a second request with it is an occurrence of the first. A
    second one from the same source with the same `fingerprint` is one too, as long as the first is open; whoever else
    asks watches the ticket then. `request_type` has `fields` of its own. `secrecy` absent: as the type has it, else
    internal.
    `mail_from`: the address of a mail's sender, by which the requester is found.
    """

    TYPE: ClassVar[str] = "liaison.ticket.requested.v1"

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    description: Text = ""
    requester: EmployeeNumber | None = None
    channel: Channel = Channel.EVENT
    priority: Priority | None = None
    impact: Annotated[int, msgspec.Meta(ge=1, le=4)] | None = None
    urgency: Annotated[int, msgspec.Meta(ge=1, le=4)] | None = None
    category: Name | None = None
    subcategory: Name | None = None
    problem_code: Name | None = None
    region: Name | None = None
    department: Name | None = None
    group: Name | None = None
    assignee: EmployeeNumber | None = None
    state: TicketState = TicketState.NEW
    request_type: Name | None = None
    fields: dict[Name, Text] = msgspec.field(default_factory=dict)
    secrecy: Secrecy | None = None
    fingerprint: Name | None = None
    mail_from: Address | None = None
    attachments: tuple[AttachedFile, ...] = ()


class TicketUpdateRequested(Fact, frozen=True, kw_only=True):
    """Another system asks to change a ticket: state, holder, comment or solution.

    The ticket is found by `number`, else by the event's `externalref` within the same source.
    A field that is absent stays as it is; `unassigned` says that nobody holds the ticket now, `ungrouped` no group.
    `mail_from`: the comment came by mail from this address. It counts when the sender is the ticket's requester, its
    holder or an engineer; from anybody else, and without such a ticket, it becomes a ticket of its own, called `title`.
    """

    TYPE: ClassVar[str] = "liaison.ticket.update_requested.v1"

    number: Name | None = None
    state: TicketState | None = None
    assignee: EmployeeNumber | None = None
    unassigned: bool = False
    group: Name | None = None
    ungrouped: bool = False
    priority: Priority | None = None
    impact: Annotated[int, msgspec.Meta(ge=1, le=4)] | None = None
    urgency: Annotated[int, msgspec.Meta(ge=1, le=4)] | None = None
    category: Name | None = None
    subcategory: Name | None = None
    problem_code: Name | None = None
    secrecy: Secrecy | None = None
    comment: Text | None = None
    solution: Text | None = None
    resolved_by: EmployeeNumber | None = None
    mail_from: Address | None = None
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=500)] | None = None
    attachments: tuple[AttachedFile, ...] = ()


class AwaySpan(msgspec.Struct, frozen=True, kw_only=True):
    """A span in which a person is away. begin_at, end_at: aware; the end does not belong to it."""

    begin_at: Moment
    end_at: Moment


class PersonChanged(Fact, frozen=True, kw_only=True):
    """The full state of a person; `version` rises with each change, an older one never overwrites a newer.

    `skills`: what an engineer knows; `capacity`: how many open tickets they hold at most, else the desk's own number.
    """

    TYPE: ClassVar[str] = "liaison.person.changed.v1"

    employee_number: EmployeeNumber
    version: Annotated[int, msgspec.Meta(ge=0)]
    name: Name
    email: Address | None = None
    mobile: Annotated[str, msgspec.Meta(max_length=32)] | None = None
    dingtalk_id: Name | None = None
    wecom_id: Name | None = None
    feishu_id: Name | None = None
    department: Name | None = None
    region: Name | None = None
    position: Name | None = None
    manager: EmployeeNumber | None = None
    roles: tuple[Name, ...] = ()
    groups: tuple[Name, ...] = ()
    language: Name = "zh-CN"
    time_zone: Name = "Asia/Shanghai"
    joined_on: date | None = None
    active: bool = True
    away: tuple[AwaySpan, ...] = ()
    skills: tuple[Name, ...] = ()
    capacity: Annotated[int, msgspec.Meta(ge=0, le=10_000)] | None = None


class FeedbackSubmitted(Fact, frozen=True, kw_only=True):
    """Somebody says what they think of a service, an article or a ticket (T9).

    `author` absent: anonymous, and nothing that leads to a person may be in the event. `score`: 1 worst to 5 best.
    The event's `externalref` is the sender's own key: a second one with it is the same feedback.

    `receipt_hash`: for anonymous feedback whose form showed its author a receipt code, with which they read the status
    (`POST /v1/feedback/status`) and add to it. The code is 24 symbols of 0123456789ABCDEFGHJKMNPQRSTVWXYZ, drawn at
    random; this is the SHA-256 of these 24, without hyphens, in hexadecimal digits.
    """

    TYPE: ClassVar[str] = "liaison.feedback.submitted.v1"

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=20_000)]
    way: FeedbackWay = FeedbackWay.EVENT
    author: EmployeeNumber | None = None
    department: Name | None = None
    score: Score | None = None
    about_ticket: Name | None = None
    about_article: Name | None = None
    problem_code: Name | None = None
    receipt_hash: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[0-9a-f]{64}$")] | None = None


class CourseCompletionReported(Fact, frozen=True, kw_only=True):
    """A learning platform says how an attempt at a course ended (L16); it counts like our own.

    `score`: the share of the points that was reached, 0 to 1, when there was an exam. `passed` false: a failed exam.
    `course`: the course's code in our catalogue.
    """

    TYPE: ClassVar[str] = "liaison.course.completion_reported.v1"

    course: Name
    learner: EmployeeNumber
    attempt: Annotated[int, msgspec.Meta(ge=1)] = 1
    passed: bool = True
    score: Share | None = None
    completed_at: Moment | None = None
    failed_codes: tuple[Name, ...] = ()


class _AlertFact(Fact, frozen=True, kw_only=True):
    """One alert of the monitoring, known by `fingerprint`; the subject. `runbook_url`: what to do about it.

    `about`: what is ill, as the alert's label of that name says; `liaison` is the platform itself.
    """

    fingerprint: Name
    alert: Name
    severity: Severity
    starts_at: Moment
    service: Name | None = None
    summary: Text = ""
    description: Text = ""
    runbook_url: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    about: Name | None = None


class AlertFired(_AlertFact, frozen=True, kw_only=True):
    """The monitoring says that something is wrong (M6)."""

    TYPE: ClassVar[str] = "liaison.alert.fired.v1"


class AlertResolved(_AlertFact, frozen=True, kw_only=True):
    """What an alert told of is over, since `ended_at`."""

    TYPE: ClassVar[str] = "liaison.alert.resolved.v1"

    ended_at: Moment


class EventRefused(Fact, frozen=True, kw_only=True):
    """The door refused what a publisher sent; `field` and `reason` are written for the publisher's people."""

    TYPE: ClassVar[str] = "liaison.event.refused.v1"

    publisher: Name
    event_id: str = ""
    event_type: str = ""
    field: str = ""
    reason: str = ""
