"""The rules of tickets: pure functions over values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.tickets import Voice
from contracts.words import Secrecy, TicketState

#: The last level of support (T4).
VENDOR = 4
FINISHED = frozenset({TicketState.RESOLVED, TicketState.CLOSED})
AWAITING = frozenset(
    {
        TicketState.AWAITING_USER,
        TicketState.AWAITING_PROBLEM,
        TicketState.AWAITING_VENDOR,
        TicketState.AWAITING_EVIDENCE,
    }
)
_WORKING = AWAITING | {TicketState.IN_PROGRESS}
_NEXT: Mapping[TicketState, frozenset[TicketState]] = {
    **dict.fromkeys((TicketState.NEW, *_WORKING), _WORKING | FINISHED),
    TicketState.RESOLVED: _WORKING | {TicketState.CLOSED},
    # What is closed is reopened before anything else can become of it.
    TicketState.CLOSED: _WORKING,
}


def step_problem(before: TicketState, after: TicketState) -> str | None:
    """Return why a ticket cannot go from one state to another; None when it can."""
    return None if after in _NEXT[before] else f"a ticket that is {before} cannot become {after}"


def is_begun(state: TicketState | str) -> bool:
    """Tell whether a ticket's holder has worked on it."""
    return state != TicketState.NEW


def is_visible(ticket: Mapping[str, Any], scope: Mapping[str, Any]) -> bool:
    """Tell whether a caller of this scope may see the ticket: it is within, or watched and not sensitive."""
    watches = scope.get("kind") in ("own", "group") and scope.get("person") in ticket["watchers"]
    return (watches and ticket["secrecy"] != Secrecy.SENSITIVE) or is_within(ticket, scope)


def is_within(ticket: Mapping[str, Any], scope: Mapping[str, Any]) -> bool:
    """Tell whether a caller's scope holds the ticket; an unknown scope holds nothing (deny by default)."""
    person, department = scope.get("person"), scope.get("department")
    is_own = person is not None and person in (ticket["requester"], ticket["assignee"])
    match scope.get("kind"):
        case "all":
            return True
        case "own":
            return is_own
        case "group":
            return is_own or ticket["group_name"] in (scope.get("groups") or ())
        case "department":
            return department is not None and ticket["department"] == department
    return False


def may_work_on(ticket: Mapping[str, Any], scope: Mapping[str, Any]) -> bool:
    """Tell whether a caller may do the desk's work on a ticket of theirs: with their own rights only as assignee."""
    return is_within(ticket, scope) and (scope.get("kind") != "own" or scope.get("person") == ticket["assignee"])


def is_outsider(ticket: Mapping[str, Any], scope: Mapping[str, Any]) -> bool:
    """Tell whether what the desk keeps to itself is kept from a caller who sees the ticket."""
    is_requester = scope.get("person") is not None and scope.get("person") == ticket["requester"]
    return is_requester or not may_work_on(ticket, scope)


def voice_in(ticket: Mapping[str, Any], scope: Mapping[str, Any], actor: str | None) -> Voice:
    """Return whose word a caller's is: the desk's when they hold the ticket, or look after a group's or all of them.

    What somebody says who only watches starts and stops nothing.
    """
    if actor is not None and actor == ticket["requester"]:
        return Voice.REQUESTER
    if not is_within(ticket, scope):
        return Voice.SYSTEM
    holds = actor is not None and actor == ticket["assignee"]
    return Voice.DESK if holds or scope.get("kind") in ("group", "all") else Voice.REQUESTER


def state_text(state: TicketState) -> str:
    """Return what people see of a state (T5)."""
    if state in FINISHED:
        return "已解决"
    return "待处理" if state is TicketState.NEW else "处理中"


def ticket_number(year: int, running: int) -> str:
    """Return a ticket's number, such as T2026-000123. year: as the desk's own clock shows it."""
    return f"T{year}-{running:06d}"
