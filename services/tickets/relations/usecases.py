"""Linking, merging and watching tickets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.tickets import TicketChanged
from eventkit.errors import RuleBroken
from services.tickets import usecases
from services.tickets.relations.links import ACYCLIC, LinkKind, leads_back
from services.tickets.rules import FINISHED
from services.tickets.sla.policy import Policy
from services.tickets.telling import Change, Row, begun, tell

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore

#: More people than this do not watch one ticket.
MOST_WATCHERS = 50


def link(store: TicketStore, policy: Policy, row: Row, kind: LinkKind, target: Row, change: Change) -> None:
    """Link a ticket to another. Raises RuleBroken for itself, a link that is there, and one that closes a circle."""
    number, other = row["number"], target["number"]
    if number == other:
        raise RuleBroken("is the ticket itself", field="target")
    if kind in ACYCLIC and leads_back(number, other, lambda one: store.relations.targets_of(one, kind)):
        raise RuleBroken(f"{other} is {kind} {number} already, perhaps by way of others", field="target")
    if not store.relations.add(number, kind, other, change.moment, change.actor):
        raise RuleBroken("the two are linked so already", field="target")
    _changed(store, policy, row, change, kind, after=other)


def unlink(store: TicketStore, policy: Policy, row: Row, kind: LinkKind, target: str, change: Change) -> None:
    """Take a link away. Raises RuleBroken when there is none."""
    if not store.relations.remove(row["number"], kind, target):
        raise RuleBroken("the two are not linked so", field="target")
    _changed(store, policy, row, change, kind, before=target)


def merge(store: TicketStore, policy: Policy, row: Row, into: Row, change: Change) -> Row:
    """Close a ticket as the duplicate of another, which takes over its requester and watchers.

    Raises RuleBroken for a finished ticket, and for one with children that are not.
    """
    if row["state"] in FINISHED or into["state"] in FINISHED:
        raise RuleBroken("a finished ticket is neither merged nor merged into", field="into")
    link(store, policy, row, LinkKind.DUPLICATE_OF, into, change)
    row = usecases.close_as_duplicate(store, policy, row, change, of=into["number"])
    people = [one for one in (row["requester"], *row["watchers"]) if one and one != into["requester"]]
    for person in people:
        into = watch(store, policy, into, person, change)
    return row


def watch(store: TicketStore, policy: Policy, row: Row, person: str, change: Change) -> Row:
    """Let somebody be told of what becomes of a ticket. Raises RuleBroken when too many are."""
    if person in row["watchers"]:
        return row
    if len(row["watchers"]) >= MOST_WATCHERS:
        raise RuleBroken(f"{MOST_WATCHERS} people watch this ticket already", field="person")
    return _watchers(store, policy, row, [*row["watchers"], person], change, after=person)


def unwatch(store: TicketStore, policy: Policy, row: Row, person: str, change: Change) -> Row:
    """Let somebody be told no more."""
    if person not in row["watchers"]:
        return row
    left = [one for one in row["watchers"] if one != person]
    return _watchers(store, policy, row, left, change, before=person)


def _watchers(store: TicketStore, policy: Policy, row: Row, people: list[str], change: Change, **noted: str) -> Row:
    row, change = begun(store, row, change)
    row = store.tickets.change(row, watchers=people)
    store.note(row["number"], change, "watchers", **noted)
    tell(store, TicketChanged, row, policy, change, changed=("watchers",), occurrences=row["occurrences"])
    return row


def _changed(store: TicketStore, policy: Policy, row: Row, change: Change, kind: LinkKind, **noted: str) -> None:
    row, change = begun(store, row, change)
    store.note(row["number"], change, str(kind), **noted)
    tell(store, TicketChanged, row, policy, change, changed=(str(kind),), occurrences=row["occurrences"])
