"""Lists of tickets: filters, saved views, order by number or by remaining time, and the cursor of the next page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    any_,
    false,
    func,
    or_,
    select,
    text,
    true,
    tuple_,
    union,
)

from contracts.words import Secrecy
from eventkit.arguments import moment_in
from eventkit.errors import RuleBroken
from services.tickets.tables import OPEN, PAIRS, ticket

#: What is due within this span, or was already, is due soon.
DUE_SOON = timedelta(hours=1)
_EQUAL = (
    "state",
    "priority",
    "assignee",
    "region",
    "department",
    "requester",
    "request_type",
    "channel",
    "category",
    "problem_code",
)
_FINISHED = text("state in ('resolved', 'closed')")
#: In the place of a moment, in the cursor behind a ticket that no clock runs for.
_NEVER = "never"


class View(StrEnum):
    """A saved view; each is of open tickets only."""

    MINE = "mine"  # 我的
    GROUP = "group"  # 本组
    DUE_SOON = "due_soon"  # 即将超时
    UNASSIGNED = "unassigned"  # 待分派


class Order(StrEnum):
    """In which order a list comes."""

    NUMBER = "number"  # the newest first
    DUE = "due"  # by remaining time, the most overdue first


#: As the indexes have them: those that no clock runs for come last.
_ORDERS = {
    Order.NUMBER: (ticket.c.number.desc(),),
    Order.DUE: (ticket.c.due_next_at.asc().nulls_last(), ticket.c.number),
}


class Page(NamedTuple):
    """One page. next_cursor: None on the last one."""

    rows: list[dict[str, Any]]
    next_cursor: str | None


def page_of(
    connection: Connection, scope: Mapping[str, Any], arguments: Mapping[str, Any], now: datetime, limit: int
) -> Page:
    """Return a page of the tickets that a scope reaches, without locking them.

    arguments: `filters`, `view`, `sort` and `cursor` as a caller gives them. Raises RuleBroken naming what is wrong.
    """
    order = _word(Order, arguments.get("sort") or Order.NUMBER, "sort")
    conditions = _conditions(arguments.get("filters") or {})
    if arguments.get("view"):
        conditions += _view(_word(View, arguments["view"], "view"), scope, now)
    cursor = arguments.get("cursor")
    # Each way to see a ticket has an index that knows its order; all of them as alternatives have none.
    ways = (
        _after(cursor, order, select(ticket.c.number).where(way, *conditions))
        .order_by(*_ORDERS[order])
        .limit(limit + 1)
        for way in ways_to_see(scope)
    )
    statement = select(ticket).where(ticket.c.number.in_(union(*ways))).order_by(*_ORDERS[order]).limit(limit + 1)
    rows = [dict(row) for row in connection.execute(statement).mappings()]
    page = rows[:limit]
    return Page(page, _cursor(order, page[-1]) if len(rows) > limit else None)


def _word(kind: type[StrEnum], given: str, field: str) -> Any:
    try:
        return kind(given)
    except ValueError:
        raise RuleBroken(f"{given!r} is not one of {', '.join(kind)}", field=field) from None


def _conditions(filters: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        ticket.c[name] == filters[name] for name in _EQUAL if filters.get(name) is not None
    ]
    if filters.get("group") is not None:
        found.append(ticket.c.group_name == filters["group"])
    if filters.get("open") is not None:
        found.append(or_(OPEN) if filters["open"] else or_(_FINISHED))
    found += _opened(filters)
    if filters.get("q"):
        found.append(_words(str(filters["q"])))
    return found


def _words(q: str) -> ColumnElement[bool]:
    """Return what asks for words in title or description, or for a number; an index finds those that are rare."""
    # Not by `ilike`: the database would count what the pairs have narrowed down a second time, and take any word for
    # so rare that it fetches all tickets that have it instead of the newest.
    there = or_(*(func.strpos(func.lower(text_), q.lower()) > 0 for text_ in (ticket.c.title, ticket.c.description)))
    if len(q) > 1:
        there = and_(there, PAIRS.op("@>")(func.letter_pairs(q)))
    return or_(there, ticket.c.number == q, ticket.c.externalref == q)


def _opened(filters: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """Return what a span of opening asks for; its end does not belong to it, and either may be absent."""
    after, before = (moment_in(filters, name) for name in ("opened_from", "opened_before"))
    if after and before and before <= after:
        raise RuleBroken("must be after opened_from", field="opened_before")
    found = [ticket.c.opened_at >= after] if after else []
    return [*found, ticket.c.opened_at < before] if before else found


def _view(view: View, scope: Mapping[str, Any], now: datetime) -> list[Any]:
    groups = ticket.c.group_name.in_(list(scope.get("groups") or ()))
    own = {
        View.MINE: ticket.c.assignee == scope.get("person"),
        View.GROUP: groups,
        View.DUE_SOON: ticket.c.due_next_at <= now + DUE_SOON,
        View.UNASSIGNED: and_(ticket.c.assignee.is_(None), text("true") if scope.get("kind") == "all" else groups),
    }
    return [OPEN, own[view]]


def _after(cursor: str | None, order: Order, statement: Select[Any]) -> Select[Any]:
    if not cursor:
        return statement
    if order is Order.NUMBER:
        return statement.where(ticket.c.number < cursor)
    moment, _, number = cursor.partition(" ")
    none = ticket.c.due_next_at.is_(None)
    if moment == _NEVER:
        return statement.where(none, ticket.c.number > number)
    try:
        after = datetime.fromisoformat(moment)
    except ValueError:
        raise RuleBroken("is not a cursor of this order", field="cursor") from None
    later = tuple_(ticket.c.due_next_at, ticket.c.number) > tuple_(after, number)
    return statement.where(or_(later, none))


def _cursor(order: Order, last: Mapping[str, Any]) -> str:
    number = str(last["number"])
    if order is Order.NUMBER:
        return number
    return f"{last['due_next_at'].isoformat() if last['due_next_at'] else _NEVER} {number}"


def ways_to_see(scope: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """The same rule as `rules.is_visible`, for the database, as alternatives; a test compares the two."""
    if scope.get("kind") not in ("own", "group") or not scope.get("person"):
        return _ways_within(scope)
    return [*_ways_within(scope), _is_watched_by(scope["person"])]


def _is_watched_by(person: str) -> ColumnElement[bool]:
    # An array, so that it is looked up first and by its index: where nobody watches anything, the database would take
    # everybody for a watcher of many, and walk through all tickets to find the newest.
    watched = ticket.alias()
    numbers = select(watched.c.number).where(
        watched.c.watchers.contains([person]), watched.c.secrecy != Secrecy.SENSITIVE
    )
    return ticket.c.number == any_(func.array(numbers.scalar_subquery()))


def scope_condition(scope: Mapping[str, Any]) -> ColumnElement[bool]:
    """The same rule as `rules.is_within`, for the database."""
    return or_(*_ways_within(scope))


def _ways_within(scope: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    person = scope.get("person")
    mine = [ticket.c.requester == person, ticket.c.assignee == person] if person else []
    match scope.get("kind"):
        case "all":
            return [true()]
        case "own":
            return mine or [false()]
        case "group":
            return [*mine, *(ticket.c.group_name == group for group in scope.get("groups") or ())] or [false()]
        case "department" if scope.get("department") is not None:
            # Without a name, equality would become "is null", which is everybody's without a department.
            return [ticket.c.department == scope["department"]]
    return [false()]
