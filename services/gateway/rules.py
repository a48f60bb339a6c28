"""Who may do what, and which types a publisher may send: pure rules."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from contracts.gateway import EventRefused
from contracts.register import FACTS

#: The canonical types that others may ask for or report; `event.refused` is the door's own.
ASKABLE = frozenset(
    name for name, fact in FACTS.items() if fact.emitter() == EventRefused.emitter() and fact is not EventRefused
)

#: The services that routes ask; `tests/house` compares them with those that there are.
BEHIND_THE_DOOR = ("tickets", "training", "knowledge", "notify", "metrics")

#: Refusals of messages whose sender nobody knows are kept under this name.
UNKNOWN_PUBLISHER = "unknown"
#: What a name has at most, as it goes over the wire: the broker takes no longer ones.
MAX_NAME_BYTES = 255
_ACCOUNTS = ("admin", "guest", "liaison", "gateway", "prometheus", "alertmanager")
_RESERVED = frozenset({UNKNOWN_PUBLISHER, *_ACCOUNTS, *BEHIND_THE_DOOR})
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_WORD = r"[A-Za-z0-9_-]+"
_PATTERN = re.compile(rf"{_WORD}(\.{_WORD})*(\.\*)?")
_TYPE = re.compile(rf"{_WORD}(\.{_WORD})*")


class Role(enum.StrEnum):
    """What a token's holder is to the desk."""

    REQUESTER = "requester"
    ENGINEER = "engineer"
    LEAD = "lead"
    MANAGER = "manager"
    TRAINER = "trainer"
    ADMIN = "admin"
    PUBLISHER = "publisher"
    MONITOR = "monitor"


class Scope(enum.StrEnum):
    """Whose things an action may touch."""

    NONE = "none"
    OWN = "own"
    GROUP = "group"
    DEPARTMENT = "department"
    ALL = "all"


#: The action of routes that everybody may use without a token.
PUBLIC = "public"

_O, _G, _D, _A = Scope.OWN, Scope.GROUP, Scope.DEPARTMENT, Scope.ALL


def _row(**scopes: Scope) -> Mapping[Role, Scope]:
    return MappingProxyType({Role(role): scope for role, scope in scopes.items()})


#: The authorisation table: action, role, scope. What it does not name is denied.
TABLE: Mapping[str, Mapping[Role, Scope]] = MappingProxyType(
    {
        "events.publish": _row(publisher=_O),
        "events.read": _row(publisher=_O),
        "alerts.report": _row(monitor=_A),
        "tickets.open": _row(requester=_O, engineer=_A, lead=_A, manager=_A, admin=_A),
        "tickets.list": _row(requester=_O, engineer=_G, lead=_G, manager=_D, admin=_A),
        "tickets.read": _row(requester=_O, engineer=_G, lead=_G, manager=_D, admin=_A),
        # A key user works with a requester's token; tickets lets them where they are the assignee.
        "tickets.respond": _row(requester=_O, engineer=_G, lead=_G, admin=_A),
        "tickets.resolve": _row(requester=_O, engineer=_G, lead=_G, admin=_A),
        "tickets.reopen": _row(requester=_O, engineer=_G, lead=_G, manager=_D, admin=_A),
        "tickets.close": _row(requester=_O, engineer=_G, lead=_G, admin=_A),
        "tickets.comment": _row(requester=_O, engineer=_G, lead=_G, manager=_D, admin=_A),
        "tickets.escalate": _row(requester=_O, engineer=_G, lead=_G, admin=_A),
        "tickets.change": _row(engineer=_G, lead=_G, admin=_A),
        "quick_texts.list": _row(engineer=_A, lead=_A, admin=_A),
        "quick_texts.write": _row(lead=_A, admin=_A),
        "tickets.attach": _row(requester=_O, engineer=_G, lead=_G, manager=_D, admin=_A),
        "tickets.audit": _row(engineer=_G, lead=_G, manager=_D, admin=_A),
        "statistics.read": _row(engineer=_G, lead=_G, manager=_D, admin=_A),
        "register.read": _row(engineer=_A, lead=_A, manager=_A, admin=_A),
        "register.write": _row(lead=_A, manager=_A, admin=_A),
        "duty.read": _row(engineer=_G, lead=_G, admin=_A),
        "duty.write": _row(lead=_G, admin=_A),
        "courses.list": _row(requester=_A, engineer=_A, lead=_A, manager=_A, trainer=_A, admin=_A),
        "courses.read": _row(requester=_A, engineer=_A, lead=_A, manager=_A, trainer=_A, admin=_A),
        "courses.write": _row(trainer=_A, admin=_A),
        "enrolments.open": _row(requester=_O, engineer=_O, lead=_O, manager=_D, trainer=_A, admin=_A),
        "enrolments.list": _row(requester=_O, engineer=_O, lead=_O, manager=_D, trainer=_A, admin=_A),
        "learning.read": _row(requester=_O, engineer=_O, lead=_O, manager=_D, trainer=_A, admin=_A),
        "training_contacts.list": _row(manager=_A, trainer=_A, admin=_A),
        "training_contacts.write": _row(trainer=_A, admin=_A),
        "articles.search": _row(requester=_O, engineer=_A, lead=_A, manager=_D, trainer=_A, admin=_A),
        "articles.list": _row(requester=_O, engineer=_A, lead=_A, manager=_D, trainer=_A, admin=_A),
        "articles.read": _row(requester=_O, engineer=_A, lead=_A, manager=_D, trainer=_A, admin=_A),
        "articles.rate": _row(requester=_O, engineer=_A, lead=_A, manager=_D, trainer=_A, admin=_A),
        "articles.write": _row(engineer=_A, lead=_A, trainer=_A, admin=_A),
        "articles.submit": _row(engineer=_A, lead=_A, trainer=_A, admin=_A),
        "articles.publish": _row(lead=_A, admin=_A),
        "articles.retire": _row(lead=_A, admin=_A),
        "missing_answers.list": _row(engineer=_A, lead=_A, manager=_D, trainer=_A, admin=_A),
        "feedback.submit": _row(requester=_O, engineer=_A, lead=_A, manager=_A, admin=_A),
        # Feedback has no group: its owner and its author are those whom `own` and `group` reach.
        "feedback.list": _row(requester=_O, engineer=_G, lead=_A, manager=_D, admin=_A),
        "feedback.read": _row(requester=_O, engineer=_G, lead=_A, manager=_D, admin=_A),
        "feedback.classify": _row(requester=_O, engineer=_G, lead=_A, manager=_D, admin=_A),
        "feedback.answer": _row(requester=_O, engineer=_G, lead=_A, manager=_D, admin=_A),
        "feedback.assign": _row(requester=_O, engineer=_G, lead=_A, manager=_D, admin=_A),
        "feedback.add": _row(requester=_O, engineer=_G, lead=_A, manager=_D, admin=_A),
    }
)


def scope_of(role: Role, action: str) -> Scope:
    """Return how far a role's right to an action reaches; NONE for what the table does not name."""
    return TABLE.get(action, {}).get(role, Scope.NONE)


def missing_for(scope: Scope, *, person: str | None, groups: Iterable[str], department: str | None) -> str | None:
    """Return what a token lacks for a scope to mean anything, or None."""
    needed = {Scope.OWN: person, Scope.GROUP: tuple(groups), Scope.DEPARTMENT: department}
    names = {Scope.OWN: "person", Scope.GROUP: "group", Scope.DEPARTMENT: "department"}
    return names[scope] if scope in needed and not needed[scope] else None


def publisher_problem(name: str, source: str, may: Iterable[str]) -> str | None:
    """Return why a publisher cannot be called so, come from there or send these types; None when it can."""
    patterns = list(may)
    if not _NAME.fullmatch(name):
        return f"{name!r}: a name has small letters, digits and `-`, begins with a letter, at most 63 characters"
    if name in _RESERVED:
        return f"{name!r} is taken by Liaison itself"
    if wrong := [pattern for pattern in patterns if not _PATTERN.fullmatch(pattern) or not is_short(pattern)]:
        return f"{wrong[0]!r} is not a pattern: words of letters, digits, `_` and `-` with dots; `*` only as the end"
    if not patterns:
        return "a publisher needs at least one pattern of types that it may send"
    return _source_problem(source)


def _source_problem(source: str) -> str | None:
    if not source or not is_short(source) or not source.isprintable() or " " in source:
        return f"{source!r} is not a source: a URI reference of at most {MAX_NAME_BYTES} bytes"
    if source == "/liaison" or source.startswith("/liaison/"):
        return f"{source!r}: sources under /liaison are Liaison's own"
    return None


def is_short(name: str) -> bool:
    """Tell whether a name is not too long; Chinese ones take three bytes a character."""
    return len(name.encode()) <= MAX_NAME_BYTES


def is_type(name: str) -> bool:
    """Tell whether a name can be a type at all: words of ASCII letters, digits, `_` and `-` with dots."""
    return _TYPE.fullmatch(name) is not None


def may_send(patterns: Iterable[str], event_type: str) -> bool:
    """Tell whether patterns cover a type. `*` at the end stands for one or more words."""
    return is_type(event_type) and any(_covers(pattern, event_type) for pattern in patterns)


def _covers(pattern: str, event_type: str) -> bool:
    return event_type.startswith(pattern[:-1]) if pattern.endswith(".*") else event_type == pattern


def overlap(one: str, other: str) -> bool:
    """Tell whether some type is covered by both patterns."""
    # A pattern that ends in `*` behaves like the prefix before it; of two prefixes one must begin with the other.
    first, second = one.removesuffix("*"), other.removesuffix("*")
    if one.endswith(".*") and other.endswith(".*"):
        return first.startswith(second) or second.startswith(first)
    return _covers(one, other) or _covers(other, one)


def broker_pattern(patterns: Iterable[str]) -> str:
    """Return the regular expression of routing keys for the broker's topic permission; it means what `may_send` does.

    `\\z` and not `$`, which would let a key with a line feed at its end through.
    """
    parts = []
    for pattern in patterns:
        fixed = re.escape(pattern.removesuffix(".*"))
        parts.append(rf"{fixed}(\.{_WORD})+" if pattern.endswith(".*") else fixed)
    return rf"\A({'|'.join(parts)})\z"
