"""What the routes about levels of support take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field

from services.gateway.models.words import Body, Name, Text


class VendorPart(Body):
    """What the vendor says (T4); a field that is absent stays as it is."""

    vendor: Name | None = None
    vendor_number: Name | None = None
    promised_at: AwareDatetime | None = None
    root_cause: Text | None = None


class Escalation(VendorPart):
    """Why a ticket goes up, and how far; with the vendor's part when it goes to the vendor."""

    level: Annotated[int, Field(ge=2, le=4)] | None = None
    reason: Annotated[str, Field(min_length=1, max_length=2_000)]


class Diagnosis(Body):
    """How a ticket is diagnosed: remotely (远程协助), or on site (现场勘查) with an appointment."""

    mode: Literal["remote", "on_site"]
    appointment_at: AwareDatetime | None = None


class Support(BaseModel):
    """A ticket's level (1 key user, 2 specialist, 3 technical team, 4 vendor), its diagnosis, the vendor's part."""

    number: str
    level: int
    diagnosis_mode: str | None = None
    appointment_at: datetime | None = None
    vendor: str | None = None
    vendor_number: str | None = None
    promised_at: datetime | None = None
    root_cause: str | None = None


class Holding(BaseModel):
    """A span in one pair of hands. step: queue, work, awaiting_user, awaiting_vendor, awaiting_others, confirmation."""

    level: int
    group: str | None = None
    person: str | None = None
    step: str
    begin_at: datetime
    end_at: datetime | None = None
    seconds: float


class Ledger(BaseModel):
    """Who held a ticket for how long. sums: seconds by level, group, person and step, each adding up to `life_s`."""

    number: str
    life_s: float
    holdings: list[Holding]
    sums: dict[str, dict[str, float]]
