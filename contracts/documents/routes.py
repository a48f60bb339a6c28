"""Which service emits and handles which type, and the chains of events that follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

from contracts.fact import Fact
from contracts.register import FACTS
from liaison.services import ALL, GATEWAY, definition

Graph = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Route:
    """One service's part: what it emits, and each type that it handles with the types that may follow from it."""

    service: str
    emits: frozenset[str]
    follows: Graph


def routes() -> tuple[Route, ...]:
    """Return the part of every service, read from its definition."""
    return tuple(_route(name) for name in ALL)


def _route(name: str) -> Route:
    defined = definition(name)
    # A handler may arm any timer or job of its service, so what those emit may follow from every handled type.
    later = _types(chain.from_iterable(effect.emits for effect in defined.effects.values()))
    later |= _types(chain.from_iterable(job.emits for job in defined.jobs.values()))
    follows = {handled: _types(handler.emits) | later for handled, handler in defined.handlers.items()}
    # A command is no event, so that what it announces follows from none.
    commanded = _types(chain.from_iterable(method.emits for method in defined.methods.values()))
    emits = frozenset[str]().union(later, commanded, *follows.values())
    if name == GATEWAY:
        # What others send decides which of these it passes on.
        emits |= {event_type for event_type, fact in FACTS.items() if fact.emitter() == GATEWAY}
    return Route(name, emits, follows)


def _types(facts: Iterable[type[Fact]]) -> frozenset[str]:
    return frozenset(fact.TYPE for fact in facts)


def graph(parts: Iterable[Route]) -> Graph:
    """Return for each type the types that may follow from it, over all services."""
    following: dict[str, frozenset[str]] = {}
    for part in parts:
        for event_type, next_types in part.follows.items():
            following[event_type] = following.get(event_type, frozenset()) | next_types
    return following


def longest_chain(following: Graph, start: str) -> tuple[str, ...]:
    """Return the longest chain of types from `start` on, itself included. Raises ValueError naming a cycle."""
    return _longest(following, (start,))


def _longest(following: Graph, path: tuple[str, ...]) -> tuple[str, ...]:
    longest = path
    for event_type in sorted(following.get(path[-1], ())):
        if event_type in path:
            raise ValueError(f"a cycle of events: {' -> '.join((*path, event_type))}")
        longest = max(longest, _longest(following, (*path, event_type)), key=len)
    return longest
