"""What becomes of a mail: a ticket of its sender's, or a comment by somebody who may write one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from contracts.gateway import TicketRequested, TicketUpdateRequested
from contracts.words import Channel
from services.tickets import opening, usecases
from services.tickets.attachments.usecases import keep_all
from services.tickets.relations.links import LinkKind
from services.tickets.rules import FINISHED
from services.tickets.sla.policy import Policy
from services.tickets.telling import Change, Row, begun

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore

#: Merges form no circle; so many in a row are none either.
_MOST_MERGES = 20


def open_ticket(
    store: TicketStore,
    policy: Policy,
    request: TicketRequested,
    change: Change,
    *,
    source: str,
    externalref: str | None,
) -> str:
    """Open a ticket in the name of whoever is known by the sender's address, with what was attached."""
    if request.mail_from and request.requester is None:
        sender = store.senders.person_at(request.mail_from)
        request = msgspec.structs.replace(request, mail_from=request.mail_from.lower())
        if sender is not None:
            request = msgspec.structs.replace(request, requester=sender["employee_number"])
            change = replace(change, actor=sender["employee_number"])
    number = opening.open_ticket(store, policy, request, change, source=source, externalref=externalref)
    keep_all(store, number, request.attachments, change)
    return number


def take_reply(
    store: TicketStore,
    policy: Policy,
    request: TicketUpdateRequested,
    change: Change,
    *,
    source: str,
    externalref: str | None,
    mail_id: str,
) -> str:
    """Write a comment for the requester, the holder or an engineer; anybody else's words are a ticket of their own.

    externalref: without a number, of the mail that asked for the ticket. mail_id: of this one.
    """
    sender = store.senders.person_at(request.mail_from or "")
    row = usecases.ticket_meant(store, request, source=source, externalref=externalref)
    if row is None or sender is None or not _may_write(row, sender):
        asked = TicketRequested(
            title=request.title or request.number or "—",
            description=request.comment or "",
            channel=Channel.MAIL,
            mail_from=request.mail_from,
            attachments=request.attachments,
        )
        return open_ticket(store, policy, asked, change, source=source, externalref=mail_id)
    # Whoever answers about a ticket that was merged speaks as they did on it.
    voice = usecases.voice_of(store, row, sender["employee_number"])
    row = _living(store, row)
    row, change = begun(store, row, replace(change, actor=sender["employee_number"]))
    # A mail may say all that it has to say in a picture.
    if said := request.comment or "、".join(file.name for file in request.attachments):
        row = usecases.comment_on(store, policy, row, said, change, voice=voice)
    keep_all(store, row["number"], request.attachments, change)
    return str(row["number"])


def _living(store: TicketStore, row: Row) -> Row:
    """Return the ticket into which one was merged, perhaps by way of others; every other ticket is itself."""
    for _ in range(_MOST_MERGES):
        into = store.relations.targets_of(row["number"], LinkKind.DUPLICATE_OF) if row["state"] in FINISHED else []
        found = store.tickets.get(into[0]) if into else None
        if found is None:
            break
        row = found
    return row


def _may_write(row: Row, sender: Row) -> bool:
    return bool(sender["employee_number"] in (row["requester"], row["assignee"]) or sender["is_engineer"])
