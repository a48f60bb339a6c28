"""What other systems ask for or report, after the door has checked it; and what the door refused."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar

import msgspec

from contracts.fact import EmployeeNumber, Fact, Moment, Name, Priority, Text
from contracts.words import Channel, TicketState


class TicketRequested(Fact, frozen=True, kw_only=True):
    """Somebody needs help: the request for a ticket (T1).

    The event's `externalref` is the requester's own key: a second request with it is an occurrence of the first.
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


class TicketUpdateRequested(Fact, frozen=True, kw_only=True):
    """Another system asks to change a ticket: state, holder, comment or solution.

    The ticket is found by `number`, else by the event's `externalref` within the same source.
    A field that is absent stays as it is; `unassigned` says that nobody holds the ticket now, `ungrouped` no group.
    """

    TYPE: ClassVar[str] = "liaison.ticket.update_requested.v1"

    number: Name | None = None
    state: TicketState | None = None
    assignee: EmployeeNumber | None = None
    unassigned: bool = False
    group: Name | None = None
    ungrouped: bool = False
    priority: Priority | None = None
    category: Name | None = None
    subcategory: Name | None = None
    comment: Text | None = None
    solution: Text | None = None
    resolved_by: EmployeeNumber | None = None


class AwaySpan(msgspec.Struct, frozen=True, kw_only=True):
    """A span in which a person is away. begin_at, end_at: aware; the end does not belong to it."""

    begin_at: Moment
    end_at: Moment


class PersonChanged(Fact, frozen=True, kw_only=True):
    """The full state of a person; `version` rises with each change, an older one never overwrites a newer."""

    TYPE: ClassVar[str] = "liaison.person.changed.v1"

    employee_number: EmployeeNumber
    version: Annotated[int, msgspec.Meta(ge=0)]
    name: Name
    email: Annotated[str, msgspec.Meta(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
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


class EventRefused(Fact, frozen=True, kw_only=True):
    """The door refused what a publisher sent; `field` and `reason` are written for the publisher's people."""

    TYPE: ClassVar[str] = "liaison.event.refused.v1"

    publisher: Name
    event_id: str = ""
    event_type: str = ""
    field: str = ""
    reason: str = ""
