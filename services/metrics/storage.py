"""The journal, the facts and the counters: their tables, and how a transaction changes and reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Double,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from eventkit.envelope import Event
from eventkit.work import Row, Rows, Work
from services.metrics import gauges
from services.metrics.rules import microseconds

metadata = MetaData()
_moment = DateTime(timezone=True)
# Partitions are made this far ahead, so that a service that rests for weeks does not miss a month.
MONTHS_AHEAD = 3
#: After this many months the journal forgets people (design: kept).
KEPT_MONTHS = 25
_ONE_AT_A_TIME = 0x11A15FAC
_FINISHED = ", ".join(f"'{state}'" for state in gauges.FINISHED)

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
    Index("ticket_fact_open", "state", "priority", "opened_at", postgresql_where=text(f"state not in ({_FINISHED})")),
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

counter = Table(
    "counter",
    metadata,
    Column("series", Text, primary_key=True, comment="name and labels in Prometheus's notation"),
    Column("value", BigInteger, nullable=False, comment="in whole units: sums of durations are microseconds"),
    comment="What the page shows of what has happened; one that is absent is 0",
)

FACT_TABLES: Mapping[str, Table] = {table.name: table for table in (ticket_fact, sla_fact, delivery_fact, person_fact)}


class MetricsStore:
    """What one transaction changes. shared: False when nobody else can change these tables, as in a recount."""

    def __init__(self, work: Work, *, shared: bool = True) -> None:
        self._work = work
        self._entered = not shared
        self._counters: Rows = work.rows(counter)
        self._facts = {name: work.rows(table) for name, table in FACT_TABLES.items()}

    def enter(self) -> None:
        """Wait until no other transaction changes numbers; ours is then the only one until it ends.

        Every batch raises the same few counters, so that two would wait for each other's rows anyway; here they
        cannot meet in a deadlock, and the journal's positions rise in the order of commits.
        """
        if not self._entered:
            keep_others_out(self._work.connection)
            self._entered = True

    def preload(self, series: Iterable[str], facts: Mapping[str, Iterable[str]]) -> None:
        """Read the counters and the facts (keys by kind) that are about to change."""
        self.enter()
        self._counters.preload(series)
        for kind, keys in facts.items():
            self._facts[kind].preload(keys)

    def append(self, event: Event[Any]) -> None:
        """Write the event to the journal."""
        self._work.rows(journal).append(
            id=event.id,
            source=event.source,
            arrived_at=self._work.now,
            type=event.type,
            subject=event.subject,
            partitionkey=event.partitionkey,
            sequence=event.sequence,
            time=event.time,
            history=event.history,
            # As it came over the wire, so that fields which this release does not know yet are kept too.
            headers=self._work.received.headers,
            body=self._work.received.body,
        )

    def count(self, series: str, amount: int) -> None:
        """Raise a counter."""
        row = self._counters.get(series)
        if row is None:
            self._counters.add(series=series, value=amount)
        else:
            self._counters.change(row, value=row["value"] + amount)

    def raise_to(self, series: str, least: int) -> None:
        """Raise a number that only ever rises to at least this."""
        row = self._counters.get(series)
        if row is None:
            self._counters.add(series=series, value=least)
        elif row["value"] < least:
            self._counters.change(row, value=least)

    def fact(self, kind: str, key: str) -> Row | None:
        """Return a fact, or None when no event has told of it."""
        return self._facts[kind].get(key)

    def put_fact(self, kind: str, before: Row | None, after: dict[str, Any]) -> None:
        """Write a fact in place of the one that was read."""
        rows = self._facts[kind]
        if before is None:
            rows.add(**after)
        elif after != before:
            # All columns, so that every change of the table goes out in one statement.
            rows.change(before, **after)

    def make_months(self) -> list[str]:
        """Make the journal's partitions for this month and the next ones; return the months made."""
        return make_months(self._work.connection, self._work.now)

    def thin_journal(self) -> int:
        """Take what people wrote and who they are out of events older than KEPT_MONTHS; return how many changed."""
        return thin_journal(self._work.connection, self._work.now)

    def call_again(self, kind: str, *, in_s: float) -> None:
        """Have the timer of this kind fire again."""
        due_at = self._work.now + timedelta(seconds=in_s)
        self._work.arm(kind, key="journal", subject="journal", due_at=due_at, payload={})


def keep_others_out(connection: Connection) -> None:
    """Let no other transaction change numbers until this one ends. Readers are not kept waiting."""
    connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _ONE_AT_A_TIME})


def make_months(connection: Connection, now: datetime) -> list[str]:
    """Make the partitions from the month of `now` to MONTHS_AHEAD later; return those that were missing."""
    rows = connection.execute(
        text(
            "select to_char(month, 'YYYY-MM') as month from generate_series(date_trunc('month', cast(:now as"
            " timestamptz), 'UTC'), cast(:now as timestamptz) + make_interval(months => :ahead), interval '1 month')"
            " as month where make_journal_month(month)"
        ),
        {"now": now, "ahead": MONTHS_AHEAD},
    )
    return [row.month for row in rows]


def thin_journal(connection: Connection, now: datetime) -> int:
    """Leave of events older than KEPT_MONTHS only what the numbers need; return how many changed.

    A journal of personal data needs an end. The events themselves stay, so that a rebuild gives the same bytes.
    """
    kept = f"(convert_from(body, 'UTF8')::jsonb - array[{_PERSONAL}])"
    bare = f"{kept} || case when type = 'liaison.person.changed.v1' then '{{\"name\": \"—\"}}'::jsonb else {_TITLE} end"
    return connection.execute(
        text(
            f"update journal set body = convert_to(({bare})::text, 'UTF8'), headers = headers - 'ce-thin'"
            ' || \'{"ce-thin": "true"}\''
            " where arrived_at < cast(:now as timestamptz) - make_interval(months => :months)"
            " and not headers ? 'ce-thin'"
        ).bindparams(now=now, months=KEPT_MONTHS)
    ).rowcount


def read_numbers(engine: Engine, now: datetime | None = None) -> dict[str, int]:
    """Return the value of every series that is not 0, in whole units, from one snapshot.

    now: the moment of ages and windows, by the database's clock unless given.
    """
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection:
        moment = now or connection.execute(text("select now()")).scalar_one()
        values = {row.series: row.value for row in connection.execute(text("select series, value from counter"))}
        return values | _open_tickets(connection, moment) | _recent_breaches(connection, moment) | _people(connection)


def _open_tickets(connection: Connection, now: datetime) -> dict[str, int]:
    rows = connection.execute(
        text(
            "select state, priority, count(*) as tickets, count(*) filter (where assignee is null) as unowned,"
            f" min(opened_at) as oldest from ticket_fact where state not in ({_FINISHED}) group by state, priority"
        )
    )
    values = {gauges.UNOWNED.at(): 0}
    for row in rows:
        values[gauges.OPEN.at(row.state, str(row.priority))] = row.tickets
        values[gauges.UNOWNED.at()] += row.unowned
        age = gauges.OLDEST_OPEN_AGE.at(str(row.priority))
        values[age] = max(values.get(age, 0), microseconds(now) - microseconds(row.oldest))
    return values


def _recent_breaches(connection: Connection, now: datetime) -> dict[str, int]:
    counts = ", ".join(f"count(*) filter (where due_at > :begin_{name}) as n_{name}" for name in gauges.WINDOWS)
    begins = {f"begin_{name}": now - width for name, width in gauges.WINDOWS.items()}
    rows = connection.execute(
        text(
            f"select target, {counts} from sla_fact where outcome = 'breached' and not history"
            " and due_at > :earliest and due_at <= :now group by target"
        ),
        begins | {"now": now, "earliest": min(begins.values())},
    )
    return {
        gauges.BREACHES_RECENT.at(name, row.target): getattr(row, f"n_{name}")
        for row in rows
        for name in gauges.WINDOWS
    }


def _people(connection: Connection) -> dict[str, int]:
    return {gauges.PEOPLE.at(): connection.execute(text("select count(*) from person_fact where active")).scalar_one()}


#: The fields in which people are named or have written; a title is required, so it is replaced.
_PERSONAL = (
    "'description', 'solution', 'comment', 'reason', 'email', 'mobile', 'dingtalk_id', 'wecom_id', 'feishu_id',"
    " 'position', 'manager', 'groups', 'roles', 'away'"
)
_TITLE = "case when convert_from(body, 'UTF8')::jsonb ? 'title' then '{\"title\": \"—\"}'::jsonb else '{}'::jsonb end"

#: What erases a person (S6) from the journal. What the counts need stays, so that a rebuild gives the same numbers.
FORGET = (
    "update journal set body = convert_to((convert_from(body, 'UTF8')::jsonb - array['email', 'mobile', 'dingtalk_id',"
    " 'wecom_id', 'feishu_id', 'position', 'manager', 'groups', 'roles', 'away'] || '{\"name\": \"—\"}')::text, 'UTF8')"
    " where type = 'liaison.person.changed.v1' and convert_from(body, 'UTF8')::jsonb ->> 'employee_number' = :number",
)
