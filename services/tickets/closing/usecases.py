"""A solution's answer: confirmed with a rating, refused with a reason, or silence. Each is taken once per solution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.gateway import TicketRequested
from contracts.tickets import SurveyAnswered, Voice
from contracts.words import Channel, TicketState
from eventkit.errors import RuleBroken
from services.tickets import opening, usecases
from services.tickets.closing.waiting import cycle_of
from services.tickets.sla.policy import Policy
from services.tickets.telling import Change, Row, begun, tell

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore


def silence(store: TicketStore, policy: Policy, number: str, cycle: int, change: Change) -> None:
    """Close a ticket whose requester has not answered in time."""
    row = store.tickets.get(number)
    if row is None or row["state"] != TicketState.RESOLVED or cycle_of(row) != cycle:
        return
    usecases.enter(store, policy, row, TicketState.CLOSED, change, reason="no answer to the solution")


def confirm(store: TicketStore, policy: Policy, row: Row, change: Change, *, rating: int | None, comment: str) -> Row:
    """Close a resolved ticket because its requester says so, perhaps with a rating from 1 (worst) to 5 (best).

    What they say belongs to the rating; without one it is a comment.
    Raises RuleBroken when the solution has been answered already, and when somebody rates their own work.
    """
    if row["state"] != TicketState.RESOLVED:
        raise RuleBroken("there is no solution to confirm, or it has been answered already", field="state")
    if rating is not None and change.actor in (row["assignee"], row["resolved_by"]):
        raise RuleBroken("nobody rates their own work", field="rating")
    row, change = begun(store, row, change)
    cycle = cycle_of(row)
    if rating is not None:
        follow_up = (
            _follow_up(store, policy, row, change, rating) if rating <= policy.closing.follow_up_at_most else None
        )
        store.surveys.add(
            id=f"{row['number']}/{cycle}",
            number=row["number"],
            cycle=cycle,
            person=change.actor,
            rating=rating,
            comment=comment,
            answered_at=change.moment,
            follow_up=follow_up,
        )
        answered = {"cycle": cycle, "rating": rating, "commented": bool(comment), "follow_up": follow_up}
        tell(store, SurveyAnswered, row, policy, change, **answered)
    elif comment:
        row = usecases.comment_on(store, policy, row, comment, change, voice=Voice.REQUESTER)
    return usecases.enter(store, policy, row, TicketState.CLOSED, change, reason="confirmed by the requester")


def refuse(store: TicketStore, policy: Policy, row: Row, change: Change, *, reason: str) -> Row:
    """Reopen a resolved ticket because its solution did not help. Raises RuleBroken when that was answered already."""
    if row["state"] != TicketState.RESOLVED:
        raise RuleBroken("there is no solution to refuse, or it has been answered already", field="state")
    return usecases.refuse(store, policy, row, change, reason=reason)


def _follow_up(store: TicketStore, policy: Policy, row: Row, change: Change, rating: int) -> str:
    """Open a ticket about a low rating, with clocks of its own, for the lead of the group that solved it."""
    lead = policy.group_leads.get(row["group_name"] or "")
    request = TicketRequested(
        title=f"低分回访:{row['number']}(评分 {rating})",
        requester=row["requester"],
        channel=Channel.SPECIALIST,
        category="回访",
        problem_code=row["problem_code"],
        region=row["region"],
        department=row["department"],
        group=row["group_name"],
        assignee=lead if lead != row["requester"] else None,
    )
    key = f"{row['number']}/{cycle_of(row)}"
    return opening.open_ticket(store, policy, request, change, source="follow-up", externalref=key)
