"""The tables of duty: the roster, its gaps, and why each ticket was given to whom."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Identity, Index, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from services.tickets.tables import metadata

_moment = DateTime(timezone=True)

shift = Table(
    "duty_shift",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("group_name", Text, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("person", Text, nullable=False),
    Column("begin_at", _moment, nullable=False),
    Column("end_at", _moment, nullable=False),
    Column("stand_in", Text),
    Index("duty_shift_by_group", "group_name", "end_at"),
)

swap = Table(
    "duty_swap",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("group_name", Text, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("giver", Text, nullable=False),
    Column("taker", Text, nullable=False),
    Column("begin_at", _moment, nullable=False),
    Column("end_at", _moment, nullable=False),
    Column("agreed_by", Text),
    Index("duty_swap_by_group", "group_name", "end_at"),
)

gap = Table(
    "duty_gap",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("group_name", Text, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("begin_at", _moment, nullable=False),
    Column("end_at", _moment, nullable=False),
    Column("goes_on", Boolean, nullable=False),
    comment="The gaps that the last look found, so that each is told once",
)

assignment = Table(
    "assignment",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("number", Text, nullable=False),
    Column("at", _moment, nullable=False),
    Column("group_name", Text, nullable=False),
    Column("person", Text),
    Column("waits_for", Text),
    Column("skill_lifted", Boolean, nullable=False),
    Column("judged", JSONB, nullable=False, comment="person, score, open_count, capacity, why passed over"),
    Index("assignment_by_number", "number", "id"),
    Index("assignment_by_person", "person", "at"),
    comment="Why each ticket was given to whom (T3)",
)

epoch = Table(
    "duty_epoch",
    metadata,
    Column("is_only", Boolean, primary_key=True, server_default="true"),
    Column("epoch", BigInteger, nullable=False, server_default="0"),
    comment="One row; triggers on people, shifts and swaps count it up: what was read in an epoch holds until its end",
)
