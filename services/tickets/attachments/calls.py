"""What the gateway may ask about attachments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from contracts.gateway import AttachedFile
from eventkit.arguments import checked
from eventkit.errors import NotFound, RuleBroken
from services.tickets import calls, rules
from services.tickets.attachments.usecases import Level, keep
from services.tickets.telling import Row, begun, called

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore

#: A ticket with more is a folder.
MAX_FILES = 200
_SHOWN = ("id", "name", "size_bytes", "sha256", "content_type", "level", "actor", "added_at")


def add_attachment(store: TicketStore, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Put a file on a ticket and return it. Raises RuleBroken for an internal one of the ticket's requester."""
    scope = arguments.get("scope") or {}
    row = calls.visible(store, arguments)
    file = checked(AttachedFile, arguments)
    level = Level(arguments.get("level", Level.PUBLIC))
    if level is Level.INTERNAL and rules.is_outsider(row, scope):
        raise RuleBroken("a requester's attachment is public", field="level")
    if len(store.attachments.of_ticket(row["number"])) >= MAX_FILES:
        raise RuleBroken(f"a ticket has at most {MAX_FILES} attachments", field="number")
    _, change = begun(store, row, called(store, actor))
    return _shown(keep(store, row["number"], file, level, change))


def ticket_attachments(store: TicketStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ticket's attachments, oldest first; internal ones only for the desk's people."""
    scope = arguments.get("scope") or {}
    row = calls.visible(store, arguments)
    found = store.attachments.of_ticket(row["number"])
    return {"items": [_shown(one) for one in found if _may_see(one, row, scope)]}


def get_attachment(store: TicketStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return one attachment. Raises NotFound also when the caller may not see it."""
    scope = arguments.get("scope") or {}
    row = calls.visible(store, arguments)
    found = store.attachments.get(str(arguments["attachment_id"]))
    if found is None or found["number"] != row["number"] or not _may_see(found, row, scope):
        raise NotFound("no such attachment", field="attachment_id")
    return _shown(found)


def _may_see(found: Row, ticket: Row, scope: Mapping[str, Any]) -> bool:
    return found["level"] == Level.PUBLIC or not rules.is_outsider(ticket, scope)


def _shown(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in _SHOWN}
