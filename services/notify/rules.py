"""Who is told of what, and what becomes of a message: pure decisions.

Source: requirements N1, N2; design, promise 1 (a call whose outcome was lost is repeated or left unknown, by a
stated policy).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from contracts.fact import Fact
from contracts.gateway import AlertFired, AlertResolved
from contracts.knowledge import AnswerSuggested, SuggestedFor
from contracts.notify import Medium
from contracts.tickets import (
    DutyUncovered,
    FeedbackAnswered,
    FeedbackAssigned,
    FeedbackReceived,
    SlaBreached,
    SlaWarned,
    TicketAssigned,
    TicketCommented,
    TicketOpened,
    TicketReopened,
    TicketResolved,
    Voice,
)
from contracts.training import CourseCompleted, EnrolmentConfirmed, RetrainingAssigned
from contracts.words import Severity

#: The desk as a recipient; the space keeps it apart from every employee number.
DESK = "the desk"
#: The events that a rule may name.
EVENTS: Mapping[str, type[Fact]] = {
    fact.TYPE: fact
    for fact in (
        *(TicketOpened, TicketAssigned, SlaWarned, SlaBreached, TicketResolved),
        *(TicketCommented, TicketReopened),
        *(EnrolmentConfirmed, CourseCompleted, RetrainingAssigned),
        *(FeedbackReceived, FeedbackAssigned, FeedbackAnswered),
        *(DutyUncovered,),
        *(AlertFired, AlertResolved),
    )
}
#: The events that are somebody's own words, of which their writer is not told.
WORDS_OF_SOMEBODY = frozenset({TicketCommented.TYPE, TicketReopened.TYPE})
#: The events whose messages may wait for another event, and for which: its content belongs into the text.
COMPANIONS: Mapping[str, frozenset[str]] = {
    TicketOpened.TYPE: frozenset({AnswerSuggested.TYPE}),
    CourseCompleted.TYPE: frozenset({AnswerSuggested.TYPE}),
}
#: Seconds that a message waits for its companion unless its rule says otherwise, and the most that a rule may say.
COMPANION_WAIT_S = 3.0
LONGEST_COMPANION_WAIT_S = 60.0
#: How long a companion is kept that came before the event whose message waits for it.
EARLY_KEPT = timedelta(hours=1)
#: How long a message waits for its recipient to become known before the desk gets it.
CONTACT_WAIT = timedelta(hours=1)
#: Seconds between one try and the next; the last one repeats until GIVE_UP has passed.
RETRY_S = (5, 30, 120, 600, 1800, 3600)
GIVE_UP = timedelta(hours=24)
#: A server that never answers would otherwise fill a mailbox with copies.
MAX_REPEATS = 2
#: Seconds, longer than any call can take: the dialogue, one command, the content, the last answer.
LEASE_S = 180.0
#: Alerts that say that our own messages do not get out: the monitoring mails them itself (notes/notify-metrics.md 3.4).
ALERTS_ABOUT_DELIVERY = frozenset({"DeliveriesFailing", "WatchdogSilent"})
#: How long an alert's occurrence is remembered after its end, so that a repeat tells nobody again.
ALERT_KEPT = timedelta(days=35)


class Role(enum.StrEnum):
    """What somebody is to the thing that the event is about."""

    REQUESTER = "requester"
    ASSIGNEE = "assignee"
    GROUP_LEAD = "group_lead"
    LEARNER = "learner"
    CONTACT = "contact"  # the training contact of the learner's department
    OWNER = "owner"
    AUTHOR = "author"
    WATCHERS = "watchers"
    MANAGER = "manager"  # of the assignee
    IN_CHARGE = "in_charge"  # the assignee; while nobody is, the group's lead; without one, the desk
    DESK = "desk"


#: Roles whose holder the event itself names, in a field of the role's name.
NAMED = tuple(role for role in Role if role not in (Role.WATCHERS, Role.MANAGER, Role.IN_CHARGE, Role.DESK))


class When(enum.StrEnum):
    """A condition under which a rule holds."""

    NOBODY_ASSIGNED = "nobody_assigned"
    NOBODY_OWNS = "nobody_owns"
    NOT_REPORTED = "not_reported"
    AUTHOR_LEARNS_MORE = "author_learns_more"
    ALARM = "alarm"
    REQUESTER_WROTE = "requester_wrote"
    DESK_WROTE = "desk_wrote"
    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Condition:
    """When a rule holds. needs: the fields that the event must have. holds: what it says of an event."""

    needs: tuple[str, ...]
    holds: Callable[[Any], bool]


CONDITIONS: Mapping[When, Condition] = {
    When.NOBODY_ASSIGNED: Condition(("assignee",), lambda fact: not fact.assignee),
    When.NOBODY_OWNS: Condition(("owner",), lambda fact: not fact.owner),
    When.NOT_REPORTED: Condition(("reported",), lambda fact: not fact.reported),
    When.AUTHOR_LEARNS_MORE: Condition(
        ("answer", "status", "previous_status", "feedback_class", "previous_class"),
        # With the same status and class it is the answer that is another one.
        lambda fact: (
            fact.status != fact.previous_status or (fact.answer and fact.feedback_class == fact.previous_class)
        ),
    ),
    When.ALARM: Condition(("alarm",), lambda fact: fact.alarm),
    # The words of a reopening are told with it.
    When.REQUESTER_WROTE: Condition(
        ("public", "voice", "reopens"), lambda fact: fact.public and fact.voice is Voice.REQUESTER and not fact.reopens
    ),
    When.DESK_WROTE: Condition(("public", "voice"), lambda fact: fact.public and fact.voice is Voice.DESK),
    When.CRITICAL: Condition(("severity",), lambda fact: fact.severity is Severity.CRITICAL),
    # A severity that we do not know may be serious.
    When.WARNING: Condition(("severity",), lambda fact: fact.severity in (Severity.WARNING, Severity.OTHER)),
    When.INFO: Condition(("severity",), lambda fact: fact.severity is Severity.INFO),
}


class AfterCrash(enum.StrEnum):
    """What to do when nobody knows whether a message went out: send it again, or leave it unknown."""

    REPEAT = "repeat"
    UNKNOWN = "unknown"


class State(enum.StrEnum):
    """Where a delivery stands. Accepted, failed, unknown and cancelled are final."""

    WAITING_CONTACT = "waiting_contact"
    PENDING = "pending"
    SENDING = "sending"
    ACCEPTED = "accepted"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the file. priority: 1 critical to 4 low; the most urgent rule wins for a person in two roles.

    waits_for: the type of the event that the text needs too; without it the message goes after `at_most_s` seconds.
    """

    name: str
    event: str
    to: tuple[Role, ...]
    template: str
    priority: int
    medium: Medium
    when: When | None = None
    after_crash: AfterCrash = AfterCrash.UNKNOWN
    waits_for: str | None = None
    at_most_s: float = COMPANION_WAIT_S


#: The rules of each event type, most urgent first.
RuleBook = Mapping[str, Sequence[Rule]]


def rule_book(rules: Sequence[Rule]) -> RuleBook:
    """Return the rules by event type, the most urgent first, else in the order of the file."""
    return {event: sorted((r for r in rules if r.event == event), key=lambda r: r.priority) for event in EVENTS}


@dataclass(frozen=True, slots=True)
class Contact:
    """What is known of a person: how to reach them, in which language and time zone, and who their manager is."""

    employee_number: str
    name: str
    email: str | None
    language: str
    time_zone: str
    manager: str | None
    active: bool


def waited_for(rules: Sequence[Rule]) -> list[str]:
    """Return the types of the events that messages of these rules wait for."""
    return sorted({rule.waits_for for rule in rules if rule.waits_for})


def manager_matters(rules: Sequence[Rule]) -> bool:
    """Tell whether one of the rules is about the assignee's manager, who must be looked up."""
    return any(Role.MANAGER in rule.to for rule in rules)


def people_named(fact: Fact) -> set[str]:
    """Return the employee numbers that an event itself names as possible recipients."""
    named = (getattr(fact, role.value, None) for role in NAMED)
    return {number for number in (*named, *getattr(fact, Role.WATCHERS.value, ())) if number}


def can_name(fact: type[Fact], role: Role) -> bool:
    """Tell whether events of a type can say who somebody in this role is."""
    needed = {Role.DESK: (), Role.MANAGER: (Role.ASSIGNEE,), Role.IN_CHARGE: (Role.ASSIGNEE, Role.GROUP_LEAD)}
    return set(needed.get(role, (role,))) <= set(fact.__struct_fields__)


def recipients(
    rules: Sequence[Rule], fact: Fact, manager_of: Callable[[str], str | None], actor: str | None = None
) -> dict[tuple[str, Medium], Rule]:
    """Return who is told by which channel, each once, with the rule that says so.

    rules: of this event's type, the most urgent first. manager_of: an employee's manager, None when unknown.
    actor: who caused the event; nobody is told of what they wrote themselves.
    A role that nobody holds tells nobody; rules with `when: nobody_…` see to it that somebody still learns.
    """
    if getattr(fact, "retroactive", False):
        # Found long after it was due, when a log was replayed or a policy changed: nobody can act on it any more.
        return {}
    assignee: str | None = getattr(fact, "assignee", None)
    writer = actor if fact.TYPE in WORDS_OF_SOMEBODY else None
    told: dict[tuple[str, Medium], Rule] = {}
    for rule in rules:
        if rule.when and not CONDITIONS[rule.when].holds(fact):
            continue
        for role in rule.to:
            for recipient in _holders(role, fact, manager_of(assignee) if assignee else None):
                if recipient != writer:
                    told.setdefault((recipient, rule.medium), rule)
    return told


def _holders(role: Role, fact: Fact, manager: str | None) -> Sequence[str]:
    """Return who is in a role with an event; nobody, one, or of watchers many."""
    if role is Role.DESK:
        return (DESK,)
    if role is Role.WATCHERS:
        return tuple(getattr(fact, role.value, ()))
    if role is Role.IN_CHARGE:
        assignee, lead = (getattr(fact, one.value, None) for one in (Role.ASSIGNEE, Role.GROUP_LEAD))
        return (assignee or lead or DESK,)
    one = manager if role is Role.MANAGER else getattr(fact, role.value, None)
    return (one,) if one else ()


def belongs_to(companion: AnswerSuggested) -> tuple[str, str] | None:
    """Return type and subject of the event whose messages may wait for what was suggested; None when none can."""
    about_type = _SUGGESTED_FOR.get(companion.suggested_for)
    return (about_type, companion.about_subject) if about_type else None


_SUGGESTED_FOR = {SuggestedFor.TICKET: TicketOpened.TYPE, SuggestedFor.COURSE: CourseCompleted.TYPE}


def occurrence_of(alert: AlertFired | AlertResolved) -> str:
    """Return what tells one occurrence of an alert from another: its labels' hash and its beginning."""
    return f"{alert.fingerprint} {alert.starts_at:%Y-%m-%dT%H:%M:%S.%fZ}"


def is_ours_to_tell(alert: AlertFired, is_failing: Callable[[], bool]) -> bool:
    """Tell whether the desk is told of an alert by us: not that our messages fail, by a message.

    is_failing: whether messages have lately not been getting out; then nothing is told about ourselves.
    """
    if alert.alert in ALERTS_ABOUT_DELIVERY:
        return False
    return alert.service != "notify" or not is_failing()


def readiness(recipient: str, contact: Contact | None) -> tuple[State, str]:
    """Return whether a message can be sent now, waits for an address, or is pointless; and why."""
    if recipient == DESK:
        return State.PENDING, ""
    if contact is None:
        return State.WAITING_CONTACT, "the person is not known"
    if not contact.active:
        return State.CANCELLED, "the person has left"
    if not contact.email:
        return State.WAITING_CONTACT, "the person has no e-mail address"
    return State.PENDING, ""


class Said(enum.StrEnum):
    """What came of one try to send."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # for good
    LATER = "later"  # surely not taken, worth another try
    UNCLEAR = "unclear"  # perhaps taken
    LEFT = "left"  # not tried: the person has left since
    NO_ADDRESS = "no_address"  # not tried: the person has no address any more
    NOTHING = "nothing"  # not tried: the delivery was not to be sent


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one try. code: the channel's own, 0 for none. reason: without anybody's address."""

    said: Said
    code: int = 0
    reason: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Tries:
    """How a delivery has fared, this try included. unclear: tries that may have gone out. since: the first one's."""

    attempts: int
    unclear: int
    after_crash: AfterCrash
    since: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """The state that a delivery takes, and when it is tried again if it is pending."""

    state: State
    again_at: datetime | None = None


_PLAIN = {Said.ACCEPTED: State.ACCEPTED, Said.LEFT: State.CANCELLED, Said.NO_ADDRESS: State.WAITING_CONTACT}


def next_step(said: Said, tries: Tries, now: datetime) -> Step:
    """Return what becomes of a delivery after a try.

    What was perhaps taken is repeated only where its rule says so. A message that was perhaps taken once is never
    called failed afterwards: then it is unknown.
    """
    if said in _PLAIN:
        return Step(_PLAIN[said])
    in_time = now - tries.since < GIVE_UP
    may_repeat = tries.after_crash is AfterCrash.REPEAT and tries.unclear <= MAX_REPEATS
    if in_time and (said is Said.LATER or (said is Said.UNCLEAR and may_repeat)):
        return Step(State.PENDING, now + retry_delay(tries.attempts))
    return Step(State.UNKNOWN if tries.unclear else State.FAILED)


def retry_delay(attempts: int) -> timedelta:
    """Return how long to wait after this many tries: 5 s at first, one hour at most."""
    return timedelta(seconds=RETRY_S[min(max(attempts, 1), len(RETRY_S)) - 1])
