"""What the mail door reads and writes in one transaction."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text

from contracts.fact import Fact
from eventkit.envelope import Event, partitionkey_of
from eventkit.work import Work
from services.gateway.mail.usecases import Outcome

#: Sources under /liaison are Liaison's own: no publisher can pass for a mailbox.
SOURCE = "/liaison/mail"


class MailStore:
    """The list of mails, and the outbox."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def sent_last_hour(self, sender: str) -> int:
        """Return how many mails of a sender became something within the last hour."""
        statement = (
            "select count(*) from mail_in where sender = :sender and arrived_at > now() - interval '1 hour'"
            " and became <> 'ignored'"
        )
        return int(self._work.connection.execute(text(statement), {"sender": sender}).scalar_one())

    def record(self, outcome: Outcome) -> bool:
        """Record what becomes of a mail and tell whether it is the first with its id; else count that it came again."""
        values = {
            "id": outcome.mail_id,
            "message_id": outcome.message_id,
            "sender": outcome.sender,
            "title": outcome.title,
            "became": str(outcome.became),
            "reason": outcome.reason,
            "number": outcome.number,
        }
        statement = (
            "insert into mail_in (id, message_id, sender, title, became, reason, number)"
            " values (:id, :message_id, :sender, :title, :became, :reason, :number) on conflict (id) do update"
            " set repeats = mail_in.repeats + 1 returning repeats"
        )
        return bool(self._work.connection.execute(text(statement), values).scalar_one() == 0)

    def saw(self, validity: int, uid: int, mail_id: str) -> None:
        """Remember that a message of the mailbox was read."""
        self._work.connection.execute(
            text("insert into mail_seen (validity, uid, id) values (:validity, :uid, :id) on conflict do nothing"),
            {"validity": validity, "uid": uid, "id": mail_id},
        )

    def emit(self, fact: Fact, *, mail_id: str, subject: str) -> None:
        """Announce what a mail asks for. A second event with the mail's id is a repeat."""
        now = self._work.now
        self._work.emit_as(
            Event(
                id=mail_id,
                source=SOURCE,
                type=fact.TYPE,
                subject=subject,
                time=now,
                data=fact,
                partitionkey=partitionkey_of(SOURCE, subject),
                externalref=mail_id,
                arrived_at=now,
            )
        )


def seen(connection: Connection, validity: int, uids: Iterable[int]) -> set[int]:
    """Return which messages of the mailbox were read before."""
    statement = text("select uid from mail_seen where validity = :validity and uid = any(:uids)")
    return set(connection.execute(statement, {"validity": validity, "uids": list(uids)}).scalars())
