"""Putting files on tickets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from contracts.fact import Word
from contracts.gateway import AttachedFile
from services.tickets.telling import Change, Row

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore


class Level(Word):
    """Who may see an attachment (S6): the requester too, or the desk only."""

    PUBLIC = "public"
    INTERNAL = "internal"


def keep_all(store: TicketStore, number: str, files: Iterable[AttachedFile], change: Change) -> None:
    """Put the files that came with an event on a ticket; those that came before stay as they are."""
    for file in files:
        if store.attachments.get(file.id) is None:
            keep(store, number, file, Level.PUBLIC, change)


def keep(store: TicketStore, number: str, file: AttachedFile, level: Level, change: Change) -> Row:
    """Put a file on a ticket and note who did (S4)."""
    row = store.attachments.add(
        id=file.id,
        number=number,
        name=file.name,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        content_type=file.content_type,
        level=str(level),
        actor=change.actor,
        added_at=change.moment,
    )
    store.note(number, change, "attachment", after=file.name)
    return row
