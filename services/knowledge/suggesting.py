"""Articles suggested when a ticket is opened (K5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contracts.knowledge import AnswerSuggested, SuggestedFor
from contracts.tickets import TicketOpened
from eventkit.envelope import Event
from services.knowledge import rules
from services.knowledge.rules import Found

if TYPE_CHECKING:
    from eventkit.timers import Timer
    from services.knowledge.storage import KnowledgeStore


def look_for(store: KnowledgeStore, event: Event[TicketOpened]) -> None:
    """Have articles looked for. History gets none: nobody waits for them."""
    ticket = event.data
    if not event.history:
        payload = {"title": ticket.title, "code": ticket.problem_code, "person": ticket.requester}
        store.work.job("suggest", key=ticket.number, subject=ticket.number, payload=payload)


def tell(store: KnowledgeStore, job: Timer, found: Sequence[Found] | None, url: str) -> None:
    """Tell what was found, once for each ticket; that is nothing when the search did not answer (found is None)."""
    store.work.emit(
        AnswerSuggested(
            suggested_for=SuggestedFor.TICKET,
            about_subject=job.subject,
            person=job.payload["person"],
            suggestions=rules.suggestions(found or (), url),
            searched=found is not None,
        ),
        subject=job.subject,
    )
