"""The tables that eventkit keeps in every service's database, in a schema of their own."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

SCHEMA = "eventkit"
metadata = MetaData(schema=SCHEMA)

_moment = DateTime(timezone=True)


def _arrival(name: str) -> Column[object]:
    return Column(name, _moment, nullable=False, server_default=func.now())


inbox = Table(
    "inbox",
    metadata,
    Column("source", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("state", Text, nullable=False, comment="handled, held, dead or discarded"),
    _arrival("arrived_at"),
    Index("inbox_arrived_at", "arrived_at", postgresql_using="brin"),
    comment="Every event that this service has seen, so that a repeat changes nothing",
)

held_subject = Table(
    "held_subject",
    metadata,
    Column("partitionkey", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("due_at", _moment, comment="when the drain tries again; null while a dead event blocks the subject"),
    _arrival("held_at"),
    Index("held_subject_due_at", "due_at"),
    comment="Subjects whose later events wait; consumer and drain lock the row alike",
)

held_event = Table(
    "held_event",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("partitionkey", Text, comment="null when the event blocks nobody"),
    Column("state", Text, nullable=False, comment="held or dead"),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _arrival("arrived_at"),
    UniqueConstraint("source", "id", name="held_event_once"),
    Index("held_event_by_subject", "partitionkey", "position"),
    comment="Events that wait, and events that could not be handled, whole and with the reason",
)

attempt = Table(
    "attempt",
    metadata,
    Column("source", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("together", Integer, nullable=False, server_default="0"),
    Column("alone", Integer, nullable=False, server_default="0"),
    _arrival("marked_at"),
    comment="Tries of redelivered events, marked before the try, so that one that kills the process is found",
)

outbox = Table(
    "outbox",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("id", Text, nullable=False),
    Column("aggregatetype", Text, nullable=False, comment="the event's source"),
    Column("aggregateid", Text, nullable=False, comment="the event's subject"),
    Column("type", Text, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    _arrival("emitted_at"),
    Column("sent_at", _moment),
    Index("outbox_unsent", "position", postgresql_where=text("sent_at is null")),
    Index("outbox_emitted_at", "emitted_at", postgresql_using="brin"),
    comment="Events that commit together with the change that they announce; column names as Debezium expects them",
)

subject_sequence = Table(
    "subject_sequence",
    metadata,
    Column("partitionkey", Text, primary_key=True),
    Column("last", BigInteger, nullable=False),
    comment="The last sequence number given out for a subject; its row orders the emitters",
)

timer = Table(
    "timer",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False, comment="what the timer is for, unique within its kind"),
    Column("subject", Text, nullable=False),
    Column("due_at", _moment, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("payload", JSONB, nullable=False),
    Column("is_job", Boolean, nullable=False, server_default=text("false")),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("running_until", _moment, comment="a job whose call is under way; past it the process is taken for dead"),
    Column("traceparent", Text, comment="the trace of what armed it, which its effect carries on"),
    UniqueConstraint("kind", "key", name="timer_once"),
    Index("timer_due", "is_job", "due_at"),
    comment="What is to happen later: timers fire inside a transaction, jobs call the outside between two",
)

answer = Table(
    "answer",
    metadata,
    Column("key", Text, primary_key=True),
    Column("method", Text, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("digest", LargeBinary, comment="SHA-256 of the arguments without the caller's scope"),
    _arrival("answered_at"),
    Index("answer_answered_at", "answered_at", postgresql_using="brin"),
    comment="Answers of commands by idempotency key, written in the command's own transaction",
)

replica = Table(
    "replica",
    metadata,
    Column("id", Text, primary_key=True),
    _arrival("seen_at"),
    comment="The running replicas, so that each knows its even share of the partitions",
)

partitioning = Table(
    "partitioning",
    metadata,
    Column("generation", Integer, primary_key=True),
    Column("partitions", Integer, nullable=False),
    _arrival("since"),
    comment="Which generation of the service's queues is consumed: the highest",
)
