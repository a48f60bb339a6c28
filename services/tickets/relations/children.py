"""The children of a ticket, which must be finished before it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.tickets.relations.links import LinkKind
from services.tickets.rules import FINISHED
from services.tickets.telling import Row

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore


def open_children(store: TicketStore, row: Row) -> list[str]:
    """Return the children of a ticket that are not finished; while there are any, it is neither resolved nor closed."""
    children = store.relations.sources_of(row["number"], LinkKind.CHILD_OF)
    rows = (store.tickets.get(one) for one in children)
    return [one["number"] for one in rows if one is not None and one["state"] not in FINISHED]
