"""What the ticket routes take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field

from services.gateway.models.words import Body, ChannelName, EmployeeNumber, Name, Priority, StateName, Text


class TicketWish(Body):
    """A request for a ticket."""

    title: Annotated[str, Field(min_length=1, max_length=500)]
    description: Text = ""
    requester: EmployeeNumber | None = None
    channel: ChannelName = "web"
    priority: Priority | None = None
    impact: Annotated[int, Field(ge=1, le=4)] | None = None
    urgency: Annotated[int, Field(ge=1, le=4)] | None = None
    category: Name | None = None
    subcategory: Name | None = None
    problem_code: Name | None = None
    region: Name | None = None
    department: Name | None = None
    group: Name | None = None
    assignee: EmployeeNumber | None = None
    externalref: Name | None = None
    request_type: Name | None = None
    fields: dict[Name, Text] | None = None
    secrecy: Literal["public", "internal", "sensitive"] | None = None
    fingerprint: Name | None = None


class Response(Body):
    """The first answer to a requester."""

    comment: Text | None = None


class Solution(Body):
    """What solved the ticket."""

    solution: Annotated[str, Field(min_length=1, max_length=20_000)]
    comment: Text | None = None


class Reopening(Body):
    """Why the solution did not hold."""

    reason: Annotated[str, Field(min_length=1, max_length=20_000)]


class Closing(Body):
    """A last word."""

    comment: Text | None = None


class Words(Body):
    """What somebody writes on a ticket, or the name of a quick text. public: the requester reads it too."""

    body: Annotated[str | None, Field(min_length=1, max_length=20_000)] = None
    quick_text: Name | None = None
    public: bool = True


class TicketSearch(Body):
    """Which tickets to show.

    opened_from, opened_before: of tickets opened in this span, moments with an offset; its end does not belong to it.
    q: words in title or description, or a number. view: a saved view of open tickets. sort: `due` by remaining time.
    cursor: `next_cursor` of the page before, in the same order.
    """

    state: StateName | None = None
    priority: Priority | None = None
    group: Name | None = None
    assignee: EmployeeNumber | None = None
    region: Name | None = None
    department: Name | None = None
    requester: EmployeeNumber | None = None
    request_type: Name | None = None
    channel: ChannelName | None = None
    category: Name | None = None
    problem_code: Name | None = None
    opened_from: AwareDatetime | None = None
    opened_before: AwareDatetime | None = None
    open: bool | None = None
    view: Literal["mine", "group", "due_soon", "unassigned"] | None = None
    sort: Literal["number", "due"] = "number"
    q: Annotated[str | None, Field(max_length=200)] = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str | None, Field(max_length=255)] = None


class Ticket(BaseModel):
    """A ticket as its people see it. state_text: 待处理, 处理中 or 已解决.

    mail_from: who wrote the mail that it came by, when nobody is known by that address.
    """

    number: str
    title: str
    description: str = ""
    state: str
    state_text: str = ""
    priority: int
    channel: str
    requester: str | None = None
    assignee: str | None = None
    group: str | None = None
    region: str | None = None
    department: str | None = None
    category: str | None = None
    subcategory: str | None = None
    opened_at: datetime
    responded_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    due_response_at: datetime | None = None
    due_next_response_at: datetime | None = None
    due_solution_at: datetime | None = None
    due_next_at: datetime | None = None
    reopen_count: int = 0
    occurrences: int = 1
    externalref: str | None = None
    solution: str | None = None
    request_type: str | None = None
    fields: dict[str, str] = {}
    secrecy: str = "internal"
    support_level: int = 2
    mail_from: str | None = None


class TicketPage(BaseModel):
    """Tickets, newest first. next_cursor: for the next page; absent on the last one."""

    items: list[Ticket]
    next_cursor: str | None = None


class Comment(BaseModel):
    """Something written on a ticket."""

    id: str
    at: datetime
    actor: str | None = None
    body: str
    public: bool


class CommentPage(BaseModel):
    """Comments, oldest first."""

    items: list[Comment]


class Change(BaseModel):
    """One change of a ticket (S4). actor: an employee, another system, or absent for Liaison itself.

    via: from where it came: the source of another system's event, else `http`, `page` (behind a requester's link),
    `timer` or `command`; absent for changes of before it was kept.
    """

    at: datetime
    actor: str | None = None
    via: str | None = None
    field: str
    before: str | None = None
    after: str | None = None
    reason: str = ""


class ChangePage(BaseModel):
    """Changes, oldest first."""

    items: list[Change]


class Span(BaseModel):
    """A stretch of time that counted towards a target, or did not. text: why, for people."""

    begin_at: datetime
    end_at: datetime
    counted: bool
    reason: str
    text: str
    by: str | None = None


class Clock(BaseModel):
    """One clock of a ticket. Seconds are open time of its calendar.

    state: running, paused, met or missed. unpublished_years: years up to the due moment whose statutory holidays nobody
    knows yet. spans_left_out: how many earlier spans are not shown.
    """

    target: str
    cycle: int
    level: str
    calendar: str
    time_zone: str
    state: str
    paused: bool
    target_s: float
    spent_before_s: float
    elapsed_s: float
    remaining_s: float
    started_at: datetime
    due_at: datetime
    stopped_at: datetime | None = None
    warned_shares: list[float]
    unpublished_years: list[int]
    spans_left_out: int
    spans: list[Span]


class ServiceLevels(BaseModel):
    """Every clock that a ticket had, and the service level that applies to it now."""

    number: str
    level: str
    clocks: list[Clock]
