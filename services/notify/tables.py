"""Notify's tables."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()
_moment = DateTime(timezone=True)

person = Table(
    "person",
    metadata,
    Column("employee_number", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("language", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("manager", Text),
    Column("active", Boolean, nullable=False),
    comment="How to reach people, from person.changed; an older version never overwrites a newer",
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("recipient", Text, nullable=False, comment="employee number, or `the desk`"),
    Column("medium", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("after_crash", Text, nullable=False, comment="repeat or unknown, as the rule said when this was decided"),
    Column("about_type", Text, nullable=False),
    Column("about_subject", Text, nullable=False),
    Column("about_data", LargeBinary, nullable=False, comment="the event's data, JSON, from which the text is made"),
    Column("people", ARRAY(Text), comment="whom the event names, and who caused it: their names may stand in the text"),
    Column("forget_text", Boolean, nullable=False, comment="one of them was erased: the text goes once it is settled"),
    Column("waits_for", Text, comment="type of the event whose content the text takes in too"),
    Column("waits_until", _moment, comment="from then on it goes without that event"),
    Column("companion_data", LargeBinary, comment="the data of that event, JSON, if it came in time"),
    Column("traceparent", Text),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("code", Integer, nullable=False, comment="the channel's last code, 0 for none"),
    Column("attempts", SmallInteger, nullable=False),
    Column("unclear_attempts", SmallInteger, nullable=False, comment="tries that may have gone out"),
    Column("by_desk", Boolean, nullable=False, comment="the recipient had no address, so the desk gets it"),
    Column("arrived_at", _moment, nullable=False, comment="when the event arrived at Liaison"),
    Column("created_at", _moment, nullable=False),
    Column("ready_at", _moment, comment="since when it could be sent"),
    Column("tried_at", _moment),
    Column("settled_at", _moment),
    UniqueConstraint("source", "event_id", "recipient", "medium", name="delivery_once"),
    Index("delivery_open", "state", "created_at", postgresql_where=text("settled_at is null")),
    Index("delivery_waiting", "recipient", postgresql_where=text("state = 'waiting_contact'")),
    Index("delivery_companion", "about_subject", postgresql_where=text("waits_for is not null")),
    comment="One message to one person by one channel about one event",
)

companion = Table(
    "companion",
    metadata,
    Column("id", Text, primary_key=True, comment="its type, and type and subject of the event that it belongs to"),
    Column("data", LargeBinary, nullable=False, comment="its data, JSON, without the person"),
    Column("came_at", _moment, nullable=False),
    Index("companion_age", "came_at"),
    comment="Events that came before the one whose message waits for them; kept for an hour",
)

alert = Table(
    "alert",
    metadata,
    Column("id", Text, primary_key=True, comment="fingerprint and beginning: one occurrence"),
    Column("told_at", _moment, nullable=False),
    Column("ended_at", _moment, comment="when its end was told"),
    Index("alert_ended", "ended_at"),
    comment="Occurrences of alerts that the desk was told of, so that none is told twice",
)
