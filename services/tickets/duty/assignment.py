"""Who gets a ticket, and why (T3): region → skill → on duty and present → room → load. Pure.

Every candidate is judged, and keeps the first reason for being passed over, so "why was I given this" has an answer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from contracts.gateway import AwaySpan


@dataclass(frozen=True, slots=True)
class Wanted:
    """A ticket that needs somebody. group: the one that serves its region, whose queue it waits in.

    priority: 1 is the most urgent. due_at: of the clock that ends first; None when none runs. skill: None when anybody
    can do it. not_to: who may not have it, such as its requester. begun: its holder has worked on it.
    """

    ticket_id: str
    group: str
    priority: int
    opened_at: datetime
    due_at: datetime | None = None
    skill: str | None = None
    not_to: Collection[str] = ()
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who can hold tickets. open_count: tickets held now; capacity: how many they hold at most.

    on_duty: the roster has them on duty now; true where no roster is kept. given_count: tickets given to them in the
    running period, such as one round of the roster; it and given_at, the last of them, only settle ties.
    """

    person: str
    groups: Collection[str]
    open_count: int
    capacity: int
    skills: Collection[str] = ()
    active: bool = True
    away: Sequence[AwaySpan] = ()
    on_duty: bool = True
    given_count: int = 0
    given_at: datetime | None = None

    @property
    def has_room(self) -> bool:
        """Whether one more ticket may be given."""
        return self.open_count < self.capacity

    def is_away(self, moment: datetime) -> bool:
        """Tell whether the person is away."""
        return any(span.begin_at <= moment < span.end_at for span in self.away)


class Passed(StrEnum):
    """Why a candidate was passed over, in the order in which it is asked."""

    EXCLUDED = "excluded"
    OTHER_REGION = "other_region"
    LACKS_SKILL = "lacks_skill"
    LEFT = "left"
    OFF_DUTY = "off_duty"
    AWAY = "away"
    FULL = "full"
    MORE_LOAD = "more_load"
    LATER_TURN = "later_turn"


PASSED_TEXTS = {
    Passed.EXCLUDED: "不可处理此单",
    Passed.OTHER_REGION: "不负责该地区",
    Passed.LACKS_SKILL: "不具备所需技能",
    Passed.LEFT: "已离职",
    Passed.OFF_DUTY: "不当班",
    Passed.AWAY: "不在岗",
    Passed.FULL: "已满额",
    Passed.MORE_LOAD: "在办较多",
    Passed.LATER_TURN: "在办相同,本轮已先分到",
}
#: What keeps somebody from a ticket for now only: it is worth waiting for them.
_FOR_NOW = (Passed.OFF_DUTY, Passed.AWAY, Passed.FULL)


@dataclass(frozen=True, slots=True)
class Judged:
    """One candidate for one ticket. passed: None for who gets it.

    score: the open tickets, and as a fraction whose turn it is among equals; the lowest of those in question gets it.
    """

    person: str
    score: float
    open_count: int
    capacity: int
    passed: Passed | None


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who gets a ticket and why. person: None when it waits in the queue of `group`. judged: by score, lowest first.

    waits_for: what keeps the last in question from it; None when it is given, or nobody will ever fit.
    skill_lifted: nobody of the group has the skill, so it was not asked for.
    """

    ticket_id: str
    group: str
    person: str | None
    judged: tuple[Judged, ...]
    waits_for: Passed | None = None
    skill_lifted: bool = False


def assign(wanted: Wanted, candidates: Sequence[Candidate], moment: datetime) -> Assignment:
    """Return who gets a ticket: of the region's, skilled, on duty, present, with room, the one with the fewest open.

    Equals take turns: fewest given in the period, then longest not given one, then the employee number, so that the
    same facts always give the same answer. A skill that nobody who works in the group has is not asked for. With
    nobody in question the ticket waits; see waiting.py, which lets earlier ones go first.
    """
    lifted = skill_is_lifted(wanted, candidates)
    turns = sorted(candidates, key=_turn)
    scores = {one.person: one.open_count + place / len(turns) for place, one in enumerate(turns)}
    reasons = {one.person: bar_to(one, wanted, moment, ask_skill=not lifted) for one in candidates}
    eligible = [one for one in candidates if reasons[one.person] is None]
    chosen = min(eligible, key=lambda one: scores[one.person], default=None)
    for one in eligible:
        if chosen and one is not chosen:
            reasons[one.person] = Passed.MORE_LOAD if one.open_count > chosen.open_count else Passed.LATER_TURN
    ranked = sorted(candidates, key=lambda one: scores[one.person])
    return Assignment(
        wanted.ticket_id,
        wanted.group,
        chosen.person if chosen else None,
        tuple(
            Judged(one.person, scores[one.person], one.open_count, one.capacity, reasons[one.person]) for one in ranked
        ),
        None if chosen else max((r for r in reasons.values() if r in _FOR_NOW), key=_FOR_NOW.index, default=None),
        lifted,
    )


def bar_to(one: Candidate, wanted: Wanted, moment: datetime, *, ask_skill: bool = True) -> Passed | None:
    """Return the first thing that keeps a candidate from a ticket, whatever the others hold; None: nothing does."""
    bars = {
        Passed.EXCLUDED: one.person in wanted.not_to,
        Passed.OTHER_REGION: wanted.group not in one.groups,
        Passed.LACKS_SKILL: ask_skill and wanted.skill is not None and wanted.skill not in one.skills,
        Passed.LEFT: not one.active,
        Passed.OFF_DUTY: not one.on_duty,
        Passed.AWAY: one.is_away(moment),
        Passed.FULL: not one.has_room,
    }
    return next((reason for reason, holds in bars.items() if holds), None)


def skill_is_lifted(wanted: Wanted, candidates: Sequence[Candidate]) -> bool:
    """Tell whether a skill is wanted that nobody has who works in the group, on duty or not: it is not asked for."""
    own = (one for one in candidates if one.active and wanted.group in one.groups and one.person not in wanted.not_to)
    return wanted.skill is not None and not any(wanted.skill in one.skills for one in own)


def away_of(person: Mapping[str, Any]) -> list[AwaySpan]:
    """Return the spans in which somebody is away, as they are stored."""
    moments = ((datetime.fromisoformat(begin), datetime.fromisoformat(end)) for begin, end in person["away"])
    return [AwaySpan(begin_at=begin, end_at=end) for begin, end in moments]


def _turn(one: Candidate) -> tuple[int, datetime, str]:
    return one.given_count, one.given_at or datetime.min.replace(tzinfo=UTC), one.person
