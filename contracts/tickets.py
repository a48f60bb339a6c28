"""What the tickets service tells: the life of a ticket and of its clocks, and of feedback.

The subject is the ticket's number, or the feedback's id.
"""

from __future__ import annotations

from typing import ClassVar

from contracts.fact import EmployeeNumber, Fact, Moment, Name, Priority, Score, Word
from contracts.words import Channel, FeedbackClass, FeedbackStatus, FeedbackWay, Secrecy, TicketState


class Target(Word):
    """What an SLA clock measures."""

    FIRST_RESPONSE = "first_response"
    NEXT_RESPONSE = "next_response"
    SOLUTION = "solution"
    INTERNAL = "internal"
    OTHER = "other"


class Voice(Word):
    """Whose word a comment is: it decides which clocks it starts and stops, and who is told of it."""

    REQUESTER = "requester"
    DESK = "desk"
    SYSTEM = "system"
    OTHER = "other"


class _TicketFact(Fact, frozen=True, kw_only=True):
    """What a reader needs to know about the ticket without asking: who, whose, where and how urgent.

    Of a sensitive ticket the events carry number and people, and no text (S6).
    """

    number: Name
    title: str
    state: TicketState
    priority: Priority
    channel: Channel
    opened_at: Moment
    requester: EmployeeNumber | None = None
    requester_known: bool = True
    assignee: EmployeeNumber | None = None
    group: Name | None = None
    group_lead: EmployeeNumber | None = None
    region: Name | None = None
    department: Name | None = None
    category: Name | None = None
    subcategory: Name | None = None
    problem_code: Name | None = None
    due_response_at: Moment | None = None
    due_solution_at: Moment | None = None
    request_type: Name | None = None
    secrecy: Secrecy = Secrecy.INTERNAL
    watchers: tuple[EmployeeNumber, ...] = ()


class TicketOpened(_TicketFact, frozen=True, kw_only=True):
    """A ticket exists and its clocks run. `alarm`: its type is one of which its group's lead must know at once."""

    TYPE: ClassVar[str] = "liaison.ticket.opened.v1"

    alarm: bool = False


class TicketChanged(_TicketFact, frozen=True, kw_only=True):
    """Fields other than state and holder changed; `changed` names them. `occurrences`: requests of the same key."""

    TYPE: ClassVar[str] = "liaison.ticket.changed.v1"

    changed: tuple[str, ...] = ()
    occurrences: int = 1


class TicketAssigned(_TicketFact, frozen=True, kw_only=True):
    """Somebody else holds the ticket now, or nobody: then `reason` says why."""

    TYPE: ClassVar[str] = "liaison.ticket.assigned.v1"

    previous_assignee: EmployeeNumber | None = None
    previous_group: Name | None = None
    reason: str = ""


class TicketResponded(_TicketFact, frozen=True, kw_only=True):
    """The requester got a first answer."""

    TYPE: ClassVar[str] = "liaison.ticket.responded.v1"

    responded_at: Moment


class TicketPaused(_TicketFact, frozen=True, kw_only=True):
    """Work waits for somebody else; `state` says for whom."""

    TYPE: ClassVar[str] = "liaison.ticket.paused.v1"

    previous_state: TicketState


class TicketResumed(_TicketFact, frozen=True, kw_only=True):
    """Work goes on after a pause."""

    TYPE: ClassVar[str] = "liaison.ticket.resumed.v1"

    previous_state: TicketState


class TicketEscalated(_TicketFact, frozen=True, kw_only=True):
    """A higher level of support has the ticket now (T4). `level`: 1 key user, 2 specialist, 3 team, 4 vendor."""

    TYPE: ClassVar[str] = "liaison.ticket.escalated.v1"

    level: int
    previous_level: int
    reason: str = ""


class TicketResolved(_TicketFact, frozen=True, kw_only=True):
    """A solution was given, the ticket's `cycle`-th; the requester confirms or refuses it.

    Durations are wall-clock seconds.
    """

    TYPE: ClassVar[str] = "liaison.ticket.resolved.v1"

    resolved_at: Moment
    resolved_by: EmployeeNumber | None = None
    solution: str = ""
    cycle: int = 1
    open_s: float = 0.0
    since_response_s: float | None = None


class TicketReopened(_TicketFact, frozen=True, kw_only=True):
    """The solution did not hold; `reason`: what was said of it. `reopen_count`: how often so far, with this time."""

    TYPE: ClassVar[str] = "liaison.ticket.reopened.v1"

    reopened_at: Moment
    reopen_count: int = 1
    reason: str = ""


class TicketClosed(_TicketFact, frozen=True, kw_only=True):
    """The ticket is finished. `merged_into`: the ticket of which it turned out to be a duplicate."""

    TYPE: ClassVar[str] = "liaison.ticket.closed.v1"

    closed_at: Moment
    merged_into: Name | None = None


class TicketCommented(_TicketFact, frozen=True, kw_only=True):
    """Somebody wrote on the ticket. `public`: the requester may read it; only then `text` is what it says.

    `cycle`: which solution comes next or was given. `reopens`: it says why, as `ticket.reopened` does too.
    """

    TYPE: ClassVar[str] = "liaison.ticket.commented.v1"

    comment_id: Name
    public: bool = True
    voice: Voice = Voice.OTHER
    text: str = ""
    cycle: int = 1
    reopens: bool = False


class _ClockFact(_TicketFact, frozen=True, kw_only=True):
    """One SLA clock of one ticket. `cycle` counts from 1 and rises when the ticket is reopened."""

    target: Target
    cycle: int
    due_at: Moment
    retroactive: bool = False


class SlaWarned(_ClockFact, frozen=True, kw_only=True):
    """A share of the target is used up. `share`: 0 to 1."""

    TYPE: ClassVar[str] = "liaison.sla.warned.v1"

    share: float


class SlaBreached(_ClockFact, frozen=True, kw_only=True):
    """The target was missed at `due_at`. `retroactive`: found when history was replayed."""

    TYPE: ClassVar[str] = "liaison.sla.breached.v1"


class SlaMet(_ClockFact, frozen=True, kw_only=True):
    """The clock stopped in time, at `stopped_at`."""

    TYPE: ClassVar[str] = "liaison.sla.met.v1"

    stopped_at: Moment


class SurveyAnswered(_TicketFact, frozen=True, kw_only=True):
    """The requester rated a solution (T5). `rating`: 1 worst to 5 best; once for each `cycle` of the ticket.

    `follow_up`: the ticket that a low rating has opened. The words stay in the tickets service.
    """

    TYPE: ClassVar[str] = "liaison.survey.answered.v1"

    cycle: int
    rating: Score
    commented: bool = False
    follow_up: Name | None = None


class DutyUncovered(Fact, frozen=True, kw_only=True):
    """Nobody will be on duty on a post of the roster (T13). `level`: 1 key user, 2 specialist, 3 team, 4 vendor (T4).

    `absent`: who would be, but is away or has left. `goes_on`: nobody knows yet when it ends.
    """

    TYPE: ClassVar[str] = "liaison.duty.uncovered.v1"

    group: Name
    level: int
    group_lead: EmployeeNumber | None = None
    begin_at: Moment
    end_at: Moment
    absent: tuple[EmployeeNumber, ...] = ()
    goes_on: bool = False


class _FeedbackFact(Fact, frozen=True, kw_only=True):
    """One piece of feedback (T9). `author` is absent when it was anonymous; `owner`: the one person who follows it up.

    `feedback_class` is absent until the owner has classified it.
    """

    feedback_id: Name
    text: str
    way: FeedbackWay
    received_at: Moment
    status: FeedbackStatus
    feedback_class: FeedbackClass | None = None
    owner: EmployeeNumber | None = None
    author: EmployeeNumber | None = None
    department: Name | None = None
    score: Score | None = None
    about_ticket: Name | None = None
    about_article: Name | None = None
    problem_code: Name | None = None


class FeedbackReceived(_FeedbackFact, frozen=True, kw_only=True):
    """Feedback came in and has its owner; a department without one has none, and somebody is told."""

    TYPE: ClassVar[str] = "liaison.feedback.received.v1"


class FeedbackAnswered(_FeedbackFact, frozen=True, kw_only=True):
    """The owner classified feedback or gave it another status. `answer`: what the author may read."""

    TYPE: ClassVar[str] = "liaison.feedback.answered.v1"

    answer: str = ""
    previous_status: FeedbackStatus | None = None
    previous_class: FeedbackClass | None = None


class FeedbackAssigned(_FeedbackFact, frozen=True, kw_only=True):
    """Somebody else follows feedback up now, or nobody does; `reason` says why: the owner left, or it was asked for."""

    TYPE: ClassVar[str] = "liaison.feedback.assigned.v1"

    previous_owner: EmployeeNumber | None = None
    reason: str = ""
