"""What the duty routes take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field

from services.gateway.models.words import Body, EmployeeNumber, Name

Level = Annotated[int, Field(ge=1, le=4, description="1 key user, 2 specialist, 3 technical team, 4 vendor (T4)")]


class ShiftWish(Body):
    """One person's duty. Moments with an offset; the end does not belong to it."""

    group: Name
    level: Level
    person: EmployeeNumber
    begin_at: AwareDatetime
    end_at: AwareDatetime
    stand_in: EmployeeNumber | None = None


class RosterWish(Body):
    """A roster: `sheet`, a spreadsheet saved as CSV, or `shifts`. What it covers is replaced."""

    sheet: Annotated[str | None, Field(max_length=500_000)] = None
    shifts: Annotated[list[ShiftWish] | None, Field(max_length=5_000)] = None


class RosterTaken(BaseModel):
    """What was taken in, and how many shifts it replaced."""

    shifts: int
    replaced: int
    groups: list[str]


class SwapWish(Body):
    """Within the span `taker` does the duty of `giver`."""

    group: Name
    level: Level
    giver: EmployeeNumber
    taker: EmployeeNumber
    begin_at: AwareDatetime
    end_at: AwareDatetime


class DutySearch(Body):
    """Whose duty to show. at: who is on duty at this moment; now, unless given."""

    group: Name
    at: AwareDatetime | None = None


class OnDuty(BaseModel):
    """Somebody on duty. why: rostered, swapped or standing_in. rostered: whom the roster names, if somebody else."""

    level: int
    person: str
    why: str
    rostered: str | None = None


class Shift(BaseModel):
    """A shift as the roster has it."""

    level: int
    person: str
    stand_in: str | None = None
    begin_at: datetime
    end_at: datetime


class Gap(BaseModel):
    """A span in which nobody is on duty. goes_on: nobody knows yet when it ends."""

    level: int
    begin_at: datetime
    end_at: datetime
    absent: list[str]
    goes_on: bool
    text: str


class Duty(BaseModel):
    """A group's duty. time_zone: of the calendar by which posts are manned."""

    group: str
    at: datetime
    time_zone: str
    on_duty: list[OnDuty]
    shifts: list[Shift]
    gaps: list[Gap]


class Candidate(BaseModel):
    """Somebody who might have got the ticket. passed: why not; absent for who got it."""

    person: str
    score: float
    open_count: int
    capacity: int
    passed: str | None = None
    text: str


class Decision(BaseModel):
    """Who got a ticket, or what it waits for, and every candidate; the lowest score gets it."""

    at: datetime
    group: str
    person: str | None = None
    waits_for: str | None = None
    skill_lifted: bool
    candidates: list[Candidate]


class DecisionPage(BaseModel):
    """Decisions, oldest first."""

    items: list[Decision]
