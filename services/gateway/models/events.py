"""What the routes of other systems answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel


class EventVerdict(BaseModel):
    """What became of one event. event: its canonical form, in a dry run only."""

    index: int
    id: str
    verdict: Literal["accepted", "repeated", "refused"]
    field: str | None = None
    reason: str | None = None
    event: dict[str, Any] | None = None


class AlertReceipt(BaseModel):
    """How many alerts of a notification were announced, and how many had been before."""

    accepted: int
    repeated: int


class Verdicts(BaseModel):
    """What became of each event, in the order in which they were sent."""

    verdicts: list[EventVerdict]


class EventReport(BaseModel):
    """What became of an event. handled_by: service to handled, held, dead, discarded, not_seen or unknown."""

    id: str
    verdict: Literal["accepted", "refused"]
    type: str
    becomes: str | None = None
    arrived_at: datetime | None = None
    repeats: int = 0
    refused_at: datetime | None = None
    field: str | None = None
    reason: str | None = None
    handled_by: dict[str, str] = {}
    reasons: dict[str, str] = {}


class Health(BaseModel):
    """What is wrong now, by part; nothing when all is well."""

    problems: dict[str, str]
