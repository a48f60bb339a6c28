"""Business time: the cases that other products publish, what they got wrong, and what is decided here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventkit.errors import RuleBroken
from services.tickets.business_time.calendar import Calendar, Edge, Pause
from services.tickets.business_time.cases import answer
from services.tickets.business_time.files import load_calendars, read_calendars

PUBLISHED = msgspec.json.decode((Path(__file__).parents[3] / "shared/cases/sla.json").read_bytes())
CALENDARS, FAULTS = read_calendars(PUBLISHED["calendars"])
SHIPPED = load_calendars()
MON_TO_FRI = {"mon-fri": [["09:00", "12:00"], ["13:30", "18:00"]]}


def desk(**definition: Any) -> Calendar:
    calendars, faults = read_calendars({"desk": {"timezone": "Asia/Shanghai", "week": MON_TO_FRI, **definition}})
    assert faults == []
    return calendars.named["desk"]


def at(text: str, calendar: Calendar | None = None) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=(calendar or SHIPPED.of("5x8")).zone)


def due(calendar: Calendar, start: str, target: timedelta, *pauses: tuple[str, str | None]) -> str | None:
    paused = [Pause(at(begin, calendar), at(end, calendar) if end else None) for begin, end in pauses]
    found = calendar.due(at(start, calendar), target, paused).at
    return found.astimezone(calendar.zone).strftime("%Y-%m-%d %H:%M:%S") if found else None


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in PUBLISHED["cases"]])
def test_every_case_that_other_products_publish_holds(case: Mapping[str, Any]) -> None:
    assert FAULTS == []
    expected = {name: case[name] for name in ("id", "due", "elapsed_s") if name in case}
    assert answer(msgspec.json.encode(case), 1, CALENDARS, {}) == expected


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in PUBLISHED["cases"] if "due" in case])
def test_the_open_time_up_to_each_published_due_moment_is_its_target(case: Mapping[str, Any]) -> None:
    turned = {name: value for name, value in case.items() if name not in {"target_s", "due", "edge"}}
    answered = answer(msgspec.json.encode({**turned, "end": case["due"]}), 1, CALENDARS, {})
    assert answered["elapsed_s"] == case["target_s"]


# What other products got wrong (notes/tickets.md 2.4).


def test_two_pauses_in_the_same_minute_both_count_to_the_second() -> None:
    pauses = ("2026-03-02 10:00:05", "2026-03-02 10:00:15"), ("2026-03-02 10:00:30", "2026-03-02 10:00:52")
    assert due(desk(), "2026-03-02 09:00", hours(2), *pauses) == "2026-03-02 11:00:32"


def test_fifty_pauses_of_a_second_each_move_the_due_moment_by_fifty_seconds() -> None:
    pauses = [(f"2026-03-02 10:{minute:02}:00", f"2026-03-02 10:{minute:02}:01") for minute in range(50)]
    assert due(desk(), "2026-03-02 09:00", hours(2), *pauses) == "2026-03-02 11:00:50"


def test_waiting_in_closed_hours_moves_nothing() -> None:
    assert due(desk(), "2026-03-02 17:00", hours(2), ("2026-03-02 18:30", "2026-03-03 08:00")) == "2026-03-03 10:00:00"


def test_a_pause_over_lunch_counts_without_the_lunch() -> None:
    assert due(desk(), "2026-03-02 11:00", hours(2), ("2026-03-02 11:30", "2026-03-02 14:00")) == "2026-03-02 15:30:00"


def test_split_shifts_count_each_part() -> None:
    assert due(desk(), "2026-03-02 11:59:59", timedelta(seconds=2)) == "2026-03-02 13:30:01"


def test_a_yearly_closure_goes_over_new_year() -> None:
    calendar = desk(closed_yearly={"12-24..01-02": "年终停产"})
    assert due(calendar, "2026-12-23 17:00", hours(2)) == "2027-01-04 10:00:00"


def test_a_yearly_closure_on_29_february_closes_leap_years_only() -> None:
    calendar = desk(closed_yearly=["02-29"])
    assert due(calendar, "2024-02-28 17:00", hours(2)) == "2024-03-01 10:00:00"
    assert due(calendar, "2023-02-28 17:00", hours(2)) == "2023-03-01 10:00:00"


def test_closed_days_make_the_wait_longer_not_shorter() -> None:
    assert due(desk(closed=["2026-03-03"]), "2026-03-02 17:00", hours(2)) == "2026-03-04 10:00:00"


def test_hours_need_not_begin_on_the_hour() -> None:
    calendar = desk(week={"mon": [["08:15:30", "08:16"]]})
    assert due(calendar, "2026-03-02 00:00", timedelta(seconds=31)) == "2026-03-09 08:15:31"


def test_a_moment_in_another_zone_is_the_same_moment() -> None:
    assert due(desk(), "2026-03-02T06:30:00+05:30", hours(1)) == due(desk(), "2026-03-02T01:00:00Z", hours(1))


def test_a_late_raise_of_the_priority_gives_a_due_moment_in_the_past() -> None:
    # The calendar does not know what time it is: whoever arms the timer sees at once that it was due.
    assert due(desk(), "2026-03-02 09:00", hours(1)) == "2026-03-02 10:00:00"


def test_ten_years_of_holidays_and_a_thousand_closed_dates_cost_no_day_by_day_walk() -> None:
    closed = [(date(2010, 1, 1) + timedelta(days=3 * number)).isoformat() for number in range(1000)]
    calendar = desk(closed=closed, holidays="CN")
    start, end = at("2010-01-01 00:00"), at("2025-12-20 00:00")
    whole = calendar.elapsed(start, end).time
    assert calendar.due(start, whole).at == calendar.due(start, whole, edge=Edge.CLOSE).at
    assert calendar.elapsed(start, calendar.due(start, whole).at or start).time == whole


# What is decided here.


@pytest.mark.parametrize(
    ("edge", "found"), [(Edge.CLOSE, "2026-03-02T10:00:00+00:00"), (Edge.OPEN, "2026-03-03T01:00:00+00:00")]
)
def test_a_target_used_up_at_closing_is_due_at_closing_or_at_the_next_opening(edge: Edge, found: str) -> None:
    moment = desk().due(at("2026-03-02 17:00"), hours(1), edge=edge).at
    assert moment is not None
    assert moment.isoformat() == found


@pytest.mark.parametrize(("edge", "found"), [(Edge.CLOSE, "10:00"), (Edge.OPEN, "11:00")])
def test_a_target_used_up_as_a_pause_begins_is_due_then_or_when_it_ends(edge: Edge, found: str) -> None:
    pause = Pause(at("2026-03-02 10:00"), at("2026-03-02 11:00"))
    assert desk().due(at("2026-03-02 09:00"), hours(1), [pause], edge=edge).at == at(f"2026-03-02 {found}")


def test_while_a_pause_lasts_nothing_is_due_that_was_not_due_before() -> None:
    assert due(desk(), "2026-03-02 09:00", hours(2), ("2026-03-02 10:00", None)) is None
    assert due(desk(), "2026-03-02 09:00", hours(1), ("2026-03-02 10:00", None)) == "2026-03-02 10:00:00"


def test_pauses_may_overlap_touch_and_come_in_any_order() -> None:
    pauses = [
        ("2026-03-02 10:20", "2026-03-02 10:40"),
        ("2026-03-02 10:00", "2026-03-02 10:30"),
        ("2026-03-02 10:40", "2026-03-02 10:50"),
        ("2026-03-02 08:00", "2026-03-02 09:10"),
        ("2026-03-02 10:05", "2026-03-02 10:06"),
    ]
    elapsed = desk().elapsed(at("2026-03-02 09:00"), at("2026-03-02 12:00"), [Pause(at(a), at(b)) for a, b in pauses])
    assert elapsed.time == timedelta(minutes=180 - 10 - 50)


def test_a_night_shift_belongs_to_the_date_on_which_it_begins() -> None:
    calendar = desk(week={"fri": [["22:00", "06:00"]]}, closed=["2026-03-07"])
    assert due(calendar, "2026-03-06 12:00", hours(8)) == "2026-03-07 06:00:00"
    over_new_year = desk(week={"thu": [["22:00", "06:00"]]}, closed=["2026-01-01"])
    assert due(over_new_year, "2025-12-31 12:00", hours(8)) == "2026-01-09 06:00:00"
    assert due(desk(week={"wed": [["22:00", "06:00"]]}), "2025-12-31 12:00", hours(8)) == "2026-01-01 06:00:00"


def test_openings_that_overlap_count_once() -> None:
    calendar = desk(week={"mon": [["09:00", "12:00"], ["11:00", "13:00"], ["13:00", "14:00"]]})
    assert calendar.elapsed(at("2026-03-02 00:00"), at("2026-03-03 00:00")).time == hours(5)


def test_an_hour_that_clocks_skip_is_not_worked_and_one_shown_twice_is_worked_twice() -> None:
    night = desk(timezone="Europe/Berlin", week={"sun": [["01:00", "04:00"]]})
    for day, worked in (("2024-03-31", 2), ("2024-10-27", 4), ("2024-11-03", 3)):
        begin = at(f"{day} 00:00", night)
        assert night.elapsed(begin, begin + hours(12)).time == hours(worked)


def test_the_first_of_two_is_meant_and_what_is_skipped_begins_at_once() -> None:
    night = desk(timezone="Europe/Berlin", week={"sun": [["02:30", "05:00"]]})
    for begin_at, opens_at in (
        (datetime(2024, 10, 26, tzinfo=UTC), datetime(2024, 10, 27, 0, 30, tzinfo=UTC)),
        (datetime(2024, 3, 30, tzinfo=UTC), datetime(2024, 3, 31, 1, 0, tzinfo=UTC)),
    ):
        [(found, _)] = night.openings(begin_at, begin_at + timedelta(days=2))
        assert found == opens_at


def test_shanghai_put_its_clocks_forward_in_the_eighties() -> None:
    calendar = desk(week={"sun": [["00:00", "12:00"]]})
    begin = at("1986-05-04 00:00", calendar)
    assert calendar.elapsed(begin, begin + timedelta(days=1)).time == hours(11)


@pytest.mark.parametrize(
    ("start", "target", "found"),
    [
        pytest.param("2026-02-13 17:30", 5, "2026-02-14 14:30:00", id="a make-up Saturday has workday hours"),
        pytest.param("2026-09-30 17:00", 2, "2026-10-08 09:30:00", id="National Day is closed"),
        pytest.param("2026-03-06 17:00", 2, "2026-03-09 09:30:00", id="a plain weekend is closed"),
        pytest.param("2025-10-01 12:00", 1, "2025-10-09 09:30:00", id="a holiday into the second week"),
    ],
)
def test_workdays_follow_the_notices_of_the_state_council(start: str, target: int, found: str) -> None:
    assert due(SHIPPED.of("5x8"), start, hours(target)) == found


def test_a_year_that_is_not_published_is_named_not_guessed() -> None:
    shipped = SHIPPED.of("5x8")
    assert shipped.due(at("2026-11-20 09:00"), hours(8)).unpublished == ()
    assert shipped.due(at("2026-12-28 09:00"), hours(80)).unpublished == (2027,)
    assert shipped.elapsed(at("2026-12-01 09:00"), at("2028-02-01 09:00")).unpublished == (2027, 2028)
    assert shipped.elapsed(at("2003-11-01 09:00"), at("2004-01-09 09:00")).unpublished == (2003,)
    assert SHIPPED.of("7x8").due(at("2026-12-28 09:00"), hours(80)).unpublished == ()


def test_the_last_days_of_december_belong_to_the_next_notice() -> None:
    # New Year's holiday of 2023 began on 31 December 2022, and 29 December 2018 was a make-up Saturday.
    assert SHIPPED.of("5x8").due(at("2026-12-30 09:00"), hours(1)).unpublished == (2027,)
    assert due(SHIPPED.of("5x8"), "2018-12-28 18:00", hours(1)) == "2018-12-29 09:30:00"


def test_a_file_may_be_ahead_of_the_library() -> None:
    ahead = desk(holidays="CN", published=["2027"], closed={"2027-01-01": "元旦"}, workdays=["2027-01-02"])
    found = ahead.due(at("2026-12-31 17:00"), hours(2))
    assert found.at == at("2027-01-02 10:00")
    assert found.unpublished == ()


def test_the_desk_of_seven_days_works_on_holidays_too() -> None:
    assert due(SHIPPED.of("7x8"), "2026-10-01 16:00", hours(4)) == "2026-10-02 12:00:00"


def test_round_the_clock_is_clock_time() -> None:
    assert due(SHIPPED.of("7x24"), "2026-02-15 23:59:59", hours(24)) == "2026-02-16 23:59:59"


def test_a_special_opening_comes_before_every_closure() -> None:
    calendar = desk(
        holidays="CN",
        closed={"2026-10-01..2026-10-07": "停产"},
        closed_yearly=["10-02"],
        open={"2026-10-02": [["10:00", "11:00"]]},
    )
    assert due(calendar, "2026-09-30 18:00", timedelta(minutes=30)) == "2026-10-02 10:30:00"


def test_make_up_hours_can_be_their_own() -> None:
    calendar = desk(holidays="CN", makeup_hours=[["10:00", "12:00"]])
    assert due(calendar, "2026-02-13 18:00", hours(1)) == "2026-02-14 11:00:00"


@pytest.mark.parametrize(
    ("region", "found"),
    [("新疆", "2026-03-02 11:00:00"), ("工厂", "2026-03-02 07:00:00"), ("华东", "2026-03-02 09:30:00")],
)
def test_a_region_has_its_own_hours_and_others_those_of_the_base(region: str, found: str) -> None:
    assert due(SHIPPED.of("5x8", region), "2026-03-02 06:00", hours(1)) == found


def test_an_overlay_keeps_the_holidays_of_its_base() -> None:
    assert due(SHIPPED.of("5x8", "新疆"), "2026-09-30 19:30", hours(1)) == "2026-10-08 10:30:00"


def test_times_count_to_the_microsecond() -> None:
    start = at("2026-03-02 09:00") + timedelta(microseconds=1)
    assert desk().due(start, hours(1)).at == at("2026-03-02 10:00") + timedelta(microseconds=1)


# What is refused.


@pytest.mark.parametrize(
    ("field", "reckon"),
    [
        ("target_s", lambda calendar: calendar.due(at("2026-03-02"), timedelta(0))),
        ("target_s", lambda calendar: calendar.due(at("2026-03-02"), timedelta(days=200_000))),
        ("start", lambda calendar: calendar.due(datetime(2026, 3, 2), hours(1))),  # noqa: DTZ001 - that is the fault
        ("end", lambda calendar: calendar.elapsed(at("2026-03-02"), datetime(2999, 1, 1, tzinfo=UTC))),
        ("start", lambda calendar: calendar.due(datetime(1, 1, 1, tzinfo=UTC), hours(1))),
        (
            "pauses[1]",
            lambda calendar: calendar.due(
                at("2026-03-02"),
                hours(1),
                [Pause(at("2026-03-02"), at("2026-03-02")), Pause(at("2026-03-03"), at("2026-03-02"))],
            ),
        ),
    ],
)
def test_what_cannot_be_reckoned_is_refused_by_the_name_of_its_field(field: str, reckon: Any) -> None:
    with pytest.raises(RuleBroken) as refused:
        reckon(desk())
    assert refused.value.field == field


@pytest.mark.parametrize(
    "definition",
    [
        {"week": {}},
        {"week": {"mon": []}, "closed_yearly": ["12-31"]},
        {"closed_yearly": ["01-01..12-31"]},
        {"week": {}, "open": {}, "holidays": "CN"},
    ],
)
def test_a_calendar_that_never_opens_is_refused(definition: dict[str, Any]) -> None:
    calendars, [fault] = read_calendars({"desk": {"timezone": "UTC", "week": MON_TO_FRI, **definition}})
    assert calendars.named == {}
    assert "no open time at all" in fault.reason


def test_a_calendar_whose_last_opening_is_past_says_so() -> None:
    calendar = desk(week={}, open={"2020-01-01": [["09:00", "10:00"]]})
    assert due(calendar, "2019-01-01 00:00", hours(1)) == "2020-01-01 10:00:00"
    with pytest.raises(RuleBroken, match="'desk' has no open time after 2020-01-01"):
        due(calendar, "2019-01-01 00:00", hours(2))


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Shanghai", "UTC"])
def test_new_year_comes_when_the_desk_has_it(zone: str) -> None:
    calendar = desk(timezone=zone, week={"mon-sun": [["22:00", "24:00"], ["00:00", "01:00"]]})
    begin = at("2024-12-31 23:30", calendar)
    assert calendar.elapsed(begin, begin + hours(1)).time == hours(1)
    assert calendar.due(begin, hours(1.5), edge=Edge.OPEN).at == at("2025-01-01 22:00", calendar)
    assert calendar.due(begin, hours(1.5), edge=Edge.CLOSE).at == at("2025-01-01 01:00", calendar)
