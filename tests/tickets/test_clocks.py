"""SLA clocks as values: they run in business time, stand still, end, and keep their miss."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from contracts.tickets import Target
from services.tickets.business_time.files import load_calendars
from services.tickets.sla.clock import Clock, ClockState, OnChange

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CALENDARS = load_calendars()
ALWAYS = CALENDARS.of("7x24")
WORKDAYS = CALENDARS.of("5x8")
SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def clock(target_min: int = 60) -> Clock:
    return Clock.started(Target.SOLUTION, 1, START, target_min * 60, ALWAYS, "通用")


def desk_clock(begin: str, target_min: int) -> Clock:
    return Clock.started(Target.SOLUTION, 1, local(begin), target_min * 60, WORKDAYS, "通用")


def test_a_pause_moves_the_due_moment_by_its_length() -> None:
    assert clock().paused(at(10)).resumed(at(25)).due_at == at(75)


def test_two_pauses_in_the_same_minute_both_count() -> None:
    twice = clock().paused(at(10)).resumed(at(10.2)).paused(at(10.5)).resumed(at(10.7))
    assert twice.due_at == at(60.4)


def test_fifty_pauses_of_one_ticket_all_count() -> None:
    one = clock()
    for number in range(50):
        one = one.paused(at(number + 0.25)).resumed(at(number + 0.5))
    assert one.due_at == at(60 + 50 * 0.25)


@pytest.mark.parametrize(
    ("now", "missed"),
    [
        pytest.param(at(59), False, id="before it is due"),
        pytest.param(at(60), False, id="due itself is in time"),
        pytest.param(START + timedelta(hours=1, seconds=1), True, id="a second later is late"),
    ],
)
def test_a_target_is_missed_past_its_due_moment(now: datetime, missed: bool) -> None:
    assert clock().is_missed(now) is missed


def test_a_paused_or_stopped_clock_misses_nothing() -> None:
    assert not clock().paused(at(10)).is_missed(at(500))
    assert not clock().stopped(at(10)).is_missed(at(500))


def test_a_miss_is_recorded_once_at_its_due_moment() -> None:
    missed = clock().missed()
    assert missed.missed_due_at == at(60)
    assert not missed.is_missed(at(90))


def test_lunch_night_and_weekend_do_not_count() -> None:
    # 11:30 on a Friday: half an hour until lunch, four and a half after it, the rest on Monday from 08:30.
    assert desk_clock("2026-03-06 11:30", 6 * 60).due_at == local("2026-03-09 09:30")


def test_a_pause_over_the_night_takes_only_the_open_time_that_it_covers() -> None:
    # From 17:30 to 09:00 the desk was open for half an hour each.
    paused = desk_clock("2026-03-05 16:00", 120).paused(local("2026-03-05 17:30")).resumed(local("2026-03-06 09:00"))
    assert paused.due_at == local("2026-03-06 09:30")


def test_a_pause_that_ends_with_the_solution_is_not_held_against_it() -> None:
    # Frappe's 42-day error: paused, then resolved in one step.
    solved = clock().paused(at(10)).stopped(at(60_000))
    assert (solved.state, solved.elapsed_s(at(90_000))) == (ClockState.MET, 600)


@pytest.mark.parametrize(
    ("how", "due"),
    [
        pytest.param(OnChange.FROM_START, at(45), id="from the start, with its pause"),
        pytest.param(OnChange.CARRY, at(45), id="what was used up stays used up"),
        pytest.param(OnChange.RESTART, at(60), id="anew from the change"),
    ],
)
def test_a_new_target_is_counted_as_the_level_says(how: OnChange, due: datetime) -> None:
    changed = clock().paused(at(10)).resumed(at(25)).restated(30 * 60, ALWAYS, "重大故障", how, at(30))
    assert changed.due_at == due


def test_from_start_counts_the_past_in_the_new_calendar_and_carry_keeps_it_as_it_was_counted() -> None:
    # Given four hours around the clock, of which three have passed, all of them in the evening
    evening = Clock.started(Target.SOLUTION, 1, local("2026-03-05 18:00"), 4 * 3600, ALWAYS, "重大故障")
    # When the ticket turns out to be an ordinary one, for office hours
    from_start, carried = (
        evening.restated(4 * 3600, WORKDAYS, "通用", how, local("2026-03-05 21:00"))
        for how in (OnChange.FROM_START, OnChange.CARRY)
    )
    # Then the evening counts for nothing, or three hours stay used up
    assert from_start.due_at == local("2026-03-06 14:00")
    assert carried.due_at == local("2026-03-06 09:30")


def test_a_change_during_a_pause_leaves_the_clock_standing() -> None:
    changed = clock().paused(at(10)).restated(30 * 60, ALWAYS, "重大故障", OnChange.CARRY, at(20))
    assert changed.is_paused
    assert changed.resumed(at(40)).due_at == at(60)


def test_a_new_target_that_is_used_up_already_is_due_in_the_past_or_at_once() -> None:
    from_start = clock().restated(600, ALWAYS, "重大故障", OnChange.FROM_START, at(30))
    carried = clock().restated(600, ALWAYS, "重大故障", OnChange.CARRY, at(30))
    assert (from_start.due_at, carried.due_at) == (at(10), at(30))


def test_a_stopped_clock_is_not_restated() -> None:
    stopped = clock().stopped(at(10))
    assert stopped.restated(60, ALWAYS, "重大故障", OnChange.RESTART, at(20)) is stopped


def test_shares_of_the_target_fall_due_in_business_time() -> None:
    # Three quarters of four hours, from 11:00: one before lunch, two after it.
    assert desk_clock("2026-03-05 11:00", 240).used_at(0.75) == local("2026-03-05 15:30")


@pytest.mark.parametrize(
    ("one", "state"),
    [
        (clock(), ClockState.RUNNING),
        (clock().paused(at(1)), ClockState.PAUSED),
        (clock().stopped(at(1)), ClockState.MET),
        (clock().missed(), ClockState.MISSED),
        (clock().missed().paused(at(90)), ClockState.MISSED),
        (clock().missed().stopped(at(90)), ClockState.MISSED),
    ],
)
def test_a_missed_clock_stays_missed_whatever_else_it_is(one: Clock, state: ClockState) -> None:
    assert one.state is state
