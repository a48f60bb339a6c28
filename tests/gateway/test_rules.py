"""Patterns of types, and names of publishers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway import rules
from services.gateway.verdicts import Directory, Publisher

words = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map(".".join)
patterns = st.one_of(words, words.map(lambda text: f"{text}.*"))


@pytest.mark.parametrize(
    ("pattern", "event_type", "covers"),
    [
        ("erp.*", "erp.a", True),
        ("erp.*", "erp.a.b", True),
        ("erp.*", "erp", False),
        ("erp.*", "erp.", False),
        ("erp.*", "erpx.a", False),
        ("erp.*", "erp.a\n", False),
        ("erp.a", "erp.a", True),
        ("erp.a", "erpxa", False),
        ("erp.a", "erp.a.b", False),
        ("liaison.ticket.requested.v1", "liaison.ticket.requested.v1", True),
    ],
)
def test_a_pattern_covers_types(pattern: str, event_type: str, covers: bool) -> None:
    assert rules.may_send([pattern], event_type) is covers
    # The broker's dialect writes the end of the text as \z, Python's as \Z.
    assert bool(re.search(rules.broker_pattern([pattern]).replace(r"\z", r"\Z"), event_type)) is covers


@given(patterns, patterns, words)
def test_what_two_patterns_both_cover_is_an_overlap(one: str, other: str, event_type: str) -> None:
    if rules.may_send([one], event_type) and rules.may_send([other], event_type):
        assert rules.overlap(one, other)
    assert rules.overlap(one, other) == rules.overlap(other, one)


@given(patterns, patterns)
def test_an_overlap_has_a_type_that_both_cover(one: str, other: str) -> None:
    if rules.overlap(one, other):
        # Of two patterns that overlap, the one with the longer fixed part lies within the other.
        longest = max(one, other, key=lambda pattern: (len(pattern.removesuffix("*")), pattern)).replace("*", "x")
        assert rules.may_send([one], longest)
        assert rules.may_send([other], longest)


@given(st.lists(patterns, min_size=1, max_size=4), words)
def test_the_directory_finds_the_sender_that_the_patterns_name(chosen: list[str], event_type: str) -> None:
    apart = [one for number, one in enumerate(chosen) if not any(rules.overlap(one, two) for two in chosen[:number])]
    directory = Directory([Publisher(f"p{number}", "/p", (one,)) for number, one in enumerate(apart)])
    expected = [number for number, one in enumerate(apart) if rules.may_send([one], event_type)]
    assert [one.name for one in directory.senders_of(event_type)] == [f"p{number}" for number in expected]


@given(st.lists(patterns, min_size=1, max_size=4), words)
def test_the_directory_finds_everybody_who_shares_a_type(chosen: list[str], event_type: str) -> None:
    directory = Directory([Publisher(f"p{number}", f"/p{number}", (one,)) for number, one in enumerate(chosen)])
    expected = {f"p{number}" for number, one in enumerate(chosen) if rules.may_send([one], event_type)}
    assert {one.name for one in directory.senders_of(event_type)} == expected


@pytest.mark.parametrize(
    ("name", "source", "may"),
    [
        ("ERP", "/erp", ["erp.*"]),
        ("tickets", "/tickets", ["x.*"]),
        ("unknown", "/x", ["x.*"]),
        ("erp", "/liaison/tickets", ["erp.*"]),
        ("erp", "", ["erp.*"]),
        ("erp", "/e rp", ["erp.*"]),
        ("erp", "/erp", []),
        ("erp", "/erp", ["*"]),
        ("erp", "/erp", ["erp*"]),
        ("erp", "/erp", ["erp.*.x"]),
        ("erp", "/erp", ["erp.#"]),
        ("erp", "/erp", [".*"]),
    ],
)
def test_wrong_names_sources_and_patterns_are_refused(name: str, source: str, may: list[str]) -> None:
    assert rules.publisher_problem(name, source, may)


def test_what_is_right_is_taken() -> None:
    assert rules.publisher_problem("erp-2", "urn:x:erp", ["erp.*", "liaison.ticket.requested.v1"]) is None


def test_a_role_may_nothing_that_the_table_does_not_name() -> None:
    assert all(rules.scope_of(role, "tickets.delete") is rules.Scope.NONE for role in rules.Role)
