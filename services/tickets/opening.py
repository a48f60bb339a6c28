"""A ticket is opened: what it is of, who is given it, and which clocks begin to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.gateway import TicketRequested
from contracts.tickets import TicketChanged, TicketOpened
from contracts.words import Secrecy, TicketState
from eventkit.errors import RuleBroken
from services.tickets import rules
from services.tickets.duty import usecases as duty
from services.tickets.relations.usecases import MOST_WATCHERS, watch
from services.tickets.request_types import RequestType, checked_fields
from services.tickets.sla import usecases as sla
from services.tickets.sla.policy import Policy
from services.tickets.telling import Change, Row, begun, tell
from services.tickets.usecases import enter, request_key, still_here

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore

_ANY_TYPE = RequestType("", {})
#: What every ticket begins with.
FRESH = {
    "solution": "",
    "reopen_count": 0,
    "next_response_cycle": 0,
    "occurrences": 1,
    "support_level": duty.SPECIALIST,
    "support_cycle": 0,
    "waits": False,
    "watchers": [],
}
#: What a ticket has as its request says it.
_TAKEN_OVER = (
    "title",
    "description",
    "impact",
    "urgency",
    "requester",
    "category",
    "subcategory",
    "problem_code",
    "request_type",
)


def open_ticket(
    store: TicketStore,
    policy: Policy,
    request: TicketRequested,
    change: Change,
    *,
    source: str,
    externalref: str | None = None,
) -> str:
    """Open a ticket and return its number; a second request for the same thing is an occurrence (T1).

    The same thing: the same externalref, or while the ticket is open the same fingerprint by the same way in, whoever
    asks. Raises RuleBroken naming the field when the request does not fit its type.
    """
    known = store.ticket_of(request_key(source, externalref)) or _same_thing(store, request, change)
    if known is not None:
        return _count_again(store, policy, known, request, change)
    row = _new_ticket(store, policy, request, change, source, externalref)
    row = sla.open_clocks(store, policy, row, change)
    if not change.history:
        row = _enter_support(store, policy, row, change)
    store.note(row["number"], change, "state", after=row["state"])
    store.note(row["number"], change, "group", after=row["group_name"])
    store.note(row["number"], change, "assignee", after=row["assignee"])
    kind = policy.request_types.get(row["request_type"] or "")
    tell(store, TicketOpened, row, policy, change, alarm=kind is not None and kind.alarm)
    if request.state not in (TicketState.NEW, TicketState.OTHER):
        row = enter(store, policy, row, request.state, change)
    return str(row["number"])


def _same_thing(store: TicketStore, request: TicketRequested, change: Change) -> Row | None:
    """Return the open ticket about what is asked for; a sensitive one of somebody else is not shown like that (S6)."""
    row = store.open_ticket_with(request_key(change.via, request.fingerprint))
    if row is not None and row["secrecy"] == Secrecy.SENSITIVE and row["requester"] != request.requester:
        return None
    return row


def _count_again(store: TicketStore, policy: Policy, known: Row, request: TicketRequested, change: Change) -> str:
    """Count another request for what a ticket is about; whoever else asks watches it from now on."""
    row, change = begun(store, known, change)
    row = store.tickets.change(row, occurrences=row["occurrences"] + 1)
    tell(store, TicketChanged, row, policy, change, changed=("occurrences",), occurrences=row["occurrences"])
    other = request.requester if request.requester != row["requester"] and not change.history else None
    if other and len(row["watchers"]) < MOST_WATCHERS:
        watch(store, policy, row, other, change)
    return str(row["number"])


def group_of(store: TicketStore, policy: Policy, request: TicketRequested) -> str | None:
    """Return the group that a request goes to: the one it names, its type's, or its region's (T3)."""
    if request.group:
        return request.group
    kind = policy.request_types.get(request.request_type or "", _ANY_TYPE)
    return kind.group or policy.group_of(_region_of(request, _requester(store, request)))


def department_of(store: TicketStore, request: TicketRequested) -> str | None:
    """Return the department that a request comes from: the one it names, or its requester's."""
    requester = _requester(store, request)
    return request.department or (requester["department"] if requester else None)


def _requester(store: TicketStore, request: TicketRequested) -> Row | None:
    return store.people.get(request.requester) if request.requester else None


def _region_of(request: TicketRequested, requester: Row | None) -> str | None:
    return request.region or (requester["region"] if requester else None)


def _enter_support(store: TicketStore, policy: Policy, row: Row, change: Change) -> Row:
    """Give a new ticket to the first level of support: its department's key user (T4), else the group's specialists."""
    if row["assignee"] is None and duty.KEY_USER in policy.support and row["department"]:
        row = duty.ask_key_users(store, policy, row, change)
    row = sla.begin_support(store, policy, row, change)
    return row if row["assignee"] else duty.place(store, policy, row, change)


def _new_ticket(
    store: TicketStore,
    policy: Policy,
    request: TicketRequested,
    change: Change,
    source: str,
    externalref: str | None,
) -> Row:
    kind = _type_of(policy, request)
    requester = _requester(store, request)
    group = request.group if change.history else group_of(store, policy, request)
    assignee = request.assignee if change.history else still_here(store, request.assignee)
    fingerprint = request_key(change.via, request.fingerprint)
    store.duty.moved(None, assignee)
    return store.tickets.add(
        number=rules.ticket_number(policy.year_of(change.moment), store.next_number()),
        request_key=request_key(source, externalref),
        externalref=externalref,
        state=TicketState.NEW,
        state_since=change.moment,
        priority=policy.priority_of(request.priority or kind.priority, request.impact, request.urgency),
        channel=str(request.channel),
        requester_known=requester is not None or (request.requester is None and request.mail_from is None),
        mail_from=None if request.requester else request.mail_from,
        assignee=assignee,
        group_name=group,
        region=_region_of(request, requester),
        department=department_of(store, request),
        opened_at=change.moment,
        changed_at=change.moment,
        history=change.history,
        fields=dict(request.fields),
        secrecy=str(request.secrecy or kind.secrecy or Secrecy.INTERNAL),
        fingerprint=fingerprint,
        open_fingerprint=store.unclaimed(fingerprint),
        **{name: getattr(request, name) for name in _TAKEN_OVER},
        **FRESH,
    )


def _type_of(policy: Policy, request: TicketRequested) -> RequestType:
    """Return a request's type, its own fields checked. Raises RuleBroken naming the field."""
    if request.request_type is None:
        if request.fields:
            raise RuleBroken("only a request type has fields of its own", field="fields")
        return _ANY_TYPE
    kind = policy.request_types.get(request.request_type)
    if kind is None:
        known = ", ".join(policy.request_types) or "none"
        raise RuleBroken(f"{request.request_type!r} is no request type: there are {known}", field="request_type")
    checked_fields(request.request_type, kind, request.fields)
    return kind
