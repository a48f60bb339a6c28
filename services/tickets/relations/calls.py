"""What the gateway may ask about what binds tickets together, and about doing one thing to many of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from eventkit.errors import NotFound, RuleBroken
from services.tickets.calls import shown, visible, within
from services.tickets.relations import usecases
from services.tickets.relations.links import LinkKind
from services.tickets.relations.quick_texts import check_variables
from services.tickets.rules import is_within
from services.tickets.sla.policy import Policy
from services.tickets.telling import Row, called

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore

MOST_AT_ONCE = 200


def link(store: TicketStore, policy: Policy, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Link a ticket to another, or with `remove` take the link away; returns its links."""
    row, target = _two(store, arguments, "target")
    kind, change = _kind(arguments["kind"]), called(store, actor)
    if arguments.get("remove"):
        usecases.unlink(store, policy, row, kind, target["number"], change)
    else:
        usecases.link(store, policy, row, kind, target, change)
    return links(store, arguments)


def links(store: TicketStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ticket's links in either direction, its watchers, and its own fields."""
    row = visible(store, arguments)
    kept = ("number", "kind", "target", "at", "actor")
    found = [{name: one[name] for name in kept} for one in store.relations.links_of(row["number"])]
    return {"number": row["number"], "links": found, "watchers": list(row["watchers"])}


def merge(store: TicketStore, policy: Policy, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Merge a ticket into another and return it."""
    row, into = _two(store, arguments, "into")
    row = usecases.merge(store, policy, row, into, called(store, actor))
    return shown(row, arguments.get("scope") or {})


def watch(store: TicketStore, policy: Policy, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Let a person, the caller unless told, watch a ticket, or with `remove` no more."""
    row = visible(store, arguments)
    scope = arguments.get("scope") or {}
    person = arguments.get("person") or scope.get("person")
    if not person:
        raise RuleBroken("whom?", field="person")
    if person != scope.get("person") and (scope.get("kind") == "own" or not is_within(row, scope)):
        raise RuleBroken("only for yourself", field="person")
    change = called(store, actor)
    do = usecases.unwatch if arguments.get("remove") else usecases.watch
    row = do(store, policy, row, str(person), change)
    return {"number": row["number"], "links": [], "watchers": list(row["watchers"])}


def each(store: TicketStore, numbers: list[str], do: Callable[[str], Mapping[str, Any]]) -> dict[str, Any]:
    """Do one thing to many tickets and return what became of each; what is refused for one leaves the others done."""
    if not 0 < len(numbers) <= MOST_AT_ONCE:
        raise RuleBroken(f"from 1 to {MOST_AT_ONCE} tickets at once", field="numbers")
    store.preload(request_keys=[], numbers=numbers, people=[])
    results: list[dict[str, Any]] = []
    for number in dict.fromkeys(numbers):
        mark = store.work.mark()
        try:
            do(number)
            results.append({"number": number, "done": True})
        except RuleBroken as refused:
            store.work.undo(mark)
            results.append({"number": number, "done": False, "field": refused.field, "reason": str(refused)})
    return {"results": results, "done": sum(bool(one["done"]) for one in results)}


def quick_texts(store: TicketStore) -> dict[str, Any]:
    """Return every quick text."""
    return {"items": [{"name": one["name"], "body": one["body"]} for one in store.relations.quick_texts()]}


def put_quick_text(store: TicketStore, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Write a quick text; an empty one is taken away. Raises RuleBroken for an unknown variable."""
    body = str(arguments["body"])
    check_variables(body)
    store.relations.put_quick_text(str(arguments["name"]), body, store.work.now, actor)
    return {"name": arguments["name"], "body": body}


def _two(store: TicketStore, arguments: Mapping[str, Any], field: str) -> tuple[Row, Row]:
    row = within(store, arguments)
    try:
        return row, within(store, {**arguments, "number": arguments[field]})
    except NotFound:
        raise RuleBroken(f"no ticket {arguments[field]}", field=field) from None


def _kind(given: str) -> LinkKind:
    try:
        return LinkKind(given)
    except ValueError:
        raise RuleBroken(f"{given!r} is not one of {', '.join(LinkKind)}", field="kind") from None
