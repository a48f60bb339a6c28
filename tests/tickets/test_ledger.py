"""Who held a ticket for how long: the seconds add up to its life, whatever happened to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.words import TicketState
from services.tickets.support.ledger import Step, holdings

OPENED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return OPENED + timedelta(minutes=minutes)


def change(minutes: float, field: str, after: Any) -> dict[str, Any]:
    return {"at": at(minutes), "field": field, "after": after}


BIRTH = [change(0, "state", "new"), change(0, "group", "G"), change(0, "assignee", None)]


def told(changes: list[dict[str, Any]], now: datetime) -> list[tuple[Any, ...]]:
    return [
        (one.hands.level, one.hands.group, one.hands.person, one.hands.step, one.seconds(now) / 60)
        for one in holdings(OPENED, 2, changes)
    ]


def test_a_life_from_the_queue_to_the_vendor_and_back() -> None:
    changes = [
        *BIRTH,
        change(10, "assignee", "E1"),
        change(20, "state", "awaiting_user"),
        change(50, "state", "in_progress"),
        change(60, "support_level", "4"),
        change(60, "group", "V"),
        change(60, "state", "awaiting_vendor"),
        change(200, "state", "resolved"),
        change(230, "state", "closed"),
    ]
    assert told(changes, at(9999)) == [
        (2, "G", None, Step.QUEUE, 10),
        (2, "G", "E1", Step.WORK, 10),
        (2, "G", "E1", Step.AWAITING_USER, 30),
        (2, "G", "E1", Step.WORK, 10),
        (4, "V", "E1", Step.AWAITING_VENDOR, 140),
        (4, "V", "E1", Step.CONFIRMATION, 30),
    ]


def test_what_lasts_counts_until_now() -> None:
    assert told([*BIRTH, change(10, "assignee", "E1")], at(15))[-1] == (2, "G", "E1", Step.WORK, 5)


def test_while_it_was_closed_nobody_held_it() -> None:
    changes = [*BIRTH, change(10, "state", "closed"), change(100, "state", "in_progress")]
    assert sum(minutes for *_, minutes in told(changes, at(130))) == 10 + 30


_FIELDS = st.one_of(
    st.tuples(st.just("state"), st.sampled_from([str(one) for one in TicketState if one is not TicketState.OTHER])),
    st.tuples(st.just("group"), st.sampled_from(["G", "H", None])),
    st.tuples(st.just("assignee"), st.sampled_from(["E1", "E2", None])),
    st.tuples(st.just("support_level"), st.sampled_from(["2", "3", "4"])),
    st.tuples(st.just("priority"), st.sampled_from(["1", "2"])),
)


@given(st.lists(st.tuples(st.integers(-2, 5), _FIELDS), max_size=30))
def test_the_seconds_add_up_to_the_life(steps: list[tuple[int, tuple[str, Any]]]) -> None:
    # A moment that falls counts as that of the change before.
    minutes, latest, changes = 0, 0, list(BIRTH)
    life, state = 0, "new"
    for passed, (field, after) in steps:
        minutes += passed
        changes.append(change(minutes, field, after))
        life += max(minutes - latest, 0) if state != "closed" else 0
        latest = max(minutes, latest)
        state = after if field == "state" else state
    now = at(latest + 7)
    life += 7 if state != "closed" else 0
    found = holdings(OPENED, 2, changes)
    assert sum(one.seconds(now) for one in found) == life * 60
    assert all(one.end_at is None or one.end_at > one.begin_at for one in found)
    assert all(before.end_at <= after.begin_at for before, after in pairwise(found) if before.end_at)
