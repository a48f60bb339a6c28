"""Each counted and each skipped span is told with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eventkit.errors import RuleBroken
from services.tickets.business_time.calendar import Calendar, Pause
from services.tickets.business_time.explanation import explain
from services.tickets.business_time.files import load_calendars, read_calendars

SHIPPED = load_calendars()
WORKDAYS = SHIPPED.of("5x8")


def at(text: str, calendar: Calendar = WORKDAYS) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=calendar.zone)


def told(start: str, end: str, pauses: Sequence[Pause] = (), calendar: Calendar = WORKDAYS) -> list[tuple[str, str]]:
    """Return where each span ends, on the wall, and its reason; a + before what counted."""
    return [
        (span.end_at.astimezone(calendar.zone).strftime("%m-%d %H:%M"), ("+" if span.counted else "") + span.text)
        for span in explain(calendar, at(start, calendar), at(end, calendar), pauses)
    ]


def desk(**definition: Any) -> Calendar:
    calendars, faults = read_calendars({"desk": {"timezone": "Asia/Shanghai", **definition}})
    assert faults == []
    return calendars.named["desk"]


def test_a_day_has_hours_lunch_and_evening() -> None:
    assert told("2026-03-02 08:00", "2026-03-03 09:00") == [
        ("03-02 08:30", "非服务时间"),
        ("03-02 12:00", "+服务时间"),
        ("03-02 13:30", "午休"),
        ("03-02 18:00", "+服务时间"),
        ("03-03 08:30", "非服务时间"),
        ("03-03 09:00", "+服务时间"),
    ]


def test_a_make_up_saturday_and_a_holiday_are_told_by_name() -> None:
    assert told("2026-02-13 17:00", "2026-02-24 09:00") == [
        ("02-13 18:00", "+服务时间"),
        ("02-14 08:30", "非服务时间"),
        ("02-14 12:00", "+调休上班（春节）"),
        ("02-14 13:30", "午休"),
        ("02-14 18:00", "+调休上班（春节）"),
        ("02-15 00:00", "非服务时间"),
        ("02-24 00:00", "法定节假日（春节）"),
        ("02-24 08:30", "非服务时间"),
        ("02-24 09:00", "+服务时间"),
    ]


def test_a_weekend_is_told_as_one() -> None:
    assert told("2026-03-06 18:00", "2026-03-09 08:30") == [
        ("03-07 00:00", "非服务时间"),
        ("03-09 00:00", "每周休息日"),
        ("03-09 08:30", "非服务时间"),
    ]


def test_a_pause_says_who_and_why_and_only_where_it_took_time() -> None:
    pause = Pause(at("2026-03-02 11:00"), at("2026-03-02 14:00"), by="E1001", why="等待用户")
    assert told("2026-03-02 09:00", "2026-03-02 15:00", [pause]) == [
        ("03-02 11:00", "+服务时间"),
        ("03-02 12:00", "暂停计时（等待用户，E1001）"),
        ("03-02 13:30", "午休"),
        ("03-02 14:00", "暂停计时（等待用户，E1001）"),
        ("03-02 15:00", "+服务时间"),
    ]


def test_a_pause_that_lasts_goes_to_the_end_and_of_two_the_first_is_told() -> None:
    pauses = [
        Pause(at("2026-03-02 09:30"), None, why="等待厂商"),
        Pause(at("2026-03-02 09:10"), at("2026-03-02 09:40"), why="等待用户"),
        Pause(at("2026-03-02 09:20"), at("2026-03-02 09:25"), why="等待问题"),
    ]
    assert told("2026-03-02 09:00", "2026-03-02 10:00", pauses) == [
        ("03-02 09:10", "+服务时间"),
        ("03-02 09:40", "暂停计时（等待用户）"),
        ("03-02 10:00", "暂停计时（等待厂商）"),
    ]


def test_closures_and_special_openings_tell_the_reason_in_the_file() -> None:
    calendar = desk(
        week={"mon-fri": [["09:00", "10:00"]]},
        closed={"2026-03-03": "盘点"},
        closed_yearly={"03-04": "厂庆"},
        open={"2026-03-05": {"hours": [["11:00", "12:00"]], "reason": "验收"}, "2026-03-06": [["09:00", "10:00"]]},
    )
    assert told("2026-03-03 00:00", "2026-03-07 00:00", calendar=calendar) == [
        ("03-04 00:00", "停止服务（盘点）"),
        ("03-05 00:00", "每年固定停止服务（厂庆）"),
        ("03-05 11:00", "非服务时间"),
        ("03-05 12:00", "+特别开放（验收）"),
        ("03-06 09:00", "非服务时间"),
        ("03-06 10:00", "+特别开放"),
        ("03-07 00:00", "非服务时间"),
    ]


def test_a_night_shift_counts_into_a_holiday_on_which_the_rest_is_closed() -> None:
    calendar = desk(week={"mon-fri": [["22:00", "06:00"]]}, holidays="CN")
    assert told("2026-09-30 20:00", "2026-10-01 08:00", calendar=calendar) == [
        ("09-30 22:00", "非服务时间"),
        ("10-01 06:00", "+服务时间"),
        ("10-01 08:00", "法定节假日（国庆节）"),
    ]


def test_a_break_away_from_noon_is_not_lunch() -> None:
    calendar = desk(week={"mon": [["06:00", "09:00"], ["10:00", "12:00"]]})
    assert told("2026-03-02 06:00", "2026-03-02 12:00", calendar=calendar) == [
        ("03-02 09:00", "+服务时间"),
        ("03-02 10:00", "班间休息"),
        ("03-02 12:00", "+服务时间"),
    ]


def test_round_the_clock_is_one_span() -> None:
    assert told("2026-12-30 00:00", "2027-01-02 00:00", calendar=SHIPPED.of("7x24")) == [("01-02 00:00", "+服务时间")]


def test_what_counted_adds_up_to_the_elapsed_time() -> None:
    begin, end = at("2026-01-05 10:10"), at("2026-12-20 11:11")
    pauses = [Pause(begin + timedelta(days=9 * n), begin + timedelta(days=9 * n, hours=30)) for n in range(20)]
    spans = explain(WORKDAYS, begin, end, pauses)
    assert (
        sum((span.end_at - span.begin_at for span in spans if span.counted), timedelta(0))
        == WORKDAYS.elapsed(begin, end, pauses).time
    )


def test_nothing_is_told_of_a_span_that_ends_before_it_begins() -> None:
    assert told("2026-03-03 00:00", "2026-03-02 00:00") == []


def test_what_cannot_be_reckoned_is_not_explained() -> None:
    with pytest.raises(RuleBroken, match="has no time zone"):
        explain(WORKDAYS, datetime(2026, 3, 2), datetime(2026, 3, 3, tzinfo=UTC))  # noqa: DTZ001 - that is the fault
