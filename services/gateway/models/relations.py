"""What the routes about many tickets, and about what binds them, take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from services.gateway.models.words import Body, EmployeeNumber, Name, Priority, Text

Kind = Literal["duplicate_of", "child_of", "caused_by", "known_error", "relates_to"]
Numbers = Annotated[list[Name], Field(min_length=1, max_length=200)]


class TicketChange(Body):
    """What is to change on a ticket; a field that is absent stays as it is."""

    state: (
        Literal["in_progress", "awaiting_user", "awaiting_problem", "awaiting_vendor", "awaiting_evidence"] | None
    ) = None
    priority: Priority | None = None
    impact: Annotated[int, Field(ge=1, le=4)] | None = None
    urgency: Annotated[int, Field(ge=1, le=4)] | None = None
    category: Name | None = None
    subcategory: Name | None = None
    problem_code: Name | None = None
    secrecy: Literal["public", "internal", "sensitive"] | None = None
    group: Name | None = None
    assignee: EmployeeNumber | None = None
    unassigned: bool | None = None


class ManyChanged(Body):
    """Many tickets to change alike."""

    numbers: Numbers
    change: TicketChange


class ManyClosed(Body):
    """Many resolved tickets to close."""

    numbers: Numbers
    comment: Text | None = None


class OneDone(BaseModel):
    """What became of one of many."""

    number: str
    done: bool
    field: str | None = None
    reason: str | None = None


class ManyDone(BaseModel):
    """What became of each; what was refused for one left the others done."""

    results: list[OneDone]
    done: int


class LinkWish(Body):
    """A link from a ticket to another, or with `remove` one to take away."""

    kind: Kind
    target: Name
    remove: bool = False


class Merging(Body):
    """Into which ticket another is merged."""

    into: Name


class Watching(Body):
    """Who watches a ticket, the caller unless told; with `remove` no more."""

    person: EmployeeNumber | None = None
    remove: bool = False


class Link(BaseModel):
    """A link between two tickets."""

    number: str
    kind: str
    target: str
    at: datetime
    actor: str | None = None


class Links(BaseModel):
    """A ticket's links in either direction, and who watches it."""

    number: str
    links: list[Link]
    watchers: list[str]


class QuickTextWish(Body):
    """Words that are said often; {number}, {title}, {requester}, {assignee} are filled in. Empty: take it away."""

    body: Text


class QuickText(BaseModel):
    """A quick text."""

    name: str
    body: str


class QuickTexts(BaseModel):
    """Every quick text, by name."""

    items: list[QuickText]
