"""What the tickets service does: load, decide by the rules, save, tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.gateway import TicketUpdateRequested
from contracts.tickets import (
    TicketChanged,
    TicketClosed,
    TicketCommented,
    TicketPaused,
    TicketReopened,
    TicketResolved,
    TicketResponded,
    TicketResumed,
    Voice,
)
from contracts.words import Secrecy, TicketState
from eventkit.envelope import new_id
from eventkit.errors import BadMessage, RuleBroken
from services.tickets import rules
from services.tickets.closing.waiting import cycle_of, expect_answer, expect_no_answer
from services.tickets.duty import usecases as duty
from services.tickets.relations.children import open_children
from services.tickets.rules import AWAITING, FINISHED, VENDOR
from services.tickets.sla import usecases as sla
from services.tickets.sla.policy import Policy
from services.tickets.telling import Change, Row, begun, tell

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore


_CHANGEABLE = ("priority", "impact", "urgency", "category", "subcategory", "problem_code", "secrecy")


def request_key(source: str, externalref: str | None) -> str | None:
    """Return what makes two requests the same one: the publisher's own key."""
    return f"{source} {externalref}" if externalref else None


def still_here(store: TicketStore, employee_number: str | None) -> str | None:
    """Return somebody who may hold a ticket; None for one who is known to have left."""
    person = store.people.get(employee_number) if employee_number else None
    return None if person is not None and not person["active"] else employee_number


def update_ticket(
    store: TicketStore,
    policy: Policy,
    request: TicketUpdateRequested,
    change: Change,
    *,
    source: str,
    externalref: str | None,
) -> None:
    """Change a ticket as another system asks. Raises BadMessage when there is no such ticket."""
    row = ticket_meant(store, request, source=source, externalref=externalref)
    if row is None:
        named = request.number or externalref
        raise BadMessage(f"no ticket {named!r}", field="number" if request.number else "externalref")
    change_ticket(store, policy, row, request, change)


def ticket_meant(
    store: TicketStore, request: TicketUpdateRequested, *, source: str, externalref: str | None
) -> Row | None:
    """Return the ticket that a change is about: by its number, else by the key of the request for it."""
    return store.tickets.get(request.number) if request.number else store.ticket_of(request_key(source, externalref))


def change_ticket(
    store: TicketStore,
    policy: Policy,
    row: Row,
    request: TicketUpdateRequested,
    change: Change,
    *,
    voice: Voice | None = None,
) -> Row:
    """Apply a change: misses up to now first, then fields, priority, holder, comment and state, in this order.

    With a reopening, the comment comes last: the desk is to answer it. voice: whose word the comment is; None: as what
    is known of the actor says.
    """
    row, change = begun(store, row, change)
    sla.record_misses(store, policy, row, change)
    row = _change_fields(store, policy, row, request, change)
    row = _change_holder(store, policy, row, request, change)
    reopens = row["state"] in FINISHED and request.state not in (None, TicketState.OTHER, *FINISHED)
    said = None
    if request.comment:
        said = Said(request.comment, voice or voice_of(store, row, change.actor), reopens=reopens)
    if said and not reopens:
        row = _comment(store, policy, row, said, change)
    if request.solution is not None:
        row = store.tickets.change(row, solution=request.solution)
    if request.state is None or request.state is TicketState.OTHER:
        return row
    if request.resolved_by:
        row = store.tickets.change(row, resolved_by=request.resolved_by)
    row = enter(store, policy, row, request.state, change, said=said)
    return _comment(store, policy, row, said, change) if said and reopens else row


def refuse(store: TicketStore, policy: Policy, row: Row, change: Change, *, reason: str) -> Row:
    """Reopen a ticket because its requester refuses the solution; the desk is to answer what they say."""
    row, change = begun(store, row, change)
    said = Said(reason, Voice.REQUESTER, reopens=True)
    row = enter(store, policy, row, TicketState.IN_PROGRESS, change, reason="refused by the requester", said=said)
    return _comment(store, policy, row, said, change)


def _change_fields(store: TicketStore, policy: Policy, row: Row, request: TicketUpdateRequested, change: Change) -> Row:
    changed = {
        name: value
        for name in _CHANGEABLE
        if (value := getattr(request, name)) is not None and value != row[name] and value is not Secrecy.OTHER
    }
    if request.priority is None and {"impact", "urgency"} & changed.keys():
        judged = {**row, **changed}
        priority = policy.priority_of(None, judged["impact"], judged["urgency"])
        changed |= {"priority": priority} if priority != row["priority"] else {}
    if not changed:
        return row
    for name, value in changed.items():
        store.note(row["number"], change, name, before=_text(row[name]), after=_text(value))
    row = store.tickets.change(row, **changed)
    if sla.is_matched(changed):
        row = sla.restate(store, policy, row, change)
    tell(store, TicketChanged, row, policy, change, changed=tuple(changed), occurrences=row["occurrences"])
    return row


def _change_holder(store: TicketStore, policy: Policy, row: Row, request: TicketUpdateRequested, change: Change) -> Row:
    group = None if request.ungrouped else request.group or row["group_name"]
    assignee = None if request.unassigned else request.assignee or row["assignee"]
    has_left = bool(request.assignee) and still_here(store, request.assignee) is None
    if has_left and row["state"] not in FINISHED and not change.history:
        row = duty.assign_as_asked(store, policy, row, group, row["assignee"], change, reason="asked for")
        return duty.pass_on(store, policy, row, change, reason="the one asked for has left")
    reason = "asked for" if assignee else "nobody named"
    return duty.assign_as_asked(store, policy, row, group, assignee, change, reason=reason)


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody says on a ticket. reopens: it is why a solution is refused."""

    body: str
    voice: Voice
    is_public: bool = True
    reopens: bool = False


def voice_of(store: TicketStore, row: Row, actor: str | None) -> Voice:
    """Return whose word another system or a mail passes on: what nobody is named for starts and stops nothing."""
    if actor is None:
        return Voice.SYSTEM
    if actor == row["requester"]:
        return Voice.REQUESTER
    person = store.people.get(actor)
    is_of_desk = actor == row["assignee"] or (person is not None and person["is_engineer"])
    return Voice.DESK if is_of_desk else Voice.SYSTEM


def comment_on(
    store: TicketStore, policy: Policy, row: Row, body: str, change: Change, *, voice: Voice, is_public: bool = True
) -> Row:
    """Write a comment. What the desk says is a response; what the requester says ends the waiting for them."""
    row, change = begun(store, row, change)
    sla.record_misses(store, policy, row, change)
    return _comment(store, policy, row, Said(body, voice, is_public), change)


def _comment(store: TicketStore, policy: Policy, row: Row, said: Said, change: Change) -> Row:
    comment = {"id": new_id(), "body": said.body, "is_public": said.is_public}
    store.add_comment(number=row["number"], at=change.moment, actor=change.actor, **comment)
    tell(
        store,
        TicketCommented,
        row,
        policy,
        change,
        comment_id=comment["id"],
        public=said.is_public,
        voice=said.voice,
        text=said.body if said.is_public else "",
        cycle=cycle_of(row),
        reopens=said.reopens,
    )
    return _heard(store, policy, row, said.voice, change) if said.is_public else row


def _heard(store: TicketStore, policy: Policy, row: Row, voice: Voice, change: Change) -> Row:
    """Do what a word that both sides read means for the ticket and its clocks."""
    if row["state"] in FINISHED:
        _heard_after_solution(store, policy, row, change, voice)
        return row
    if voice is Voice.REQUESTER:
        if row["state"] == TicketState.AWAITING_USER:
            row = enter(store, policy, row, TicketState.IN_PROGRESS, change)
        return sla.requester_wrote(store, policy, row, change)
    if voice is Voice.DESK:
        if row["state"] == TicketState.NEW:
            return enter(store, policy, row, TicketState.IN_PROGRESS, change)
        answered = _respond if row["responded_at"] is None else sla.desk_answered
        return answered(store, policy, row, change)
    return row


def _heard_after_solution(store: TicketStore, policy: Policy, row: Row, change: Change, voice: Voice) -> None:
    """Take a requester who writes about a solution for no silent one, until the desk has answered them."""
    if row["state"] != TicketState.RESOLVED or change.history:
        return
    if voice is Voice.REQUESTER:
        expect_no_answer(store, row)
    elif voice is Voice.DESK:
        expect_answer(store, policy, row, change)


def enter(
    store: TicketStore,
    policy: Policy,
    row: Row,
    state: TicketState,
    change: Change,
    *,
    reason: str = "",
    said: Said | None = None,
) -> Row:
    """Bring a ticket into a state, with its clocks, and tell what that means; the state it has changes nothing.

    said: by whoever brings it there.
    Raises RuleBroken for a step that no ticket takes; another desk's log, which is history, may leave steps out.
    """
    before = TicketState(row["state"])
    if state is before:
        return row
    if not change.history and (problem := rules.step_problem(before, state)):
        raise RuleBroken(problem, field="state")
    if state in FINISHED and not change.history:
        _check_children(store, row)
    row, change = begun(store, row, change)
    told = {"before": str(before), "after": str(state), "reason": reason}
    store.note(row["number"], change, "state", **told)
    reopening = before in FINISHED and state not in FINISHED
    if reopening:
        row = _reopen(store, policy, row, change, said)
    row = store.tickets.change(row, state=state, state_since=change.moment)
    if reopening and not change.history:
        row = _take_up_again(store, policy, row, change)
    if row["responded_at"] is None and _is_response(row, state):
        row = _respond(store, policy, row, change)
    row = sla.follow_state(store, policy, row, change)
    if state in AWAITING:
        tell(store, TicketPaused, row, policy, change, previous_state=before)
    elif before in AWAITING and state not in FINISHED:
        tell(store, TicketResumed, row, policy, change, previous_state=before)
    return _finish(store, policy, row, before, change)


def _take_up_again(store: TicketStore, policy: Policy, row: Row, change: Change) -> Row:
    """Give a reopened ticket an internal target again, and another holder when its own has left."""
    row = sla.begin_support(store, policy, row, change)
    if still_here(store, row["assignee"]) is None:
        row = duty.pass_on(store, policy, row, change, reason="reopened and the holder left")
    return row


def close_as_duplicate(store: TicketStore, policy: Policy, row: Row, change: Change, *, of: str) -> Row:
    """Close a ticket for which another one stands: nothing was solved or answered, and its clocks have no outcome."""
    _check_children(store, row)
    row, change = begun(store, row, change)
    sla.record_misses(store, policy, row, change)
    reason = f"merged into {of}"
    told = {"before": row["state"], "after": str(TicketState.CLOSED), "reason": reason}
    store.note(row["number"], change, "state", **told)
    row = sla.end_clocks(store, policy, row, change, reason=reason)
    row = store.tickets.change(row, state=TicketState.CLOSED, state_since=change.moment)
    return _close(store, policy, _let_go(store, policy, row, change), change, merged_into=of)


def _check_children(store: TicketStore, row: Row) -> None:
    if children := open_children(store, row):
        raise RuleBroken(f"its children are not finished: {', '.join(children)}", field="state")


def _is_response(row: Row, state: TicketState) -> bool:
    """Tell whether somebody has taken a ticket up with this state; who only sends it on to the vendor has not."""
    is_sent_on = state is TicketState.AWAITING_VENDOR and row["support_level"] == VENDOR
    return state is not TicketState.NEW and not is_sent_on


def _finish(store: TicketStore, policy: Policy, row: Row, before: TicketState, change: Change) -> Row:
    """Do what being resolved and being closed mean, and begin or end the wait for the requester's answer."""
    state = row["state"]
    if state in FINISHED and before not in FINISHED:
        row = _resolve(store, policy, _let_go(store, policy, row, change), change)
    if state == TicketState.RESOLVED:
        expect_answer(store, policy, row, change)
    elif before is TicketState.RESOLVED and not change.history:
        expect_no_answer(store, row)
    if state == TicketState.CLOSED:
        row = _close(store, policy, row, change)
    return row


def _close(store: TicketStore, policy: Policy, row: Row, change: Change, *, merged_into: str | None = None) -> Row:
    row = store.tickets.change(row, closed_at=change.moment)
    tell(store, TicketClosed, row, policy, change, closed_at=change.moment, merged_into=merged_into)
    return row


def _respond(store: TicketStore, policy: Policy, row: Row, change: Change) -> Row:
    row = store.tickets.change(row, responded_at=change.moment)
    row = sla.desk_answered(store, policy, row, change)
    tell(store, TicketResponded, row, policy, change, responded_at=change.moment)
    return row


def _let_go(store: TicketStore, policy: Policy, row: Row, change: Change) -> Row:
    """Do what it means that nobody has to work on a ticket any more."""
    store.duty.moved(row["assignee"], None)
    if row["group_name"] and not change.history:
        duty.freed(store, policy, row["group_name"])
    return store.tickets.change(row, waits=False, open_fingerprint=None)


def _resolve(store: TicketStore, policy: Policy, row: Row, change: Change) -> Row:
    row = store.tickets.change(row, resolved_at=change.moment, resolved_by=row["resolved_by"] or row["assignee"])
    responded_at = row["responded_at"]
    tell(
        store,
        TicketResolved,
        row,
        policy,
        change,
        resolved_at=change.moment,
        resolved_by=row["resolved_by"],
        solution=row["solution"],
        cycle=row["reopen_count"] + 1,
        open_s=(change.moment - row["opened_at"]).total_seconds(),
        since_response_s=(change.moment - responded_at).total_seconds() if responded_at else None,
    )
    return row


def _reopen(store: TicketStore, policy: Policy, row: Row, change: Change, said: Said | None) -> Row:
    """Start the next cycle; what its solution clock is given, the service level says."""
    store.duty.moved(None, row["assignee"])
    count = row["reopen_count"] + 1
    row = store.tickets.change(
        row,
        reopen_count=count,
        resolved_at=None,
        resolved_by=None,
        closed_at=None,
        open_fingerprint=store.unclaimed(row["fingerprint"]),
    )
    row = sla.reopened(store, policy, row, change)
    reason = said.body if said else ""
    tell(store, TicketReopened, row, policy, change, reopened_at=change.moment, reopen_count=count, reason=reason)
    return row


def _text(value: object) -> str | None:
    return None if value is None else str(value)
