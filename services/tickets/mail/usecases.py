"""What becomes of a mail: a ticket of its sender's, or a comment by somebody who may write one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from contracts.gateway import TicketRequested, TicketUpdateRequested
from contracts.words import Channel
from services.tickets import opening, usecases
from services.tickets.attachments.usecases import keep_all
from services.tickets.sla.policy import Policy
from services.tickets.telling import Change, Row
from services.tickets.usecases import Voice

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore


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
) -> str:
    """Write a comment for the ticket's requester or an engineer; anybody else's words are a ticket of their own."""
    sender = store.senders.person_at(request.mail_from or "")
    row = store.tickets.get(request.number) if request.number else None
    if row is None or sender is None or not _may_write(row, sender):
        asked = TicketRequested(
            title=request.title or request.number or "—",
            description=request.comment or "",
            channel=Channel.MAIL,
            mail_from=request.mail_from,
            attachments=request.attachments,
        )
        return open_ticket(store, policy, asked, change, source=source, externalref=externalref)
    is_own = sender["employee_number"] == row["requester"]
    change = replace(change, actor=sender["employee_number"])
    if request.comment:
        voice = Voice.REQUESTER if is_own else Voice.DESK
        row = usecases.comment_on(store, policy, row, request.comment, change, voice=voice)
    keep_all(store, row["number"], request.attachments, replace(change, moment=max(change.moment, row["changed_at"])))
    return str(row["number"])


def _may_write(row: Row, sender: Row) -> bool:
    return bool(sender["employee_number"] == row["requester"] or sender["is_engineer"])
