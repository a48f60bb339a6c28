"""Erasing a person from what eventkit itself keeps: events that wait to be sent, were sent, or are held (S6)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, text

from contracts.gateway import PersonChanged, TicketRequested, TicketUpdateRequested
from contracts.tickets import TicketCommented, TicketReopened
from eventkit.errors import Unavailable

# Whose events they are, and what becomes of their data. A held event still has work to do, so it keeps what is needed
# to do it: of a person number, version and standing; of what somebody asked for by mail, that it was asked; of what
# they wrote on a ticket, that they wrote.
_ERASED = (
    (
        (PersonChanged,),
        "{data} ->> 'employee_number' = :number",
        "jsonb_build_object('employee_number', {data} ->> 'employee_number', 'version', {data} -> 'version',"
        " 'name', '—', 'active', false)",
    ),
    (
        (TicketRequested, TicketUpdateRequested),
        "lower({data} ->> 'mail_from') = :address",
        "{data} - array['mail_from', 'description', 'comment', 'attachments'] || '{{\"title\": \"—\"}}'",
    ),
    (
        (TicketCommented, TicketReopened),
        ":number in (headers ->> 'ce-actor', {data} ->> 'requester')",
        "{data} - array['text', 'reason']",
    ),
)
# A reason may hold what was wrong in an event; of it the kind of error stays.
_KEEPERS = (
    ("outbox", "payload", ""),
    ("held_event", "body", ", reason = split_part(reason, ':', 1)"),
)
# What is still to be sent would reach services that have forgotten the person by then.
_UNSENT = text(
    "select count(*) from eventkit.outbox cross join lateral (select convert_from(payload, 'UTF8')::jsonb as data) d"
    " where sent_at is null and :number in"
    " (headers ->> 'ce-actor', data ->> 'employee_number', data ->> 'requester', data ->> 'author')"
)


def forget(engine: Engine, employee_number: str, statements: Sequence[str], *, address: str = "") -> int:
    """Erase a person from one service's database, in one transaction, and return how many rows changed.

    statements: the service's own, with `:number` and `:address`. address: where the person's mails come from, in small
    letters. Events about the person keep number and version, nothing else; of their mails nothing stays.
    Raises Unavailable when an event by the person, or about them, has not left the outbox yet.
    """
    values = {"number": employee_number, "address": address}
    changed = 0
    with engine.begin() as connection:
        if connection.execute(_UNSENT, values).scalar_one():
            raise Unavailable("an event by this person, or about them, is still on its way; try again in a moment")
        for table, column, more in _KEEPERS:
            data = f"(convert_from({column}, 'UTF8')::jsonb)"
            for facts, whose, becomes in _ERASED:
                statement = text(
                    f"update eventkit.{table} set {column} = convert_to(({becomes.format(data=data)})::text, 'UTF8')"
                    f"{more} where type = any(:types) and {whose.format(data=data)}"
                )
                changed += connection.execute(statement, values | {"types": [fact.TYPE for fact in facts]}).rowcount
        for one in statements:
            changed += connection.execute(text(one), values).rowcount
    return changed
