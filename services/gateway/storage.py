"""The gateway's tables: who may publish or ask, and what was accepted and refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Table,
    Text,
    text,
)

from contracts.fact import Fact
from eventkit.envelope import Event
from eventkit.work import Work
from services.gateway.verdicts import Accepted, Directory, Publisher, Refused

metadata = MetaData()


def _moment(name: str, *, given: bool = True) -> Column[datetime]:
    return Column(name, DateTime(timezone=True), nullable=not given, server_default=text("now()") if given else None)


publisher = Table(
    "publisher",
    metadata,
    Column("name", Text, primary_key=True, comment="also the broker account and the token's name"),
    Column("source", Text, nullable=False, unique=True),
    Column("may", ARRAY(Text), nullable=False, comment="patterns of types; no two publishers' overlap"),
    Column("history", Boolean, nullable=False),
    _moment("created_at"),
    comment="Other systems that may publish",
)

token = Table(
    "token",
    metadata,
    Column("hash", LargeBinary, primary_key=True, comment="SHA-256 of the token; the token itself is kept nowhere"),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("person", Text, comment="employee number"),
    Column("groups", ARRAY(Text), nullable=False),
    Column("department", Text),
    _moment("created_at"),
    _moment("revoked_at", given=False),
    Index("token_name_once", "name", unique=True, postgresql_where=text("revoked_at is null")),
    comment="Bearer tokens of the HTTP door",
)

accepted = Table(
    "accepted",
    metadata,
    Column("source", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("publisher", Text, nullable=False),
    Column("type", Text, nullable=False, comment="the publisher's own"),
    Column("becomes", Text, nullable=False, comment="the type under which it was emitted"),
    Column("door", Text, nullable=False),
    Column("repeats", Integer, nullable=False, server_default=text("0"), comment="how often it came again"),
    _moment("arrived_at"),
    Index("accepted_arrived_at", "arrived_at", postgresql_using="brin"),
    comment="Every event that was accepted, so that a repeat changes nothing",
)

mail_in = Table(
    "mail_in",
    metadata,
    Column("id", Text, primary_key=True, comment="of the Message-ID; without one, of the bytes"),
    Column("message_id", Text, nullable=False),
    Column("sender", Text, nullable=False, comment="an address in small letters"),
    Column("title", Text, nullable=False),
    Column("became", Text, nullable=False, comment="request, comment, ignored or unreadable"),
    Column("reason", Text, nullable=False, comment="why it was ignored or could not be read"),
    Column("number", Text, comment="of the ticket that it is about"),
    Column("request_id", Text, comment="of the mail that asked for the ticket, when no number names it"),
    Column("repeats", Integer, nullable=False, server_default=text("0"), comment="how often it came again"),
    _moment("arrived_at"),
    Index("mail_in_by_sender", "sender", "arrived_at"),
    Index("mail_in_arrived_at", "arrived_at", postgresql_using="brin"),
    comment="What became of every mail, once for each Message-ID",
)

mail_seen = Table(
    "mail_seen",
    metadata,
    Column("validity", BigInteger, primary_key=True, comment="the mailbox's UIDVALIDITY"),
    Column("uid", BigInteger, primary_key=True),
    Column("id", Text, nullable=False, comment="of the mail"),
    _moment("seen_at"),
    Index("mail_seen_at", "seen_at", postgresql_using="brin"),
    comment="Which messages of the mailbox were read, so that they are not fetched again",
)

refusal = Table(
    "refusal",
    metadata,
    Column("publisher", Text, primary_key=True),
    Column("digest", Text, primary_key=True, comment="SHA-256 of what was sent: the same bytes are refused once"),
    Column("event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("sent", LargeBinary, nullable=False, comment="content type, headers and body; the first 64 KiB"),
    _moment("refused_at"),
    Index("refusal_by_event", "publisher", "event_id"),
    Index("refusal_refused_at", "refused_at", postgresql_using="brin"),
    comment="What the doors refused, and why",
)

#: What the gateway keeps besides what every service has, and how long.
KEPT = (
    # The inbox of the services is kept as long: a repeat that comes later is the business key's job (design: kept).
    ("accepted", "(source, id)", "arrived_at < now() - interval '35 days'"),
    ("refusal", "(publisher, digest)", "refused_at < now() - interval '30 days'"),
    # A mailbox from which nothing can be moved shows its messages for as long.
    ("mail_in", "id", "arrived_at < now() - interval '25 months'"),
    ("mail_seen", "(validity, uid)", "seen_at < now() - interval '25 months'"),
    ("token", "hash", "revoked_at < now() - interval '30 days'"),
)


class Caller(msgspec.Struct, frozen=True):
    """Who a token stands for. groups: names of the groups that the person works in."""

    name: str
    role: str
    person: str | None
    groups: tuple[str, ...]
    department: str | None


def snapshot(connection: Connection) -> tuple[datetime, Directory]:
    """Return the transaction's moment, and the publishers as they are now."""
    rows = connection.execute(
        text("select now() as now, p.name, p.source, p.may, p.history from (select) one left join publisher p on true")
    ).all()
    found = [Publisher(row.name, row.source, tuple(row.may), row.history) for row in rows if row.name is not None]
    return rows[0].now, Directory(found)


class GatewayStore:
    """What one transaction at a door reads and writes."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def known(self, keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return which (source, id) were accepted before."""
        sources, ids = _columns(keys)
        rows = self._work.connection.execute(
            text(
                "select source, id from accepted join unnest(cast(:sources as text[]), cast(:ids as text[]))"
                " as given (source, id) using (source, id)"
            ),
            {"sources": sources, "ids": ids},
        )
        return {(row.source, row.id) for row in rows}

    def record(self, verdicts: Sequence[Accepted], door: str) -> set[tuple[str, str]]:
        """Record accepted events, distinct ones, and return the keys of those that were not accepted before."""
        # Sorted, so that two doors that get the same events do not wait for each other in a circle.
        ordered = sorted(verdicts, key=lambda one: one.key)
        sources, ids = _columns(one.key for one in ordered)
        rows = self._work.connection.execute(
            text(
                "insert into accepted (source, id, publisher, type, becomes, door)"
                " select *, cast(:door as text) from unnest(cast(:sources as text[]), cast(:ids as text[]),"
                " cast(:publishers as text[]), cast(:types as text[]), cast(:becomes as text[]))"
                " on conflict do nothing returning source, id"
            ),
            {
                "door": door,
                "sources": sources,
                "ids": ids,
                "publishers": [one.publisher for one in ordered],
                "types": [one.own_type for one in ordered],
                "becomes": [one.event.type for one in ordered],
            },
        )
        return {(row.source, row.id) for row in rows}

    def count_repeats(self, keys: Sequence[tuple[str, str]]) -> None:
        """Count that these came again; a key may be there several times."""
        counts: dict[tuple[str, str], int] = {}
        for key in sorted(keys):
            counts[key] = counts.get(key, 0) + 1
        sources, ids = _columns(counts)
        self._work.connection.execute(
            text(
                "update accepted a set repeats = repeats + e.n from unnest(cast(:sources as text[]),"
                " cast(:ids as text[]), cast(:counts as int[])) as e (source, id, n)"
                " where a.source = e.source and a.id = e.id"
            ),
            {"sources": sources, "ids": ids, "counts": list(counts.values())},
        )

    def refuse(self, verdicts: Sequence[Refused], door: str) -> set[tuple[str, str]]:
        """Record refusals, distinct ones, and return (publisher, digest) of those that were not there yet."""
        rows = sorted(verdicts, key=lambda one: (one.publisher, one.digest))
        columns: dict[str, list[Any]] = {
            "publishers": [one.publisher for one in rows],
            "digests": [one.digest for one in rows],
            "ids": [one.event_id for one in rows],
            "types": [one.event_type for one in rows],
            "fields": [one.field for one in rows],
            "reasons": [one.reason for one in rows],
            "sent": [one.sent for one in rows],
        }
        found = self._work.connection.execute(
            text(
                "insert into refusal (publisher, digest, event_id, type, field, reason, sent, door)"
                " select *, cast(:door as text) from unnest(cast(:publishers as text[]), cast(:digests as text[]),"
                " cast(:ids as text[]), cast(:types as text[]), cast(:fields as text[]), cast(:reasons as text[]),"
                " cast(:sent as bytea[])) on conflict do nothing returning publisher, digest"
            ),
            {"door": door, **columns},
        )
        return {(row.publisher, row.digest) for row in found}

    def emit(self, event: Event[Fact]) -> None:
        """Announce an event under its publisher's id and source."""
        self._work.emit_as(event)

    def tell(self, fact: Fact, *, subject: str) -> None:
        """Announce a fact of the gateway's own."""
        self._work.emit(fact, subject=subject)


def _columns(keys: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    pairs = list(keys)
    return [source for source, _ in pairs], [one for _, one in pairs]


def caller_of(connection: Connection, token_hash: bytes) -> Caller | None:
    """Return who a token stands for; None for one that is unknown or revoked."""
    row = connection.execute(
        text("select * from token where hash = :hash and revoked_at is null"), {"hash": token_hash}
    ).one_or_none()
    return None if row is None else Caller(row.name, row.role, row.person, tuple(row.groups), row.department)


def accepted_event(connection: Connection, publisher_name: str, event_id: str) -> Row[Any] | None:
    """Return what is recorded of a publisher's accepted event."""
    return connection.execute(
        # By source and id, which is the key; a publisher has one source.
        text(
            "select a.* from accepted a join publisher p on p.source = a.source"
            " where p.name = :publisher and a.publisher = p.name and a.id = :id"
        ),
        {"publisher": publisher_name, "id": event_id},
    ).first()


def last_refusal(connection: Connection, publisher_name: str, event_id: str) -> Row[Any] | None:
    """Return the newest refusal of a publisher's event."""
    return connection.execute(
        text("select * from refusal where publisher = :publisher and event_id = :id order by refused_at desc limit 1"),
        {"publisher": publisher_name, "id": event_id},
    ).first()


_PAYLOAD = "convert_from(payload, 'UTF8')::jsonb"

#: What erases a person (S6): tokens, what the list of mails says, refused events that name them, and what was sent on.
FORGET = (
    "update token set revoked_at = coalesce(revoked_at, now()), person = null where person = :number",
    "update mail_in set sender = '', title = '', message_id = '' where sender = :address",
    "update refusal set sent = '' where position(convert_to(:number, 'UTF8') in sent) > 0",
    "update eventkit.outbox set"
    f" payload = convert_to(({_PAYLOAD} - 'description' || '{{\"title\": \"—\"}}')::text, 'UTF8')"
    " where type = 'liaison.ticket.requested.v1' and sent_at is not null"
    f" and {_PAYLOAD} ->> 'requester' = :number",
    "update eventkit.outbox set headers = headers - 'ce-actor',"
    f" payload = convert_to(({_PAYLOAD} - 'author' || '{{\"text\": \"—\"}}')::text, 'UTF8')"
    " where type = 'liaison.feedback.submitted.v1' and sent_at is not null"
    f" and {_PAYLOAD} ->> 'author' = :number",
)
