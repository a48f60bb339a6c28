"""Who follows whom: chains of events are short, never come back, and every type has one service that says it."""

from __future__ import annotations

from collections import Counter

import pytest

from contracts.documents.routes import graph, longest_chain, routes
from contracts.register import FACTS

ROUTES = routes()
INTAKE = sorted(event_type for event_type, fact in FACTS.items() if fact.emitter() == "gateway")
# Design: at most three events in a chain after intake.
MOST_AFTER_INTAKE = 3


@pytest.mark.parametrize("start", sorted(FACTS))
def test_no_event_leads_back_to_itself(start: str) -> None:
    assert longest_chain(graph(ROUTES), start)[0] == start


@pytest.mark.parametrize("start", INTAKE)
def test_a_chain_after_intake_is_short(start: str) -> None:
    chain = longest_chain(graph(ROUTES), start)
    assert len(chain) - 1 <= MOST_AFTER_INTAKE, " -> ".join(chain)


def test_the_walk_sees_what_really_follows() -> None:
    assert longest_chain(graph(ROUTES), "liaison.ticket.requested.v1")[-1].startswith("liaison.notification.")


def test_a_type_has_one_service_that_emits_it() -> None:
    emitters = Counter(event_type for route in ROUTES for event_type in route.emits)
    assert [event_type for event_type, count in emitters.items() if count > 1] == []


def test_a_service_emits_only_what_its_own_contract_module_declares() -> None:
    strange = [
        f"{route.service} emits {event_type}"
        for route in ROUTES
        for event_type in route.emits
        if event_type not in FACTS or FACTS[event_type].emitter() != route.service
    ]
    assert strange == []


def test_every_declared_type_is_emitted_and_handled_by_somebody() -> None:
    assert set().union(*(route.emits for route in ROUTES)) == set(FACTS)
    assert set().union(*(route.follows for route in ROUTES)) == set(FACTS)


def test_every_type_is_named_in_the_past_tense_family_and_has_a_version() -> None:
    wrong = [name for name in FACTS if not _well_named(name)]
    assert wrong == []


def _well_named(name: str) -> bool:
    house, thing, happened, version = name.split(".")
    return house == "liaison" and thing.isalpha() and happened.endswith(("ed", "met")) and version[1:].isdigit()


def test_a_cycle_is_named() -> None:
    round_trip = {"a": frozenset({"b"}), "b": frozenset({"c"}), "c": frozenset({"a"})}
    with pytest.raises(ValueError, match="a -> b -> c -> a"):
        longest_chain(round_trip, "a")


def test_the_longest_of_several_chains_is_found() -> None:
    following = {"a": frozenset({"b", "c"}), "c": frozenset({"d"}), "d": frozenset({"e"})}
    assert longest_chain(following, "a") == ("a", "c", "d", "e")
