"""How long each level, group and person held a ticket (T4), from its changes (S4); adds up to its life. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from contracts.words import TicketState
from services.tickets.rules import AWAITING


class Step(StrEnum):
    """What a ticket waits for while somebody holds it, or nobody."""

    QUEUE = "queue"  # nobody holds it
    WORK = "work"
    AWAITING_USER = "awaiting_user"
    AWAITING_VENDOR = "awaiting_vendor"
    AWAITING_OTHERS = "awaiting_others"
    CONFIRMATION = "confirmation"  # a solution was given and not yet answered


@dataclass(frozen=True, slots=True)
class Hands:
    """Where a ticket is. level: of support, 1 to 4."""

    level: int
    group: str | None
    person: str | None
    step: Step


@dataclass(frozen=True, slots=True)
class Holding:
    """A span of a ticket's life in one pair of hands. end_at: None while it lasts."""

    hands: Hands
    begin_at: datetime
    end_at: datetime | None

    def seconds(self, now: datetime) -> float:
        """Return how long it has lasted."""
        return ((self.end_at or now) - self.begin_at).total_seconds()


def holdings(opened_at: datetime, level: int, changes: Iterable[Mapping[str, Any]]) -> list[Holding]:
    """Return a ticket's holdings, in order; without gaps but for the time in which it was closed.

    level: of support at the opening. changes: `at`, `field` and `after`, in the order in which they were made. Several
    changes of one moment are one: nothing is held for no time.
    """
    known: dict[str, Any] = {"state": TicketState.NEW, "support_level": level, "group": None, "assignee": None}
    at = begin_at = opened_at
    now = _hands(known)
    found: list[Holding] = []
    for change in changes:
        # Older changes may seem to come before the ones that they followed: their moments were not made to rise.
        at = max(at, change["at"])
        if change["field"] not in known:
            continue
        known[change["field"]] = change["after"]
        following = _hands(known)
        if following == now:
            continue
        if now is not None and at > begin_at:
            found.append(Holding(now, begin_at, at))
        begin_at, now = at, following
    return found if now is None else [*found, Holding(now, begin_at, None)]


def first_level(changes: Iterable[Mapping[str, Any]], level: int) -> int:
    """Return the level of support at the opening. level: the present one, which it is while nothing else was noted."""
    return int(next((one["before"] for one in changes if one["field"] == "support_level"), level))


def _hands(known: Mapping[str, Any]) -> Hands | None:
    """Return where a ticket is; None while it is closed."""
    state, person = TicketState(known["state"]), known["assignee"]
    if state is TicketState.CLOSED:
        return None
    return Hands(int(known["support_level"]), known["group"], person, _step(state, person))


def _step(state: TicketState, person: str | None) -> Step:
    if state is TicketState.RESOLVED:
        return Step.CONFIRMATION
    if state is TicketState.AWAITING_USER:
        return Step.AWAITING_USER
    if state is TicketState.AWAITING_VENDOR:
        return Step.AWAITING_VENDOR
    if state in AWAITING:
        return Step.AWAITING_OTHERS
    return Step.QUEUE if person is None else Step.WORK
