"""Telling others about a ticket: every fact carries what its readers need to know of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from contracts.words import Secrecy
from services.tickets.sla.policy import Policy

if TYPE_CHECKING:
    from services.tickets.feedback.storage import FeedbackStore
    from services.tickets.storage import TicketStore

Row = dict[str, Any]
#: What facts tell in people's own words; of a sensitive ticket it stays here (S6).
_TEXTS = ("solution", "reason", "text")


class Via(StrEnum):
    """From where a change came (S4), unless an event brought it: then the event's source says."""

    HTTP = "http"
    PAGE = "page"  # the one behind a requester's link
    TIMER = "timer"
    COMMAND = "command"  # an operator's


@dataclass(frozen=True, slots=True)
class Change:
    """The circumstances of one change: when it counts, who did it, whether it is history being imported, from where."""

    moment: datetime
    actor: str | None = None
    history: bool = False
    via: str = field(kw_only=True)


def called(store: TicketStore | FeedbackStore, actor: str | None, *, via: Via = Via.HTTP) -> Change:
    """Return the circumstances of a change that a caller asks for now."""
    return Change(store.work.now, actor, via=via)


def fired(store: TicketStore) -> Change:
    """Return the circumstances of a change that a timer brings about now."""
    return Change(store.work.now, via=Via.TIMER)


def begun(store: TicketStore, row: Row, change: Change) -> tuple[Row, Change]:
    """Begin a change of a ticket: return its row, and the change at a moment that is never before the one before.

    The time of an event may be believed that lies a little ahead; what comes next must not seem to have come first.
    """
    change = replace(change, moment=max(change.moment, row["changed_at"]))
    return store.tickets.change(row, changed_at=change.moment), change


def tell(store: TicketStore, fact: Any, row: Row, policy: Policy, change: Change, **more: Any) -> None:
    """Announce a fact about a ticket, with what every reader needs to know of it."""
    sensitive = row["secrecy"] == Secrecy.SENSITIVE
    if sensitive:
        more |= {name: "" for name in _TEXTS if more.get(name)}
    data = fact(
        number=row["number"],
        title=f"敏感工单 {row['number']}" if sensitive else row["title"],
        state=row["state"],
        priority=row["priority"],
        channel=row["channel"],
        opened_at=row["opened_at"],
        requester=row["requester"],
        requester_known=row["requester_known"],
        assignee=row["assignee"],
        group=row["group_name"],
        group_lead=policy.group_leads.get(row["group_name"] or ""),
        region=row["region"],
        department=row["department"],
        category=row["category"],
        subcategory=row["subcategory"],
        problem_code=row["problem_code"],
        due_response_at=row["due_response_at"],
        due_solution_at=row["due_solution_at"],
        request_type=row["request_type"],
        secrecy=row["secrecy"],
        watchers=tuple(row["watchers"]),
        **more,
    )
    store.work.emit(data, subject=row["number"], time=change.moment, actor=change.actor, externalref=row["externalref"])
