"""Problem statistics of a period (T6): frequent fault types, where missed tickets lost their time, first contacts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, and_, exists, func, select

from services.tickets.listing import scope_condition
from services.tickets.support.ledger import first_level, holdings
from services.tickets.tables import clock, ticket, ticket_change

MOST_TYPES = 20
#: Missed tickets whose ledgers are looked at, the newest ones; the answer says how many there were.
MOST_MISSED = 2_000


def statistics(
    connection: Connection, scope: Mapping[str, Any], begin_at: datetime, end_at: datetime, now: datetime
) -> dict[str, Any]:
    """Return the figures of the tickets opened in [begin_at, end_at) that a scope reaches.

    Shares are from 0 to 1, None without tickets. First contact: solved by its first holder on its first level, and not
    reopened. The bottleneck of a missed ticket is the step in which most of its time went, with level and group; what
    lasts counts until now, or the period's end.
    """
    chosen = and_(scope_condition(scope), ticket.c.opened_at >= begin_at, ticket.c.opened_at < end_at)
    passed_on = exists().where(
        ticket_change.c.number == ticket.c.number,
        ticket_change.c.before.is_not(None),
        ticket_change.c.field.in_(("assignee", "support_level")),
    )
    missed = exists().where(clock.c.number == ticket.c.number, clock.c.missed_due_at.is_not(None))
    solved, first = ticket.c.resolved_at.is_not(None), and_(ticket.c.reopen_count == 0, ~passed_on)
    row = connection.execute(
        select(
            func.count().label("opened"),
            func.count().filter(solved).label("solved"),
            func.count().filter(solved, first).label("first_contact"),
            func.count().filter(ticket.c.reopen_count > 0).label("reopened"),
            func.count().filter(missed).label("missed"),
        ).where(chosen)
    ).one()
    numbers = select(ticket.c.number).where(chosen, missed).order_by(ticket.c.number.desc()).limit(MOST_MISSED)
    return {
        "opened": row.opened,
        "solved": row.solved,
        "missed": row.missed,
        "first_contact_share": _share(row.first_contact, row.solved),
        "reopen_share": _share(row.reopened, row.opened),
        "fault_types": _fault_types(connection, chosen),
        "bottlenecks": _bottlenecks(connection, list(connection.execute(numbers).scalars()), min(now, end_at)),
        "missed_looked_at": min(row.missed, MOST_MISSED),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _fault_types(connection: Connection, chosen: Any) -> list[dict[str, Any]]:
    names = (ticket.c.category, ticket.c.subcategory, ticket.c.problem_code)
    count = func.count().label("tickets")
    statement = select(*names, count).where(chosen).group_by(*names).order_by(count.desc(), *names).limit(MOST_TYPES)
    return [dict(row) for row in connection.execute(statement).mappings()]


def _bottlenecks(connection: Connection, numbers: list[str], now: datetime) -> list[dict[str, Any]]:
    """Return in which steps the missed tickets lost most of their time, the most frequent first."""
    shown = select(ticket.c.number, ticket.c.opened_at, ticket.c.support_level).where(ticket.c.number.in_(numbers))
    missed = {row.number: row for row in connection.execute(shown)}
    columns = (ticket_change.c.number, ticket_change.c.at, ticket_change.c.field)
    statement = select(*columns, ticket_change.c.before, ticket_change.c.after)
    statement = statement.where(ticket_change.c.number.in_(numbers))
    statement = statement.order_by(ticket_change.c.number, ticket_change.c.id)
    changes = connection.execute(statement).mappings()
    found: Counter[tuple[str, int, str]] = Counter()
    lost_s: Counter[tuple[str, int, str]] = Counter()
    for number, own in groupby(changes, key=lambda one: one["number"]):
        key, seconds = _longest(missed[number], [dict(one) for one in own], now)
        found[key] += 1
        lost_s[key] += int(seconds)
    return [
        {"step": step, "level": level, "group": group or None, "tickets": count, "seconds": lost_s[step, level, group]}
        for (step, level, group), count in found.most_common(MOST_TYPES)
    ]


def _longest(row: Any, changes: list[dict[str, Any]], now: datetime) -> tuple[tuple[str, int, str], float]:
    sums: dict[tuple[str, int, str], float] = {}
    for held in holdings(row.opened_at, first_level(changes, row.support_level), changes):
        key = (str(held.hands.step), held.hands.level, held.hands.group or "")
        sums[key] = sums.get(key, 0.0) + max(held.seconds(now), 0.0)
    return max(sums.items(), key=lambda one: one[1])
