"""The tickets service's own tables; those of feedback and duty stand beside what uses them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnClause,
    DateTime,
    Float,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    literal_column,
    text,
    true,
)
from sqlalchemy import (
    Sequence as Numbers,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()
_moment = DateTime(timezone=True)
#: Two neighbouring letters each: what has a word has all of its pairs.
PAIRS: ColumnClause[Any] = literal_column("letter_pairs(title || ' ' || description)")
OPEN = text("state not in ('resolved', 'closed')")

ticket_number = Numbers("ticket_number", metadata=metadata)

ticket = Table(
    "ticket",
    metadata,
    Column("number", Text, primary_key=True),
    Column("request_key", Text, unique=True, comment="source and externalref of the request; null without externalref"),
    Column("externalref", Text),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("state_since", _moment, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("impact", SmallInteger),
    Column("urgency", SmallInteger),
    Column("channel", Text, nullable=False),
    Column("requester", Text),
    Column("requester_known", Boolean, nullable=False),
    Column("assignee", Text),
    Column("group_name", Text),
    Column("region", Text),
    Column("department", Text),
    Column("category", Text),
    Column("subcategory", Text),
    Column("problem_code", Text),
    Column("opened_at", _moment, nullable=False),
    Column("changed_at", _moment, nullable=False, comment="the moment of the last change; none is earlier"),
    Column("responded_at", _moment),
    Column("resolved_at", _moment),
    Column("resolved_by", Text),
    Column("closed_at", _moment),
    Column("solution", Text, nullable=False),
    Column("due_response_at", _moment),
    Column("due_next_response_at", _moment),
    Column("due_solution_at", _moment),
    Column("due_next_at", _moment, comment="the earliest due moment of a clock that runs; null when none does"),
    Column("next_response_cycle", Integer, nullable=False),
    Column("reopen_count", Integer, nullable=False),
    Column("occurrences", Integer, nullable=False),
    Column("history", Boolean, nullable=False),
    Column("request_type", Text),
    Column("fields", JSONB, nullable=False),
    Column("secrecy", Text, nullable=False, comment="S6: public, internal or sensitive"),
    Column("watchers", ARRAY(Text), nullable=False),
    Column("fingerprint", Text, comment="from where a request came, and its fingerprint"),
    Column(
        "open_fingerprint",
        Text,
        unique=True,
        comment="the same, while the ticket is open: another such request is an occurrence",
    ),
    Column("support_level", SmallInteger, nullable=False, comment="T4: 1 key user, 2 specialist, 3 team, 4 vendor"),
    Column("support_cycle", Integer, nullable=False, comment="the cycle of the internal clock; 0 before there was one"),
    Column("waits", Boolean, nullable=False, comment="in its group's queue, to be drawn when somebody has room"),
    Column("mail_from", Text, comment="the address of a mail's sender whom nobody is known by"),
    Index("ticket_open_by_assignee", "assignee", postgresql_where=OPEN),
    Index("ticket_open_by_next", "due_next_at", "number", postgresql_where=OPEN),
    Index("ticket_open_by_due", "due_solution_at", "number", postgresql_where=OPEN),
    Index("ticket_by_assignee", "assignee", "number"),
    Index("ticket_by_opening", "opened_at"),
    Index("ticket_waiting", "group_name", postgresql_where=text("waits")),
    Index("ticket_by_requester", "requester", "number"),
    Index("ticket_by_watcher", "watchers", postgresql_using="gin"),
    Index("ticket_by_words", PAIRS, postgresql_using="gin"),
    Index("ticket_by_externalref", "externalref"),
    Index("ticket_by_group", "group_name", "number"),
    Index("ticket_by_department", "department", "number"),
)

ticket_change = Table(
    "ticket_change",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("number", Text, nullable=False),
    Column("at", _moment, nullable=False),
    Column("actor", Text, comment="who: an employee, a publisher, or null for Liaison itself"),
    Column("via", Text, comment="from where: an event's source, else http, page, timer or command; null before t0012"),
    Column("field", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("reason", Text, nullable=False),
    Index("ticket_change_by_number", "number", "id"),
    comment="Who changed what, when, from where and why (S4)",
)

ticket_comment = Table(
    "ticket_comment",
    metadata,
    Column("id", Text, primary_key=True),
    Column("number", Text, nullable=False),
    Column("at", _moment, nullable=False),
    Column("actor", Text),
    Column("body", Text, nullable=False),
    Column("is_public", Boolean, nullable=False),
    Index("ticket_comment_by_number", "number", "at"),
)

ticket_support = Table(
    "ticket_support",
    metadata,
    Column("number", Text, primary_key=True),
    Column("diagnosis_mode", Text, comment="remote (远程协助) or on_site (现场勘查)"),
    Column("appointment_at", _moment),
    Column("vendor", Text),
    Column("vendor_number", Text),
    Column("promised_at", _moment),
    Column("root_cause", Text),
)

survey = Table(
    "survey",
    metadata,
    Column("id", Text, primary_key=True, comment="ticket/cycle: one for each solution"),
    Column("number", Text, nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("person", Text),
    Column("rating", SmallInteger, nullable=False, comment="1 worst to 5 best"),
    Column("comment", Text, nullable=False),
    Column("answered_at", DateTime(timezone=True), nullable=False),
    Column("follow_up", Text, comment="the ticket that a low rating has opened"),
    Index("survey_by_number", "number"),
)

clock = Table(
    "clock",
    metadata,
    Column("id", Text, primary_key=True, comment="ticket/target/cycle"),
    Column("number", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("started_at", _moment, nullable=False),
    Column("target_s", Integer, nullable=False, comment="open seconds"),
    Column("calendar", Text, nullable=False),
    Column("level", Text, nullable=False, comment="the service level's name in the policy file"),
    Column("due_at", _moment, nullable=False),
    Column("spent_s", Float, nullable=False, comment="open seconds used up before started_at"),
    Column("pauses", JSONB, nullable=False, comment="begin_at, end_at, by, why; the last has no end while it lasts"),
    Column("told", JSONB, nullable=False, comment="the shares of which a warning went out"),
    Column("stopped_at", _moment),
    Column("missed_due_at", _moment),
    Column(
        "has_outcome",
        Boolean,
        nullable=False,
        server_default=true(),
        comment="false when it stopped because its target does not hold any more",
    ),
    Index("clock_by_number", "number"),
)

person = Table(
    "person",
    metadata,
    Column("employee_number", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("department", Text),
    Column("region", Text),
    Column("groups", ARRAY(Text), nullable=False),
    Column("is_engineer", Boolean, nullable=False),
    Column("is_key_user", Boolean, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("away", JSONB, nullable=False),
    Column("skills", ARRAY(Text), nullable=False),
    Column("capacity", Integer, comment="open tickets at most; null: as the policy file says"),
    Column("email", Text, comment="in small letters; who writes from there is this person"),
    Index("person_groups", "groups", postgresql_using="gin"),
    Index("person_email", "email"),
)
