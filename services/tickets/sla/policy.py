"""Which service level a ticket has: the first in the policy file whose conditions its fields meet. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from contracts.tickets import Target
from contracts.words import TicketState
from services.tickets.business_time.allowance import Allowance
from services.tickets.business_time.calendar import Calendar
from services.tickets.business_time.files import Calendars
from services.tickets.request_types import RequestType
from services.tickets.sla.clock import OnChange, OnReopen

#: The fields of a ticket that a service level may ask for; a change of one of them may change the level.
MATCHED = (
    "channel",
    "priority",
    "impact",
    "urgency",
    "region",
    "department",
    "category",
    "subcategory",
    "problem_code",
    "group_name",
    "requester",
    "request_type",
)


@dataclass(frozen=True, slots=True)
class Goal:
    """One target of a level. allowed: by priority. calendar: the name of what it is counted in."""

    allowed: Mapping[int, Allowance]
    calendar: str


def _holds(when: Mapping[str, Collection[Any]], ticket: Mapping[str, Any]) -> bool:
    return all(ticket.get(name) in values for name, values in when.items())


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """One entry of the policy file. when: the values that each named field may have.

    warn_at_shares: shares (0 to 1) of a target at which somebody is warned, rising. pauses: the states in which a
    target's clock stands still.
    """

    name: str
    when: Mapping[str, Collection[Any]]
    goals: Mapping[Target, Goal]
    warn_at_shares: Sequence[float]
    pauses: Mapping[Target, Collection[TicketState]]
    on_change: OnChange
    on_reopen: OnReopen

    def applies_to(self, ticket: Mapping[str, Any]) -> bool:
        """Tell whether a ticket's fields meet every condition."""
        return _holds(self.when, ticket)

    def stands_still(self, target: Target, state: TicketState) -> bool:
        """Tell whether a clock is paused in a state."""
        return state in self.pauses.get(target, ())


@dataclass(frozen=True, slots=True)
class SkillWanted:
    """What a ticket needs somebody to know, when its fields are such. when: as in a service level."""

    skill: str
    when: Mapping[str, Collection[Any]]


@dataclass(frozen=True, slots=True)
class Assigning:
    """How tickets are given out (T3). capacity: open tickets that somebody holds at most, unless they have their own.

    even_out: tickets that nobody has begun move from who holds far more. keep_what_can_wait: somebody away keeps what
    is due after they are back. duty_calendar: when posts must be manned.
    """

    capacity: int
    even_out: bool
    keep_what_can_wait: bool
    duty_calendar: str
    skills: Sequence[SkillWanted] = ()

    def skill_for(self, ticket: Mapping[str, Any]) -> str | None:
        """Return the skill that a ticket needs: the first whose conditions hold."""
        return next((one.skill for one in self.skills if _holds(one.when, ticket)), None)


@dataclass(frozen=True, slots=True)
class Closing:
    """How a resolved ticket ends (T5). silence: open time of `calendar` after which no answer closes it.

    follow_up_at_most: a rating up to this opens a follow-up.
    """

    silence: Allowance
    calendar: str
    follow_up_at_most: int


@dataclass(frozen=True, slots=True)
class SupportLevel:
    """One level of support (T4). group: who works there; None keeps the ticket's own. auto: a miss escalates.

    allowed: its own target, in open time of `calendar`; None without one.
    """

    group: str | None
    allowed: Allowance | None
    calendar: str
    auto: bool


class Aim(NamedTuple):
    """What a clock of a ticket measures. target_s: open seconds of `calendar`. level: the service level's name."""

    target_s: int
    calendar: Calendar
    level: str


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy file: service levels in order, priorities, and which group serves whom."""

    levels: Sequence[ServiceLevel]
    calendars: Calendars
    default_priority: int
    priority_matrix: Mapping[int, Sequence[int]]
    default_group: str
    region_groups: Mapping[str, str]
    group_leads: Mapping[str, str]
    assignment: Assigning
    closing: Closing
    support: Mapping[int, SupportLevel]
    request_types: Mapping[str, RequestType]
    _by_name: dict[str, ServiceLevel] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # The class is frozen for its users; this is settled here, once.
        object.__setattr__(self, "_by_name", {level.name: level for level in self.levels})

    def level_for(self, ticket: Mapping[str, Any]) -> ServiceLevel:
        """Return the first level that applies; the last one has no conditions."""
        return next(level for level in self.levels if level.applies_to(ticket))

    def aim_of(self, target: Target, ticket: Mapping[str, Any]) -> Aim | None:
        """Return what a clock of a ticket measures; None when the ticket has no such target.

        Workdays are as long as the calendar has them in which this ticket is counted, its region's own among them.
        """
        if target is Target.INTERNAL:
            own, name = self.support.get(ticket["support_level"]), f"support {ticket['support_level']}"
            return None if own is None else self._aim(own.allowed, own.calendar, name, ticket)
        level = self.level_for(ticket)
        goal = level.goals.get(target)
        return None if goal is None else self._aim(goal.allowed[ticket["priority"]], goal.calendar, level.name, ticket)

    def _aim(self, allowed: Allowance | None, calendar: str, level: str, ticket: Mapping[str, Any]) -> Aim | None:
        counted_in = self.calendar(calendar, ticket["region"])
        return None if allowed is None else Aim(allowed.in_s(counted_in), counted_in, level)

    def level_named(self, name: str, ticket: Mapping[str, Any]) -> ServiceLevel:
        """Return a level by name; one that the file does not have any more is replaced by what applies now."""
        return self._by_name.get(name) or self.level_for(ticket)

    @property
    def duty_calendar(self) -> Calendar:
        """The calendar by which posts are manned, and in whose time a roster is written."""
        return self.calendar(self.assignment.duty_calendar, None)

    def year_of(self, moment: datetime) -> int:
        """Return the year of a moment as the desk's own clock shows it, for the numbers of what comes in then."""
        return moment.astimezone(self.duty_calendar.zone).year

    def calendar(self, name: str, region: str | None) -> Calendar:
        """Return a calendar in a region's own form; a name that no file has any more falls back on the last level's."""
        if name not in self.calendars.named:
            name = next(iter(self.levels[-1].goals.values())).calendar
        return self.calendars.of(name, region)

    def priority_of(self, priority: int | None, impact: int | None, urgency: int | None) -> int:
        """Return the priority asked for, else that of impact × urgency, else the default."""
        if priority is not None:
            return priority
        if impact is not None and urgency is not None:
            return self.priority_matrix[impact][urgency - 1]
        return self.default_priority

    def group_of(self, region: str | None) -> str:
        """Return the group that serves a region (T3); an unknown region is served by the default group."""
        return self.region_groups.get(region or "", self.default_group)
