"""How a transaction changes the journal, the facts and the counters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from eventkit.envelope import Event
from eventkit.work import Row, Rows, Work
from services.metrics import tables
from services.metrics.tables import FACT_TABLES, counter, journal

# Partitions are made this far ahead, so that a service that rests for weeks does not miss a month.
MONTHS_AHEAD = 3
#: After this many months the journal forgets people (design: kept).
KEPT_MONTHS = 25
_ONE_AT_A_TIME = 0x11A15FAC

metadata = tables.metadata
"""Every table of this service."""


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

    def thin_journal(self, since: datetime | None) -> datetime | None:
        """Take what people wrote and who they are out of the next events older than KEPT_MONTHS; see `thin_journal`."""
        return thin_journal(self._work.connection, self._work.now, since)

    def call_again(self, kind: str, *, in_s: float, payload: Mapping[str, Any]) -> None:
        """Have the timer of this kind fire again."""
        due_at = self._work.now + timedelta(seconds=in_s)
        self._work.arm(kind, key="journal", subject="journal", due_at=due_at, payload=payload)


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


def thin_journal(connection: Connection, now: datetime, since: datetime | None) -> datetime | None:
    """Leave of the next events older than KEPT_MONTHS only what the numbers need; return how far, None at the end.

    A journal of personal data needs an end. The events themselves stay, so that a rebuild gives the same bytes.
    since: how far it was thinned before.
    """
    span = {"now": now, "months": KEPT_MONTHS, "since": since or datetime.min.replace(tzinfo=UTC)}
    until: datetime | None = connection.execute(
        text(
            "select max(arrived_at) from (select arrived_at from journal where arrived_at > :since"
            " and arrived_at < cast(:now as timestamptz) - make_interval(months => :months)"
            " order by arrived_at limit :most) as next"
        ),
        {**span, "most": _THINNED_AT_ONCE},
    ).scalar()
    if until is None:
        return None
    kept = f"({_BODY} - array[{_PERSONAL}])"
    bare = (
        f"{kept} || case when type = 'liaison.person.changed.v1' then '{{\"name\": \"—\"}}'::jsonb else {_BLANKED} end"
    )
    connection.execute(
        text(
            f"update journal set body = convert_to(({bare})::text, 'UTF8'), headers = headers || '{_THIN}'"
            f" where arrived_at > :since and arrived_at <= :until and not headers @> '{_THIN}'"
        ),
        {"since": span["since"], "until": until},
    )
    return until


_THINNED_AT_ONCE = 5_000
_THIN = '{"ce-thin": "true"}'
_BODY = "convert_from(body, 'UTF8')::jsonb"
#: The fields in which people are named or have written; titles and texts are required, so they are replaced.
_PERSONAL = (
    "'description', 'solution', 'comment', 'reason', 'answer', 'author', 'mail_from', 'attachments', 'email', 'mobile',"
    " 'dingtalk_id', 'wecom_id', 'feishu_id', 'position', 'manager', 'groups', 'roles', 'away'"
)
_BLANKED = " || ".join(
    f"case when {_BODY} ? '{field}' then '{{\"{field}\": \"—\"}}'::jsonb else '{{}}'::jsonb end"
    for field in ("title", "text")
)

_REQUEST = "type = 'liaison.ticket.requested.v1'"
_TOLD = "(type like 'liaison.ticket.%' or type like 'liaison.sla.%')"
_ASKED_BY = f"{_BODY} ->> 'requester' = :number"
#: Texts about a ticket of somebody: title and description are theirs, comment and solution are written to them.
_OF_A_TICKET = (
    f"update journal set body = convert_to(({_BODY} - array['description', 'comment', 'solution', 'reason'] ||"
    f" {_BLANKED})::text, 'UTF8') where"
)

#: What erases a person (S6) from the journal. What the counts need stays, so that a rebuild gives the same numbers.
FORGET = (
    # Updates first, which say whose ticket they are about by its number or by the key of its request.
    f"{_OF_A_TICKET} type = 'liaison.ticket.update_requested.v1' and ("
    " headers ->> 'ce-actor' = :number"
    f" or {_BODY} ->> 'number' in (select subject from journal where {_TOLD} and {_ASKED_BY})"
    " or (source, headers ->> 'ce-externalref') in"
    f" (select source, headers ->> 'ce-externalref' from journal where {_REQUEST} and {_ASKED_BY}))",
    f"{_OF_A_TICKET} {_TOLD} and {_ASKED_BY}",
    # What the person wrote on tickets of others.
    f"{_OF_A_TICKET} type in ('liaison.ticket.commented.v1', 'liaison.ticket.reopened.v1')"
    " and headers ->> 'ce-actor' = :number",
    f"update journal set body = convert_to(({_BODY} - array['email', 'mobile', 'dingtalk_id',"
    " 'wecom_id', 'feishu_id', 'position', 'manager', 'groups', 'roles', 'away'] || '{\"name\": \"—\"}')::text, 'UTF8')"
    f" where type = 'liaison.person.changed.v1' and {_BODY} ->> 'employee_number' = :number",
    f"update journal set body = convert_to(({_BODY} - array['mail_from', 'description', 'comment', 'attachments']"
    " || '{\"title\": \"—\"}')::text, 'UTF8')"
    f" where type in ('liaison.ticket.requested.v1', 'liaison.ticket.update_requested.v1')"
    f" and lower({_BODY} ->> 'mail_from') = :address",
    f"update journal set body = convert_to(({_BODY} - array['author', 'answer'] || '{{\"text\": \"—\"}}')::text,"
    " 'UTF8')"
    f" where type like 'liaison.feedback.%' and {_BODY} ->> 'author' = :number",
)
