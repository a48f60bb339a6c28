"""Tickets that wait: their order, who draws them, what is handed over, what is evened out (T3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.gateway import AwaySpan
from services.tickets.duty.assignment import Candidate, Wanted, bar_to, skill_is_lifted
from services.tickets.duty.waiting import are_apart, back_at, drawn, evened_out, queue_order, to_hand_over

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
EAST, SOUTH = "华东支持组", "华南支持组"


def engineer(person: str, open_count: int = 0, capacity: int = 5, group: str = EAST) -> Candidate:
    return Candidate(person, (group,), open_count, capacity)


def ticket(name: str, priority: int = 3, due_h: int | None = 8, age_h: int = 0, group: str = EAST) -> Wanted:
    due_at = None if due_h is None else NOW + due_h * HOUR
    return Wanted(name, group, priority, NOW - age_h * HOUR, due_at)


def given_out(waiting: Sequence[Wanted], people: Sequence[Candidate]) -> dict[str, str | None]:
    return {one.ticket_id: one.person for one in drawn(waiting, people, NOW)}


def away(*hours: tuple[int, int]) -> tuple[AwaySpan, ...]:
    return tuple(AwaySpan(begin_at=NOW + begin * HOUR, end_at=NOW + end * HOUR) for begin, end in hours)


def moves(held: Mapping[str, Sequence[Wanted]], people: Sequence[Candidate]) -> list[tuple[str, str, str | None]]:
    """Return which ticket goes from whom to whom."""
    return [(one.decided.ticket_id, one.giver, one.decided.person) for one in evened_out(held, people, NOW)]


@st.composite
def desks(draw: st.DrawFn) -> tuple[list[Wanted], list[Candidate]]:
    """Tickets that wait in two groups, and people of whom some can take some."""
    groups, skills = st.sampled_from([EAST, SOUTH]), st.sampled_from(["网络", "数据库"])
    people = [
        Candidate(
            f"E{number}",
            draw(st.frozensets(groups, min_size=1)),
            draw(st.integers(0, 3)),
            draw(st.integers(0, 4)),
            draw(st.frozensets(skills)),
            on_duty=draw(st.booleans()),
        )
        for number in range(draw(st.integers(1, 5)))
    ]
    waiting = [
        replace(
            ticket(f"T{number}", draw(st.integers(1, 3)), draw(st.none() | st.integers(1, 3)), group=draw(groups)),
            skill=draw(st.none() | skills),
            not_to=draw(st.sampled_from([(), ("E0",)])),
        )
        for number in range(draw(st.integers(0, 12)))
    ]
    return waiting, people


def test_tickets_wait_by_priority_then_due_moment_then_age() -> None:
    expected = [
        ticket("urgent", 1, due_h=9),
        ticket("due first", due_h=1),
        ticket("older", due_h=2, age_h=5),
        ticket("a", due_h=2),
        ticket("b", due_h=2),
        ticket("no clock", due_h=None, age_h=99),
        ticket("low", 4, due_h=0),
    ]
    assert sorted(reversed(expected), key=queue_order) == expected


def test_whoever_frees_up_draws_the_next_ticket_of_the_region_s_queue() -> None:
    waiting = [ticket("later", due_h=5), ticket("next", due_h=1), ticket("south", 1, group=SOUTH)]
    assert given_out(waiting, [engineer("E1", 5), engineer("E2", 4)]) == {"next": "E2"}


def test_a_ticket_that_comes_does_not_overtake_those_that_wait() -> None:
    waiting = [ticket("waits", age_h=3, due_h=4), ticket("comes", due_h=8)]
    assert given_out(waiting, [engineer("E1", 4)]) == {"waits": "E1"}


def test_a_ticket_that_nobody_with_room_may_take_holds_up_none_behind_it() -> None:
    special = replace(ticket("special", 1), skill="网络")
    people = [engineer("E1", 4), replace(engineer("E2", 5), skills=("网络",))]
    assert given_out([special, ticket("plain")], people) == {"plain": "E1"}


def test_many_that_wait_are_dealt_out_in_turns_and_up_to_the_capacity() -> None:
    waiting = [ticket(f"T{number}") for number in range(9)]
    answers = drawn(waiting, [engineer("E1", capacity=2), engineer("E2"), engineer("E3", 4)], NOW)
    assert [one.person for one in answers] == ["E1", "E2", "E1", "E2", "E2", "E2", "E3", "E2"]


def test_each_draw_is_judged_by_the_load_that_the_draws_before_left() -> None:
    answers = drawn([ticket("T1"), ticket("T2")], [engineer("E1"), engineer("E2", 1)], NOW)
    assert [{one.person: one.open_count for one in answer.judged} for answer in answers] == [
        {"E1": 0, "E2": 1},
        {"E1": 1, "E2": 1},
    ]
    assert [answer.person for answer in answers] == ["E1", "E2"]


@given(desks())
def test_after_a_draw_nobody_with_room_could_take_anything_that_still_waits(
    desk: tuple[list[Wanted], list[Candidate]],
) -> None:
    waiting, people = desk
    answers = drawn(waiting, people, NOW)
    by_name = {one.ticket_id: one for one in waiting}
    loads = {one.person: one.open_count for one in people}
    for answer in answers:
        assert answer.person
        loads[answer.person] += 1
    after = [replace(one, open_count=loads[one.person]) for one in people]
    assert all(
        one.open_count <= max(one.capacity, before.open_count) for one, before in zip(after, people, strict=True)
    )
    given_names = [answer.ticket_id for answer in answers]
    assert given_names == [one.ticket_id for one in sorted(map(by_name.__getitem__, given_names), key=queue_order)]
    for wanted in waiting:
        if wanted.ticket_id not in given_names:
            asked = not skill_is_lifted(wanted, people)
            assert all(bar_to(one, wanted, NOW, ask_skill=asked) for one in after)


@given(desks())
def test_none_is_drawn_before_another_that_the_same_person_could_have_had(
    desk: tuple[list[Wanted], list[Candidate]],
) -> None:
    waiting, people = desk
    by_name = {one.ticket_id: one for one in waiting}
    answers = drawn(waiting, people, NOW)
    got = {answer.ticket_id for answer in answers}
    for answer in answers:
        drawer = next(one for one in people if one.person == answer.person)
        earlier = (one for one in waiting if queue_order(one) < queue_order(by_name[answer.ticket_id]))
        for one in earlier:
            barred = bar_to(drawer, one, NOW, ask_skill=not skill_is_lifted(one, people))
            assert one.ticket_id in got or barred


def test_all_that_a_leaver_holds_is_handed_over_whatever_could_wait() -> None:
    held = [ticket("b", due_h=90), replace(ticket("a", 1), begun=True)]
    leaver = replace(engineer("E1", 2), active=False, away=away((-1, 8)))
    for keep in (False, True):
        assert [one.ticket_id for one in to_hand_over(leaver, held, NOW, keep_what_can_wait=keep)] == ["a", "b"]
    assert given_out(held, [leaver, engineer("E2", 4)]) == {"a": "E2"}


def test_somebody_away_may_keep_what_is_due_only_after_they_are_back() -> None:
    held = [ticket("before", due_h=7), ticket("at", due_h=8), ticket("after", due_h=9), ticket("never", due_h=None)]
    absent = replace(engineer("E1", 4), away=away((-1, 4), (4, 8)))
    assert len(to_hand_over(absent, held, NOW)) == 4
    assert [one.ticket_id for one in to_hand_over(absent, held, NOW, keep_what_can_wait=True)] == ["before", "at"]


def test_whoever_is_there_hands_nothing_over() -> None:
    assert to_hand_over(replace(engineer("E1", 1), away=away((1, 8))), [ticket("a")], NOW) == []


def test_the_end_of_duty_hands_nothing_over() -> None:
    assert to_hand_over(replace(engineer("E1", 1), on_duty=False), [ticket("a")], NOW) == []


@pytest.mark.parametrize(
    ("spans", "hours"),
    [
        pytest.param((), 0, id="not away"),
        pytest.param(((1, 2),), 0, id="away only later"),
        pytest.param(((-1, 0),), 0, id="back at this very moment"),
        pytest.param(((0, 3),), 3, id="away"),
        pytest.param(((3, 5), (0, 3)), 5, id="two spans that touch"),
        pytest.param(((0, 9), (1, 2), (8, 10)), 10, id="spans within and over each other"),
        pytest.param(((0, 3), (4, 5)), 3, id="back in between"),
    ],
)
def test_somebody_is_back_at_the_end_of_all_spans_that_touch(spans: tuple[tuple[int, int], ...], hours: int) -> None:
    assert back_at(away(*spans), NOW) == NOW + hours * HOUR


def test_what_nobody_has_begun_goes_from_who_has_far_more_to_who_has_least_the_last_in_order_first() -> None:
    held = {"E1": [replace(ticket("begun", 4), begun=True), ticket("a", 1), ticket("b", 2), ticket("c", 3)]}
    people = [engineer("E1", 4), engineer("E2", 1), engineer("E3", 2)]
    assert moves(held, people) == [("c", "E1", "E2")]


@pytest.mark.parametrize(
    ("people", "apart"),
    [
        pytest.param([engineer("E1", 2), engineer("E2")], False, id="two apart"),
        pytest.param([engineer("E1", 3), engineer("E2")], True, id="three apart"),
        pytest.param([engineer("E1", 3), engineer("E2", capacity=0)], False, id="without room"),
        pytest.param([engineer("E1", 3), replace(engineer("E2"), on_duty=False)], False, id="not at work"),
        pytest.param([], False, id="nobody"),
    ],
)
def test_people_are_apart_when_one_at_work_holds_far_more_than_another_with_room(
    people: list[Candidate], apart: bool
) -> None:
    assert are_apart(people, NOW) is apart


def test_nothing_goes_between_two_who_are_two_apart() -> None:
    assert evened_out({"E1": [ticket("a"), ticket("b")]}, [engineer("E1", 2), engineer("E2")], NOW) == []


@pytest.mark.parametrize(
    "other",
    [
        replace(engineer("E2"), on_duty=False),
        replace(engineer("E2"), away=away((0, 1))),
        engineer("E2", capacity=0),
        engineer("E2", group=SOUTH),
    ],
)
def test_nothing_goes_to_somebody_who_could_not_be_given_it(other: Candidate) -> None:
    held = {"E1": [ticket(name) for name in "abcd"]}
    assert evened_out(held, [engineer("E1", 4), other], NOW) == []


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=6), st.booleans())
def test_afterwards_no_two_are_more_than_two_apart_while_one_has_room(
    desk: list[tuple[int, int]], one_is_begun: bool
) -> None:
    held = {
        f"E{number}": [
            replace(ticket(f"{number}-{place}"), begun=one_is_begun and place == 0) for place in range(min(pair))
        ]
        for number, pair in enumerate(desk)
    }
    people = [engineer(f"E{number}", min(pair), pair[1]) for number, pair in enumerate(desk)]
    loads = {one.person: one.open_count for one in people}
    for move in evened_out(held, people, NOW):
        loads[move.giver] -= 1
        assert move.decided.person
        loads[move.decided.person] += 1
    with_room = [loads[one.person] for one in people if loads[one.person] < one.capacity]
    assert not with_room or max(loads.values()) - min(with_room) <= 2
    assert sum(loads.values()) == sum(one.open_count for one in people)


def test_who_has_drawn_one_has_had_a_turn() -> None:
    had: dict[str, Any] = {"given_count": 3, "given_at": NOW}
    people = [replace(engineer("E1"), **had), replace(engineer("E2", 1), **had)]
    assert given_out([ticket("T1"), ticket("T2")], people) == {"T1": "E1", "T2": "E2"}


def test_what_goes_is_taken_from_whoever_has_most() -> None:
    held = {"E1": [ticket(f"a{number}") for number in range(4)], "E2": [ticket(f"b{number}") for number in range(5)]}
    people = [engineer("E1", 4), engineer("E2", 5), engineer("E3", capacity=1)]
    assert moves(held, people) == [("b4", "E2", "E3")]


@pytest.mark.parametrize("change", [{"on_duty": False}, {"active": False}, {"away": away((-1, 1))}])
def test_what_somebody_holds_who_is_not_at_work_is_not_evened_out_but_handed_over(change: dict[str, Any]) -> None:
    held = [ticket(name) for name in "abcd"]
    assert evened_out({"E1": held}, [replace(engineer("E1", 4), **change), engineer("E2")], NOW) == []


def test_what_wants_a_skill_goes_to_the_skilled_or_to_anybody_when_nobody_is() -> None:
    held = {"E1": [replace(ticket(name), skill="网络") for name in "abc"]}
    unskilled = [engineer("E1", 3), engineer("E2")]
    assert moves(held, unskilled) == [("c", "E1", "E2")]
    assert evened_out(held, [replace(unskilled[0], skills=("网络",)), unskilled[1]], NOW) == []
