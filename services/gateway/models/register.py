"""What the routes of statistics and of the register take and answer."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field

from services.gateway.models.words import Body, EmployeeNumber, Name, Text

Grade = Annotated[int, Field(ge=1, le=4)]
Title = Annotated[str, Field(min_length=1, max_length=500)]


class Period(Body):
    """A span of time, with offsets; the end does not belong to it."""

    begin_at: AwareDatetime
    end_at: AwareDatetime


class FaultType(BaseModel):
    """How many tickets were of one kind."""

    category: str | None = None
    subcategory: str | None = None
    problem_code: str | None = None
    tickets: int


class Bottleneck(BaseModel):
    """Where missed tickets lost most of their time, and how much."""

    step: str
    level: int
    group: str | None = None
    tickets: int
    seconds: int


class Statistics(BaseModel):
    """The figures of the tickets opened in a period (T6). Shares are from 0 to 1, absent without tickets."""

    begin_at: datetime
    end_at: datetime
    opened: int
    solved: int
    missed: int
    first_contact_share: float | None = None
    reopen_share: float | None = None
    fault_types: list[FaultType]
    bottlenecks: list[Bottleneck]
    missed_looked_at: int


class EntryWish(Body):
    """A problem or a risk (T11); when an entry is changed, what is absent stays."""

    kind: Literal["problem", "risk"] | None = None
    title: Title | None = None
    owner: EmployeeNumber | None = None
    impact: Grade | None = None
    likelihood: Grade | None = None
    summary: Text | None = None
    status: Literal["open", "watched", "blocked", "closed"] | None = None
    hotline: Name | None = None
    measures: Text | None = None
    due_on: date | None = None
    tickets: list[Name] | None = None


class EntrySearch(Body):
    """Which entries to show."""

    kind: Literal["problem", "risk"] | None = None
    status: Literal["open", "watched", "blocked", "closed"] | None = None
    owner: EmployeeNumber | None = None


class EntryChange(BaseModel):
    """One change of an entry."""

    at: datetime
    actor: str | None = None
    field: str
    before: str | None = None
    after: str | None = None


class Entry(BaseModel):
    """An entry. weight: likelihood times impact, a problem's likelihood being 4."""

    id: str
    kind: str
    title: str
    owner: str
    impact: int
    likelihood: int | None = None
    summary: str
    status: str
    hotline: str | None = None
    measures: str
    due_on: date | None = None
    tickets: list[str]
    weight: int
    changed_at: datetime
    changes: list[EntryChange] = []


class Register(BaseModel):
    """Problems and risks, the gravest first."""

    items: list[Entry]
