"""Business time equals a walk step by step, on calendars, days and pauses that nobody chose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventkit.errors import RuleBroken
from services.tickets.business_time.calendar import Calendar, Edge, Pause
from services.tickets.business_time.explanation import explain
from services.tickets.business_time.files import read_calendars
from tests.tickets.wall_walk import WEEKDAYS, Walk

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
WALK_DAYS = 12
#: Zones, and local dates near which their clocks are put forward or back, or whose days are not what the week says.
TURNS = (
    ("Europe/Berlin", "2024-03-31"),
    ("Europe/Berlin", "2024-10-27"),
    ("America/New_York", "2024-03-10"),
    ("America/New_York", "2024-11-03"),
    ("Asia/Shanghai", "1986-05-04"),
    ("Asia/Shanghai", "1991-09-15"),
    ("Australia/Lord_Howe", "2024-04-07"),
    ("Australia/Lord_Howe", "2024-10-06"),
    ("America/Havana", "2024-03-10"),
    ("America/Havana", "2024-11-03"),
    ("Pacific/Apia", "2011-12-30"),
    ("Asia/Shanghai", "2026-01-01"),
    ("Asia/Shanghai", "2026-02-15"),
    ("America/New_York", "2023-01-01"),
    ("Asia/Kathmandu", "2024-01-01"),
    ("Asia/Kathmandu", "2024-02-29"),
)
WALKED = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def _clock(seconds: int) -> str:
    minutes, second = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}" + (f":{second:02}" if second else "")


@st.composite
def openings(draw: st.DrawFn, unit_s: int = 60) -> list[list[str]]:
    """Up to three openings of a date; one may go over midnight, some touch or overlap."""
    spans = []
    for _ in range(draw(st.integers(0, 3))):
        begins = draw(st.integers(0, 86_400 // unit_s - 1)) * unit_s
        ends = draw(st.integers(1, 86_400 // unit_s)) * unit_s
        if begins != ends:
            spans.append([_clock(begins), _clock(ends)])
    return spans


@st.composite
def desks(draw: st.DrawFn, unit_s: int = 60) -> tuple[dict[str, Any], datetime]:
    """A definition of a calendar, and a start near a turn of its zone's clocks."""
    zone, turn = draw(st.sampled_from(TURNS))
    days = [(datetime.fromisoformat(turn) + timedelta(days=number)).date().isoformat() for number in range(-4, 9)]
    definition = {
        "timezone": zone,
        "week": draw(st.dictionaries(st.sampled_from(WEEKDAYS), openings(unit_s), max_size=7)),
        "closed": draw(st.lists(st.sampled_from(days), max_size=3)),
        "closed_yearly": [day[5:] for day in draw(st.lists(st.sampled_from(days), max_size=2))],
        "open": {
            day: hours
            for day, hours in draw(st.dictionaries(st.sampled_from(days), openings(unit_s), max_size=3)).items()
            if hours
        },
    }
    if zone == "Asia/Shanghai" and turn > "2004" and draw(st.booleans()):
        definition["holidays"] = "CN"
    around = datetime.fromisoformat(turn).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return definition, around + timedelta(seconds=draw(st.integers(-3 * 86_400 // unit_s, 86_400 // unit_s)) * unit_s)


def calendar_of(definition: dict[str, Any]) -> Calendar | None:
    """Return the calendar, or None when it is refused because it never opens."""
    calendars, faults = read_calendars({"drawn": definition})
    if faults:
        assert [fault.reason for fault in faults] == ["calendar 'drawn' has no open time at all"]
        assert not any(definition["week"].values())
        assert not definition["open"]
        return None
    return calendars.named["drawn"]


@st.composite
def pauses_after(draw: st.DrawFn, start: datetime, unit_s: int = 60) -> list[tuple[datetime, datetime]]:
    """Pauses around a start; they overlap, touch, last nothing and come in no order."""
    units = st.integers(-600, 12_000)
    pairs = [sorted((draw(units), draw(units))) for _ in range(draw(st.integers(0, 5)))]
    return [(start + begin * unit_s * SECOND, start + end * unit_s * SECOND) for begin, end in pairs]


def due_or_none(
    calendar: Calendar, start: datetime, target: timedelta, pauses: list[Pause], edge: Edge
) -> datetime | None:
    try:
        return calendar.due(start, target, pauses, edge=edge).at
    except RuleBroken as broken:
        if broken.field not in {"calendar", "target_s"}:
            raise
        return None


@WALKED
@given(st.data())
def test_due_moments_and_open_time_equal_a_walk_minute_by_minute(data: st.DataObject) -> None:
    definition, start = data.draw(desks())
    calendar = calendar_of(definition)
    if calendar is None:
        return
    spans = data.draw(pauses_after(start))
    pauses = [Pause(*span) for span in spans]
    walk = Walk(definition, start, WALK_DAYS * 1440, spans, MINUTE)
    assert calendar.elapsed(start, start + WALK_DAYS * 1440 * MINUTE, pauses).time == walk.elapsed()
    target = data.draw(st.integers(1, max(1, 2 * (walk.elapsed() // MINUTE)))) * MINUTE
    for edge in Edge:
        walked, due = walk.due(target, edge), due_or_none(calendar, start, target, pauses, edge)
        if walked is None:
            assert due is None or due >= start + WALK_DAYS * 1440 * MINUTE
        else:
            assert due == walked, edge


@settings(WALKED, max_examples=20)
@given(st.data())
def test_they_equal_a_walk_second_by_second(data: st.DataObject) -> None:
    definition, start = data.draw(desks(unit_s=1))
    calendar = calendar_of(definition)
    if calendar is None:
        return
    spans = data.draw(pauses_after(start, unit_s=1))
    walk = Walk(definition, start, 86_400, spans, SECOND)
    pauses = [Pause(*span) for span in spans]
    assert calendar.elapsed(start, start + 86_400 * SECOND, pauses).time == walk.elapsed()
    for target in {SECOND, walk.elapsed() // 2 // SECOND * SECOND, walk.elapsed()} - {timedelta(0)}:
        for edge in Edge:
            walked = walk.due(target, edge)
            assert walked in (None, due_or_none(calendar, start, target, pauses, edge))


@WALKED
@given(st.data())
def test_the_open_time_up_to_the_due_moment_is_the_target(data: st.DataObject) -> None:
    definition, start = data.draw(desks(unit_s=1))
    calendar = calendar_of(definition)
    if calendar is None:
        return
    start += data.draw(st.timedeltas(timedelta(0), SECOND))
    pauses = [Pause(*span) for span in data.draw(pauses_after(start))]
    target = data.draw(st.timedeltas(timedelta(microseconds=1), timedelta(days=60)))
    early = due_or_none(calendar, start, target, pauses, Edge.CLOSE)
    late = due_or_none(calendar, start, target, pauses, Edge.OPEN)
    if early is None or late is None:
        return
    assert start < early <= late
    assert calendar.elapsed(start, early, pauses).time == calendar.elapsed(start, late, pauses).time == target
    instant = timedelta(microseconds=1)
    assert calendar.elapsed(start, early - instant, pauses).time == target - instant
    assert calendar.elapsed(start, late + instant, pauses).time == target + instant


@WALKED
@given(st.data())
def test_a_longer_target_a_later_start_and_a_longer_pause_are_never_due_earlier(data: st.DataObject) -> None:
    definition, start = data.draw(desks())
    calendar = calendar_of(definition)
    if calendar is None:
        return
    pauses = [Pause(*span) for span in data.draw(pauses_after(start))]
    target = data.draw(st.timedeltas(SECOND, timedelta(days=3)))
    more = data.draw(st.timedeltas(timedelta(0), timedelta(days=2)))
    edge = data.draw(st.sampled_from(Edge))
    due = due_or_none(calendar, start, target, pauses, edge)
    extra = Pause(start + more, start + 2 * more)
    for later in (
        due_or_none(calendar, start, target + more, pauses, edge),
        due_or_none(calendar, start + more, target, pauses, edge),
        due_or_none(calendar, start, target, [*pauses, extra], edge),
    ):
        assert later is None or (due is not None and due <= later)


@WALKED
@given(st.data())
def test_open_time_adds_up_over_any_cut_and_so_does_its_explanation(data: st.DataObject) -> None:
    definition, start = data.draw(desks())
    calendar = calendar_of(definition)
    if calendar is None:
        return
    pauses = [Pause(*span) for span in data.draw(pauses_after(start))]
    cut, end = sorted(start + data.draw(st.timedeltas(timedelta(0), timedelta(days=400))) for _ in range(2))
    whole = calendar.elapsed(start, end, pauses).time
    assert calendar.elapsed(start, cut, pauses).time + calendar.elapsed(cut, end, pauses).time == whole
    spans = explain(calendar, start, end, pauses)
    assert sum((one.end_at - one.begin_at for one in spans if one.counted), timedelta(0)) == whole
    edges = [start, *(one.end_at for one in spans)]
    assert edges[:-1] == [one.begin_at for one in spans]
    assert edges[-1] == end
    assert all(one.begin_at < one.end_at for one in spans)


def test_the_walk_sees_a_wrong_answer() -> None:
    definition = {"timezone": "UTC", "week": {"mon": [["09:00", "10:00"]]}}
    monday = datetime(2024, 1, 29, tzinfo=UTC)
    walk = Walk(definition, monday, 1440, [], MINUTE)
    assert walk.elapsed() == timedelta(hours=1)
    assert walk.due(timedelta(minutes=60), "close") == monday + timedelta(hours=10)
    assert walk.due(timedelta(minutes=60), "open") is None
    assert walk.due(timedelta(minutes=30), "open") == monday + timedelta(hours=9, minutes=30)


@pytest.mark.parametrize(("zone", "turn"), TURNS)
def test_open_round_the_clock_is_every_moment(zone: str, turn: str) -> None:
    calendar = calendar_of({"timezone": zone, "week": {"mon-sun": [["00:00", "24:00"]]}, "open": {}})
    assert calendar is not None
    begin = datetime.fromisoformat(turn).replace(tzinfo=UTC) - timedelta(days=3)
    assert calendar.elapsed(begin, begin + timedelta(days=700)).time == timedelta(days=700)
    assert calendar.due(begin, timedelta(days=700), edge=Edge.OPEN).at == begin + timedelta(days=700)
