"""What the gateway may ask of tickets: arguments checked, scope enforced, answers as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from contracts.fact import Moment
from contracts.gateway import TicketRequested, TicketUpdateRequested
from contracts.tickets import Voice
from contracts.words import TicketState
from eventkit.arguments import checked
from eventkit.errors import NotFound, RuleBroken
from services.tickets import opening, rules, usecases
from services.tickets.relations.quick_texts import filled_in
from services.tickets.rules import FINISHED
from services.tickets.sla.policy import Policy
from services.tickets.telling import called

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore

_SHOWN = [
    "number",
    "title",
    "description",
    "state",
    "priority",
    "channel",
    "requester",
    "assignee",
    "region",
    "department",
    "category",
    "subcategory",
    "opened_at",
    "responded_at",
    "resolved_at",
    "closed_at",
    "due_response_at",
    "due_next_response_at",
    "due_solution_at",
    "due_next_at",
    "reopen_count",
    "occurrences",
    "externalref",
    "solution",
    "request_type",
    "fields",
    "secrecy",
    "support_level",
    "mail_from",
]
#: The due moments that everybody sees; what else is due next is a level of support's own.
_DUE_TO_ALL = ("due_response_at", "due_next_response_at", "due_solution_at")
MAX_PAGE = 200


class _Period(msgspec.Struct, frozen=True):
    """A span of time; its end does not belong to it."""

    begin_at: Moment
    end_at: Moment


def shown(row: Mapping[str, Any], scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ticket as callers of a scope see it."""
    answer = {name: row[name] for name in _SHOWN}
    if rules.is_outsider(row, scope) and row["due_next_at"] not in [row[name] for name in _DUE_TO_ALL]:
        answer["due_next_at"] = None
    return answer | {"group": row["group_name"], "state_text": rules.state_text(TicketState(row["state"]))}


def open_ticket(store: TicketStore, policy: Policy, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Open a ticket and return it. Raises RuleBroken naming the field."""
    request = checked(TicketRequested, arguments)
    scope = arguments.get("scope") or {}
    if scope.get("kind") == "own" and request.requester not in (None, scope.get("person")):
        raise RuleBroken("only for yourself; a specialist may ask for somebody else", field="requester")
    if request.requester is None and scope.get("kind") == "own":
        request = msgspec.structs.replace(request, requester=scope.get("person"))
    number = opening.open_ticket(
        store,
        policy,
        request,
        called(store, actor),
        source=f"call {actor or ''}",
        externalref=arguments.get("externalref"),
    )
    return shown(visible(store, {"number": number, "scope": {"kind": "all"}}), scope)


def get_ticket(store: TicketStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ticket. Raises NotFound also when the caller may not see it."""
    scope = arguments.get("scope") or {}
    return shown(visible(store, arguments), scope)


def list_tickets(store: TicketStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a page of the tickets that the caller may see, and the cursor of the next page; see `listing`."""
    limit = min(max(int(arguments.get("limit") or 50), 1), MAX_PAGE)
    scope = arguments.get("scope") or {}
    page = store.page_of(scope, arguments, limit)
    return {"items": [shown(row, scope) for row in page.rows], "next_cursor": page.next_cursor}


def statistics(store: TicketStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a period (T6). Raises RuleBroken for moments that are none, or a period that ends first."""
    period = checked(_Period, arguments)
    if period.end_at <= period.begin_at:
        raise RuleBroken("must be after the begin", field="end_at")
    figures = store.statistics(arguments.get("scope") or {}, period.begin_at, period.end_at)
    return msgspec.structs.asdict(period) | figures


def bring_to(
    store: TicketStore,
    policy: Policy,
    arguments: Mapping[str, Any],
    actor: str | None,
    state: TicketState,
    *,
    reopening: bool = False,
) -> dict[str, Any]:
    """Respond to, resolve, reopen or close a ticket and return it. Raises RuleBroken for an impossible step."""
    scope = arguments.get("scope") or {}
    is_requesters_step = reopening or state is TicketState.CLOSED
    row = within(store, arguments) if is_requesters_step else workable(store, arguments)
    _check_step(TicketState(row["state"]), state, reopening=reopening)
    said = arguments.get("comment") or arguments.get("reason")
    wish = {"state": state, "comment": said, "solution": arguments.get("solution")}
    request = checked(TicketUpdateRequested, {name: value for name, value in wish.items() if value is not None})
    change, voice = called(store, actor), rules.voice_in(row, scope, actor)
    return shown(usecases.change_ticket(store, policy, row, request, change, voice=voice), scope)


def comment(store: TicketStore, policy: Policy, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Write a comment and return the ticket. Raises RuleBroken for an internal one that is not the desk's."""
    scope = arguments.get("scope") or {}
    row = visible(store, arguments)
    is_public = bool(arguments.get("public", True))
    voice = rules.voice_in(row, scope, actor)
    if voice is not Voice.DESK and not is_public:
        raise RuleBroken("only the desk's comments may be internal", field="public")
    body = filled_in(store, arguments["quick_text"], row) if arguments.get("quick_text") else arguments.get("body")
    if not body:
        raise RuleBroken("is empty", field="body")
    checked(TicketUpdateRequested, {"comment": body})
    change = called(store, actor)
    row = usecases.comment_on(store, policy, row, body, change, voice=voice, is_public=is_public)
    return shown(row, scope)


def change(store: TicketStore, policy: Policy, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Change a ticket's fields, holder or state, and return it. Raises RuleBroken naming the field."""
    row = within(store, arguments)
    given = {name: value for name, value in arguments.items() if name not in ("scope", "number")}
    request = checked(TicketUpdateRequested, given)
    if request.state in FINISHED or (request.state is not None and TicketState(row["state"]) in FINISHED):
        raise RuleBroken("is resolved, closed and reopened by the commands for that", field="state")
    row = usecases.change_ticket(store, policy, row, request, called(store, actor))
    return shown(row, arguments.get("scope") or {})


def comments(store: TicketStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ticket's comments, oldest first; internal ones only for the desk's people."""
    scope = arguments.get("scope") or {}
    row = visible(store, arguments)
    return {"items": store.comments_of(row["number"], public_only=rules.is_outsider(row, scope))}


def changes(store: TicketStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return who changed what, when and why (S4), oldest first."""
    row = visible(store, arguments)
    return {"items": store.changes_of(row["number"])}


def _check_step(before: TicketState, state: TicketState, *, reopening: bool) -> None:
    finished = before in FINISHED
    if reopening != finished and state is TicketState.IN_PROGRESS:
        reason = "only a resolved or closed ticket can be reopened" if reopening else "the ticket must be reopened"
        raise RuleBroken(reason, field="state")
    if state is TicketState.IN_PROGRESS and before is TicketState.IN_PROGRESS:
        raise RuleBroken("somebody has responded already", field="state")
    if state is TicketState.RESOLVED and finished:
        raise RuleBroken(f"the ticket is {rules.state_text(before)} already", field="state")
    if state is TicketState.CLOSED and before is not TicketState.RESOLVED:
        raise RuleBroken("only a resolved ticket can be closed", field="state")


def visible(store: TicketStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ticket that a caller names. Raises NotFound also when they may not see it."""
    row = store.tickets.get(arguments["number"])
    if row is None or not rules.is_visible(row, arguments.get("scope") or {}):
        raise NotFound(f"no ticket {arguments['number']}", field="number")
    return row


def workable(store: TicketStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ticket that a caller wants to do the desk's work on. Raises RuleBroken when they may not."""
    row = within(store, arguments)
    if not rules.may_work_on(row, arguments.get("scope") or {}):
        raise RuleBroken("only for whoever holds the ticket", field="number")
    return row


def within(store: TicketStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ticket that a caller may change. Raises NotFound, and RuleBroken for one that they only watch."""
    row = visible(store, arguments)
    if not rules.is_within(row, arguments.get("scope") or {}):
        raise RuleBroken("who only watches a ticket does not change it", field="number")
    return row
