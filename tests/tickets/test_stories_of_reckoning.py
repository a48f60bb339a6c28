"""What other desks reckoned wrongly (notes/tickets.md 2.4 and 4), each story told as what our clocks do instead.

The week of these stories begins on Monday, 2 March 2026; nothing here needs a server.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from contracts.tickets import Target
from services.tickets.business_time.allowance import Allowance
from services.tickets.business_time.calendar import Calendar, Edge
from services.tickets.business_time.files import load_calendars, read_calendars
from services.tickets.sla.clock import Clock, OnChange

CHINA = ZoneInfo("Asia/Shanghai")
OFFICE = load_calendars().of("5x8")
ROUND_THE_CLOCK = load_calendars().of("7x24")
HOUR_S = 3600


def on(moment: str) -> datetime:
    """Return a moment of the desk's wall clock in 2026, such as 03-02 09:00."""
    return datetime.fromisoformat(f"2026-{moment}").replace(tzinfo=CHINA)


def begun(moment: str, hours: float, calendar: Calendar = OFFICE) -> Clock:
    return Clock.started(Target.SOLUTION, 1, on(moment), round(hours * HOUR_S), calendar, "通用")


def kept(**hours_and_days: object) -> Calendar:
    """Return a calendar as a file would have it."""
    found, faults = read_calendars({"own": {"timezone": "Asia/Shanghai", **hours_and_days}})
    assert not faults
    return found.of("own")


def test_two_pauses_that_begin_in_the_same_minute_both_count() -> None:
    # Zammad, ticket_biz_break.rb: pauses are kept under HH:MM, so the second takes the place of the first.
    clock = begun("03-02 09:00", 2)
    for begin, end in (("09:30:02", "09:30:12"), ("09:30:20", "09:30:50")):
        clock = clock.paused(on(f"03-02 {begin}")).resumed(on(f"03-02 {end}"))
    assert clock.due_at == on("03-02 11:00:40")


def test_a_pause_counts_to_the_second() -> None:
    # Zammad, ticket_biz_break.rb: a pause is cut to whole minutes, so this one would be none, or one of a minute.
    paused = begun("03-02 09:00", 2).paused(on("03-02 09:30:50")).resumed(on("03-02 09:31:09"))
    assert paused.due_at == on("03-02 11:00:19")
    assert paused.elapsed_s(on("03-02 09:40")) == 40 * 60 - 19


def test_an_hour_before_the_due_moment_of_tomorrow_is_tomorrow_at_ten_not_midnight() -> None:
    # GLPI PR 22678: hours from 08:00 to 18:00, four hours from Monday at 17:00; the level was run on Tuesday at 00:00.
    hours = kept(week={"mon-fri": [["08:00", "12:00"], ["12:00", "18:00"]]})
    assert [begun("03-02 10:00", 4, hours).used_at(share) for share in (0.75, 1)] == [
        on("03-02 13:00"),
        on("03-02 14:00"),
    ]
    assert [begun("03-02 17:00", 4, hours).used_at(share) for share in (0.75, 1)] == [
        on("03-03 10:00"),
        on("03-03 11:00"),
    ]


def test_a_share_of_ten_days_is_a_threshold_of_its_own_and_never_before_the_ticket() -> None:
    # GLPI PR 15357, #15429: with a calendar, a level was run together with the end, or as soon as the ticket was there.
    clock = begun("03-02 08:30", 80)
    assert clock.used_at(0.1) == on("03-02 18:00")
    assert clock.used_at(0.5) == on("03-06 18:00")
    assert clock.due_at == on("03-13 18:00")


def test_waiting_while_the_desk_is_closed_moves_nothing() -> None:
    # GLPI PR 14937, #10594: the closing hours of a wait were added to the due moment.
    clock = begun("03-06 16:00", 4)
    over_the_weekend = clock.paused(on("03-06 18:00")).resumed(on("03-09 08:30"))
    assert over_the_weekend.due_at == clock.due_at == on("03-09 10:30")
    half_an_hour_of_it_open = clock.paused(on("03-06 17:45")).resumed(on("03-09 08:45"))
    assert half_an_hour_of_it_open.due_at == on("03-09 11:00")


@pytest.mark.parametrize("how", [OnChange.FROM_START, OnChange.CARRY])
def test_another_level_forgets_no_pause(how: OnChange) -> None:
    # GLPI #6902, #15605: the new service level counts from the opening as if the ticket had never waited.
    waited = begun("03-02 08:30", 8).paused(on("03-02 09:30")).resumed(on("03-04 09:30"))
    changed = waited.restated(4 * HOUR_S, OFFICE, "重大故障", how, on("03-04 10:30"))
    # One hour was used up on Monday and one on Wednesday.
    assert changed.elapsed_s(on("03-04 10:30")) == 2 * HOUR_S
    assert changed.due_at == on("03-04 14:00")


def test_a_month_is_no_span_and_thirty_workdays_are_thirty_workdays() -> None:
    # GLPI, by its own remark in Calendar.php: a month is taken for thirty working days. Here nobody can write one down.
    for month in ("1 month", "1M", "1mo"):
        with pytest.raises(ValueError, match="is not a span"):
            Allowance.read(month)
    assert begun("03-02 08:30", Allowance.read("30 workdays").in_s(OFFICE) / HOUR_S).due_at == on("04-13 18:00")


def is_open(calendar: Calendar, moment: datetime) -> bool:
    """Tell whether time counts from a moment on."""
    return calendar.elapsed(moment, moment + timedelta(microseconds=1)).time > timedelta(0)


def test_a_yearly_closure_that_spans_new_year_closes_both_ends_of_it() -> None:
    # GLPI: a yearly closure whose end comes before its begin in the calendar of a year never matches.
    closed = kept(week={"mon-sun": [["09:00", "18:00"]]}, closed_yearly=["12-24..01-02"])
    for day in ("12-24", "12-31", "01-01", "01-02"):
        assert not is_open(closed, on(f"{day} 12:00"))
    assert is_open(closed, on("12-23 12:00"))
    assert is_open(closed, on("01-03 12:00"))
    assert begun("12-23 17:00", 2, closed).due_at == on("12-23 18:00") + timedelta(days=10, hours=16)


def test_a_hold_is_added_to_the_due_moment_and_the_ticket_stays_as_old_as_it_is() -> None:
    # Frappe PR 2449: the hold was added to the time of creation, and the target was counted from there.
    held = begun("03-02 10:00", 3).paused(on("03-02 11:30")).resumed(on("03-02 14:30"))
    assert held.started_at == on("03-02 10:00")
    assert held.due_at == on("03-02 16:00")


def test_lunch_does_not_count() -> None:
    # Frappe #2212, #1528: a day has one begin and one end, and nobody goes to lunch.
    assert begun("03-02 11:30", 1).due_at == on("03-02 14:00")


def test_a_zone_of_the_one_who_looks_moves_no_deadline() -> None:
    # Frappe PR 3776: deadlines were read in the agent's time zone, and were two and a half hours off in India.
    here = begun("03-02 09:00", 2)
    there = Clock.started(
        Target.SOLUTION, 1, on("03-02 09:00").astimezone(ZoneInfo("Asia/Kolkata")), 2 * HOUR_S, OFFICE, ""
    )
    assert there.due_at == here.due_at == on("03-02 11:00")
    assert there.due_at.utcoffset() == timedelta(0)


def test_a_target_in_business_hours_is_not_counted_by_the_clock_on_the_wall() -> None:
    # Chatwoot PR 13392: until 2026 the business hours of an inbox meant nothing to its service level.
    in_hours, on_the_wall = (begun("03-06 17:00", 4, calendar) for calendar in (OFFICE, ROUND_THE_CLOCK))
    assert (in_hours.due_at, on_the_wall.due_at) == (on("03-09 11:30"), on("03-06 21:00"))
    assert in_hours.elapsed_s(on("03-09 08:30")) == HOUR_S


def test_a_miss_grows_no_more_once_the_ticket_is_resolved() -> None:
    # Chatwoot PR 15024: by how much a target was missed was counted up to now, also for what was resolved long ago.
    resolved = begun("03-02 09:00", 2).missed().stopped(on("03-02 12:00"))
    assert [resolved.elapsed_s(on(moment)) for moment in ("03-02 12:00", "03-31 12:00")] == [3 * HOUR_S] * 2
    assert resolved.missed_due_at == on("03-02 11:00")


def test_a_day_of_two_shifts_counts_both_and_nothing_between() -> None:
    # Chatwoot #14009: an inbox opens once a day.
    shifts = kept(week={"mon-fri": [["06:00", "10:00"], ["16:00", "20:00"]]})
    assert begun("03-02 09:00", 2, shifts).due_at == on("03-02 17:00")
    assert begun("03-02 05:00", 8, shifts).due_at == on("03-02 20:00")


def test_two_openings_of_one_date_are_both_kept() -> None:
    # osTicket: a schedule keeps one entry for a date, so the afternoon takes the place of the morning.
    fair = kept(week={"mon-fri": [["09:00", "17:00"]]}, open={"2026-03-07": [["09:00", "11:00"], ["15:00", "16:00"]]})
    opened = fair.elapsed(on("03-07 00:00"), on("03-08 00:00"))
    assert opened.time == timedelta(hours=3)
    assert begun("03-07 10:00", 1.5, fair).due_at == on("03-07 15:30")


def test_excluded_days_make_a_wait_longer() -> None:
    # django-helpdesk: from the days of a wait those that are excluded are taken away, so that it ends sooner.
    plain = kept(week={"mon-fri": [["09:00", "17:00"]]})
    excluding = kept(week={"mon-fri": [["09:00", "17:00"]]}, closed=["2026-03-03", "2026-03-04"])
    waits = [begun("03-02 12:00", Allowance.read("3 workdays").in_s(one) / HOUR_S, one) for one in (plain, excluding)]
    assert [clock.due_at for clock in waits] == [on("03-05 12:00"), on("03-09 12:00")]


def test_nobody_is_told_of_anything_while_the_desk_is_closed() -> None:
    # OTOBO #2928: notices in working hours only had to be asked for and added; Zammad #2157: sent at midnight.
    for hour in range(14 * 24):
        clock = Clock.started(Target.SOLUTION, 1, on("03-02 00:17") + timedelta(hours=hour), 5 * HOUR_S, OFFICE, "")
        for moment in map(clock.used_at, (0.3, 0.5, 0.75, 0.9, 1)):
            # At closing time somebody is still there.
            assert is_open(OFFICE, moment - timedelta(seconds=1)), f"{moment} of a ticket of {clock.started_at}"


def test_what_is_used_up_at_closing_time_is_due_then_or_at_the_next_opening_as_the_desk_decides() -> None:
    # Zammad and GLPI say the next opening, Frappe, Chatwoot and Znuny closing time; neither says midnight.
    week = {"mon-fri": [["09:00", "17:00"]]}
    found = {edge: begun("03-06 15:00", 2, kept(week=week, edge=str(edge))).due_at for edge in Edge}
    assert found == {Edge.CLOSE: on("03-06 17:00"), Edge.OPEN: on("03-09 09:00")}
