"""The tables of the journal, the facts and the counters."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.metrics import gauges

metadata = MetaData()
_moment = DateTime(timezone=True)
FINISHED = ", ".join(f"'{state}'" for state in gauges.FINISHED)

journal = Table(
    "journal",
    metadata,
    Column("id", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("arrived_at", _moment, primary_key=True, comment="when it was written here; the partition's month, UTC"),
    Column(
        "position",
        BigInteger,
        nullable=False,
        server_default=text("nextval('journal_position')"),
        comment="rises in the order of commits",
    ),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("partitionkey", Text, nullable=False),
    Column("sequence", BigInteger),
    Column("time", _moment, nullable=False),
    Column("history", Boolean, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("journal_by_subject", "subject", "arrived_at"),
    Index("journal_by_arrival", "arrived_at"),
    Index("journal_by_position", "position", postgresql_using="brin"),
    comment="Every event, whole, by the month of its arrival here",
    postgresql_partition_by="RANGE (arrived_at)",
)

ticket_fact = Table(
    "ticket_fact",
    metadata,
    Column("number", Text, primary_key=True),
    Column("opened_at", _moment, nullable=False),
    Column("channel", Text, nullable=False),
    Column("category", Text),
    Column("priority", Integer, nullable=False),
    Column("region", Text),
    Column("group_name", Text),
    Column("department", Text),
    Column("state", Text, nullable=False),
    Column("assignee", Text),
    Column("responded_at", _moment, comment="the first answer"),
    Column("resolved_at", _moment, comment="the last solution, also when it did not hold"),
    Column("closed_at", _moment, comment="the last closing"),
    Column("reopen_count", Integer, nullable=False),
    Column("history", Boolean, nullable=False, comment="opened by an import"),
    Column("last_sequence", BigInteger, nullable=False, comment="place of the event that the present state is from"),
    Column("last_event", Text, nullable=False),
    Index("ticket_fact_open", "state", "priority", "opened_at", postgresql_where=text(f"state not in ({FINISHED})")),
    comment="One row a ticket, as its events tell",
)

sla_fact = Table(
    "sla_fact",
    metadata,
    Column("clock", Text, primary_key=True, comment="ticket/target/cycle"),
    Column("ticket", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("outcome", Text, nullable=False, comment="warned, met or breached"),
    Column("due_at", _moment, nullable=False),
    Column("stopped_at", _moment),
    Column("priority", Integer, nullable=False),
    Column("retroactive", Boolean, nullable=False),
    Column("history", Boolean, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("last_event", Text, nullable=False),
    Index("sla_fact_by_ticket", "ticket"),
    Index("sla_fact_breached", "due_at", postgresql_where=text("outcome = 'breached' and not history")),
    Index("sla_fact_met", "stopped_at", postgresql_where=text("outcome = 'met' and not history")),
    comment="One row a service level clock that warned, was met or was breached",
)

delivery_fact = Table(
    "delivery_fact",
    metadata,
    Column("delivery_id", Text, primary_key=True),
    Column("medium", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("about_type", Text, nullable=False),
    Column("about_subject", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("recipient", Text),
    Column("outcome", Text, nullable=False),
    Column("delay_s", Double),
    Column("settled_at", _moment, nullable=False),
    Column("history", Boolean, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("last_event", Text, nullable=False),
    Index("delivery_fact_settled", "settled_at", postgresql_where=text("not history")),
    comment="One row a message to a person, with what became of it last",
)

person_fact = Table(
    "person_fact",
    metadata,
    Column("employee_number", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("region", Text),
    Column("department", Text),
    Column("joined_on", Date),
    Column("history", Boolean, nullable=False),
    Column("last_event", Text, nullable=False),
    Index("person_fact_active", "active", postgresql_where=text("active")),
    comment="One row a person: what reports group by, and no way to reach anybody",
)

feedback_fact = Table(
    "feedback_fact",
    metadata,
    Column("feedback_id", Text, primary_key=True),
    Column("way", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("feedback_class", Text, comment="absent until somebody has classified it"),
    Column("score", Integer, comment="1 worst to 5 best"),
    Column("department", Text),
    Column("received_at", _moment, nullable=False),
    Column("answered_at", _moment, comment="the first answer"),
    Column("history", Boolean, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("last_event", Text, nullable=False),
    Index("feedback_fact_received", "received_at", postgresql_where=text("not history")),
    Index("feedback_fact_open", "feedback_class", postgresql_where=text("status <> 'resolved'")),
    comment="One row a piece of feedback as it stands, without its text and its author",
)

enrolment_fact = Table(
    "enrolment_fact",
    metadata,
    Column("enrolment", Text, primary_key=True, comment="course/employee number"),
    Column("course", Text, nullable=False),
    Column("learner", Text, nullable=False),
    Column("department", Text),
    Column("enrolled_at", _moment),
    Column("completed_at", _moment, comment="the first completion"),
    Column("completed_history", Boolean, nullable=False, comment="the completion was imported"),
    Column("last_sequence", BigInteger, nullable=False),
    Column("last_event", Text, nullable=False),
    Index("enrolment_fact_completed", "completed_at", postgresql_where=text("not completed_history")),
    comment="One row a person and course, with how it ended",
)

happening_fact = Table(
    "happening_fact",
    metadata,
    Column("happening", Text, primary_key=True, comment="source and id of the event that told of it"),
    Column("what", Text, nullable=False),
    Column("at", _moment, nullable=False),
    Column("subject", Text, nullable=False),
    Column("priority", Integer, comment="of the ticket, then"),
    Column("word", Text, comment="channel of a ticket; how a miss was noticed; whether a suggestion had any"),
    Column("took_us", BigInteger, comment="wall-clock microseconds from opening to this"),
    Column("history", Boolean, nullable=False),
    Index(
        "happening_fact_recent",
        "at",
        postgresql_include=["what", "priority", "word", "took_us"],
        postgresql_where=text("not history"),
    ),
    comment="One row a moment that windows count: tickets opened, answered, solved, reopened, …",
)

counter = Table(
    "counter",
    metadata,
    Column("series", Text, primary_key=True, comment="name and labels in Prometheus's notation"),
    Column("value", BigInteger, nullable=False, comment="in whole units: sums of durations are microseconds"),
    comment="What the page shows of what has happened; one that is absent is 0",
)

FACT_TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        ticket_fact,
        sla_fact,
        delivery_fact,
        person_fact,
        feedback_fact,
        enrolment_fact,
        happening_fact,
    )
}
"""The tables whose rows follow from the journal, by their kind."""
