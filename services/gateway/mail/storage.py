"""What the mail door reads and writes in one transaction."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text

from contracts.fact import Fact
from eventkit.envelope import Event, partitionkey_of
from eventkit.work import Work
from services.gateway.mail import rules
from services.gateway.mail.reading import Mail, id_of
from services.gateway.mail.usecases import Outcome, Topic

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
            "number": outcome.topic.number,
            "request_id": outcome.topic.request_id,
        }
        statement = (
            "insert into mail_in (id, message_id, sender, title, became, reason, number, request_id)"
            " values (:id, :message_id, :sender, :title, :became, :reason, :number, :request_id)"
            " on conflict (id) do update set repeats = mail_in.repeats + 1 returning repeats"
        )
        return bool(self._work.connection.execute(text(statement), values).scalar_one() == 0)

    def saw(self, validity: int, uid: int, mail_id: str) -> None:
        """Remember that a message of the mailbox was read."""
        self._work.connection.execute(
            text("insert into mail_seen (validity, uid, id) values (:validity, :uid, :id) on conflict do nothing"),
            {"validity": validity, "uid": uid, "id": mail_id},
        )

    def emit(self, fact: Fact, *, mail_id: str, subject: str, externalref: str) -> None:
        """Announce what a mail asks for. A second event with the mail's id is a repeat.

        externalref: the id of the mail that asked for the ticket, under which the ticket is found.
        """
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
                externalref=externalref,
                arrived_at=now,
            )
        )


def seen(connection: Connection, validity: int, uids: Iterable[int]) -> set[int]:
    """Return which messages of the mailbox were read before."""
    statement = text("select uid from mail_seen where validity = :validity and uid = any(:uids)")
    return set(connection.execute(statement, {"validity": validity, "uids": list(uids)}).scalars())


def topic_of(connection: Connection, mail: Mail) -> Topic:
    """Return which ticket a mail is about: by its number, else by the nearest mail that it answers and that we know."""
    if number := rules.ticket_number(mail):
        return Topic(number)
    statement = text(
        "select number, coalesce(request_id, id) as request_id from mail_in"
        " where id = any(:ids) and became <> 'ignored' order by array_position(:ids, id) limit 1"
    )
    known = connection.execute(statement, {"ids": [id_of(one) for one in mail.answers]}).one_or_none()
    if known is None:
        return Topic()
    return Topic(number=known.number) if known.number else Topic(request_id=known.request_id)
