"""The wait for a requester's answer to a solution."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from services.tickets.sla.policy import Policy
from services.tickets.sla.unpublished import warn_of
from services.tickets.telling import Change, Row

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore


def expect_answer(store: TicketStore, policy: Policy, row: Row, change: Change) -> None:
    """Wait for the requester's answer to a solution; silence for so many workdays closes the ticket."""
    if change.history:
        return
    calendar = policy.calendar(policy.closing.calendar, row["region"])
    due = calendar.due(change.moment, timedelta(seconds=policy.closing.silence.in_s(calendar)))
    # Without a pause, a target always falls due.
    assert due.at is not None
    warn_of(due.unpublished)
    payload = {"number": row["number"], "cycle": cycle_of(row)}
    store.work.arm("silence", key=row["number"], subject=row["number"], due_at=due.at, payload=payload)


def expect_no_answer(store: TicketStore, row: Row) -> None:
    """Wait no more: the requester has written, or the ticket was reopened or closed."""
    store.work.cancel("silence", key=row["number"])


def cycle_of(row: Row) -> int:
    """Return which solution of the ticket this is, from 1."""
    return int(row["reopen_count"]) + 1
