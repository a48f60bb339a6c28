"""Erasing a person from what eventkit itself keeps: events that wait to be sent, were sent, or are held (S6)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, text

from contracts.gateway import PersonChanged, TicketRequested, TicketUpdateRequested
from eventkit.errors import Unavailable

# A held or unsent event still has work to do, so it keeps what is needed to do it: number, version and standing.
_BARE = (
    "convert_to((jsonb_build_object('employee_number', {column_json} ->> 'employee_number', 'version',"
    " {column_json} -> 'version', 'name', '—', 'active', false))::text, 'UTF8')"
)
# Of what somebody asked for by mail, that it was asked stays.
_UNSAID = (
    "convert_to(({column_json} - array['mail_from', 'description', 'comment', 'attachments']"
    " || '{{\"title\": \"—\"}}')::text, 'UTF8')"
)

# A reason may hold what was wrong in an event; of it the kind of error stays.
_KEEPERS = (
    ("outbox", "payload", ""),
    ("held_event", "body", ", reason = split_part(reason, ':', 1)"),
)


def forget(engine: Engine, employee_number: str, statements: Sequence[str], *, address: str = "") -> int:
    """Erase a person from one service's database, in one transaction, and return how many rows changed.

    statements: the service's own, with `:number` and `:address`. address: where the person's mails come from, in small
    letters. Events about the person keep number and version, nothing else; of their mails nothing stays.
    Raises Unavailable when an event about the person has not left the outbox yet.
    """
    changed = 0
    with engine.begin() as connection:
        unsent = connection.execute(
            text(
                "select count(*) from eventkit.outbox where sent_at is null and type = :type"
                " and convert_from(payload, 'UTF8')::jsonb ->> 'employee_number' = :number"
            ),
            {"type": PersonChanged.TYPE, "number": employee_number},
        ).scalar_one()
        if unsent:
            raise Unavailable("an event about this person is still on its way; try again in a moment")
        for table, column, more in _KEEPERS:
            as_json = f"convert_from({column}, 'UTF8')::jsonb"
            bare = _BARE.format(column_json=as_json)
            changed += connection.execute(
                text(
                    f"update eventkit.{table} set {column} = {bare}{more}"
                    f" where type = :type and {as_json} ->> 'employee_number' = :number"
                ),
                {"type": PersonChanged.TYPE, "number": employee_number},
            ).rowcount
            changed += connection.execute(
                text(
                    f"update eventkit.{table} set {column} = {_UNSAID.format(column_json=as_json)}{more}"
                    f" where type = any(:types) and lower({as_json} ->> 'mail_from') = :address"
                ),
                {"types": [TicketRequested.TYPE, TicketUpdateRequested.TYPE], "address": address},
            ).rowcount
        for statement in statements:
            values = {"number": employee_number, "address": address}
            changed += connection.execute(text(statement), values).rowcount
    return changed
