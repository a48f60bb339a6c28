"""Who is on duty, with swaps, stand-ins and absences; and when nobody will be (T13)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.gateway import AwaySpan
from eventkit.errors import RuleBroken
from services.tickets.duty.roster import (
    Duty,
    Gap,
    Post,
    Roster,
    Shift,
    Span,
    Swap,
    Why,
    covered,
    exchange,
    manned,
    news,
    swap_problem,
)

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HOUR = timedelta(hours=1)
POST, OTHER = Post("华东支持组", 1), Post("华东支持组", 2)
HORIZON_H = 30


def span(begin_h: int, end_h: int) -> Span:
    return Span(NOW + begin_h * HOUR, NOW + end_h * HOUR)


def shift(person: str, begin_h: int, end_h: int, stand_in: str | None = None, post: Post = POST) -> Shift:
    return Shift(post, person, span(begin_h, end_h), stand_in)


def swap(giver: str, taker: str, begin_h: int, end_h: int, post: Post = POST) -> Swap:
    return Swap(post, giver, taker, span(begin_h, end_h))


def away(begin_h: int, end_h: int) -> AwaySpan:
    return AwaySpan(begin_at=NOW + begin_h * HOUR, end_at=NOW + end_h * HOUR)


def gap(begin_h: int, end_h: int, *absent: str, goes_on: bool = False, post: Post = POST) -> Gap:
    return Gap(post, span(begin_h, end_h), absent, goes_on)


def on_duty(roster: Roster, hour: int, post: Post = POST) -> list[str]:
    return [duty.person for duty in roster.on_duty(post, NOW + hour * HOUR)]


def day(gaps: Roster, hours: int = 24, **needed: Any) -> list[Gap]:
    return gaps.gaps(NOW, horizon=hours * HOUR, **needed)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    begin = draw(st.integers(-5, HORIZON_H))
    return span(begin, begin + draw(st.integers(1, 12)))


@st.composite
def rosters(draw: st.DrawFn) -> Roster:
    """Whatever people may write down, sensible or not."""
    people, posts = st.sampled_from(["E1", "E2", "E3", "E4"]), st.sampled_from([POST, OTHER])
    return Roster(
        draw(st.lists(st.builds(Shift, posts, people, spans(), st.none() | people), max_size=6)),
        draw(st.lists(st.builds(Swap, posts, people, people, spans()), max_size=4)),
        {
            person: [AwaySpan(begin_at=one.begin_at, end_at=one.end_at) for one in found]
            for person, found in draw(st.dictionaries(people, st.lists(spans(), max_size=2))).items()
        },
        draw(st.frozensets(people, max_size=1)),
    )


def test_somebody_is_on_duty_from_the_begin_of_the_shift_up_to_its_end_and_not_at_it() -> None:
    roster = Roster([shift("E1", 0, 8), shift("E2", 8, 16), shift("E9", 0, 16, post=OTHER)])
    assert [on_duty(roster, hour) for hour in (-1, 0, 7, 8, 15, 16)] == [[], ["E1"], ["E1"], ["E2"], ["E2"], []]


def test_several_may_be_on_duty_each_once_in_the_order_of_the_roster() -> None:
    roster = Roster([shift("E2", 0, 8), shift("E1", 0, 8), shift("E3", 0, 8, "E1")], away={"E3": [away(0, 8)]})
    assert on_duty(roster, 1) == ["E2", "E1"]


def test_the_stand_in_is_on_duty_while_the_person_is_away_or_has_left() -> None:
    shifts = [shift("E1", 0, 8, "E2")]
    roster = Roster(shifts, away={"E1": [away(2, 4)]})
    assert [on_duty(roster, hour) for hour in (1, 2, 3, 4)] == [["E1"], ["E2"], ["E2"], ["E1"]]
    assert roster.on_duty(POST, NOW + 2 * HOUR) == [Duty("E2", Why.STANDING_IN, "E1")]
    assert on_duty(Roster(shifts, left=("E1",)), 1) == ["E2"]


def test_a_stand_in_who_is_away_too_leaves_nobody() -> None:
    roster = Roster([shift("E1", 0, 8, "E2")], away={"E1": [away(0, 8)], "E2": [away(4, 5)]})
    assert [on_duty(roster, hour) for hour in (3, 4, 5)] == [["E2"], [], ["E2"]]
    assert roster.absent(POST, NOW + 4 * HOUR) == ["E1", "E2"]


def test_a_swap_passes_the_duty_on_within_its_span_and_on_its_post_only() -> None:
    shifts = [shift("E1", 0, 8), shift("E1", 0, 8, post=OTHER)]
    roster = Roster(shifts, [swap("E1", "E2", 2, 4)])
    assert [on_duty(roster, hour) for hour in (1, 2, 3, 4)] == [["E1"], ["E2"], ["E2"], ["E1"]]
    assert on_duty(roster, 2, OTHER) == ["E1"]
    assert roster.on_duty(POST, NOW + 2 * HOUR) == [Duty("E2", Why.SWAPPED, "E1")]


def test_what_was_swapped_can_be_swapped_on_and_back() -> None:
    shifts = [shift("E1", 0, 8)]
    on, back = swap("E2", "E3", 0, 4), swap("E3", "E1", 0, 2)
    roster = Roster(shifts, [swap("E1", "E2", 0, 8), on, back])
    assert [on_duty(roster, hour) for hour in (1, 3, 5)] == [["E1"], ["E3"], ["E2"]]
    assert roster.on_duty(POST, NOW + HOUR) == [Duty("E1", Why.ROSTERED)]


def test_the_stand_in_also_replaces_whoever_took_the_duty_over() -> None:
    roster = Roster([shift("E1", 0, 8, "E3")], [swap("E1", "E2", 0, 8)], {"E2": [away(0, 8)]})
    assert roster.on_duty(POST, NOW) == [Duty("E3", Why.STANDING_IN, "E1")]


def test_an_exchange_gives_each_the_other_s_shift() -> None:
    first, second = shift("E1", 0, 8), shift("E2", 24, 32)
    roster = Roster([first, second], exchange(first, second))
    assert (on_duty(roster, 1), on_duty(roster, 25)) == (["E2"], ["E1"])


@pytest.mark.parametrize(
    ("second", "reason"), [(shift("E1", 24, 32), "the same person's"), (shift("E2", 7, 9), "at the same time")]
)
def test_an_exchange_that_changes_nothing_is_refused(second: Shift, reason: str) -> None:
    with pytest.raises(RuleBroken, match=reason):
        exchange(shift("E1", 0, 8), second)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        pytest.param(swap("E1", "E3", 1, 3), None, id="possible"),
        pytest.param(swap("E1", "E3", 0, 8), None, id="the whole shift"),
        pytest.param(swap("E1", "E1", 1, 3), "taker", id="with oneself"),
        pytest.param(swap("E3", "E2", 1, 3), "giver", id="no duty"),
        pytest.param(swap("E1", "E3", 7, 9), "giver", id="no duty at the end"),
        pytest.param(swap("E1", "E3", 1, 3, OTHER), "giver", id="another post"),
        pytest.param(swap("E1", "E2", 4, 8), "taker", id="the taker has a duty in part of it"),
        pytest.param(swap("E1", "E4", 1, 4), "taker", id="the taker is away in part of it"),
    ],
)
def test_a_swap_is_agreed_only_where_it_can_be_done(wanted: Swap, field: str | None) -> None:
    roster = Roster([shift("E1", 0, 8), shift("E2", 6, 12)], away={"E4": [away(3, 5)]})
    problem = swap_problem(roster, wanted)
    assert (problem and problem[0]) == field


def test_a_duty_given_away_cannot_be_given_away_again() -> None:
    roster = Roster([shift("E1", 0, 8)], [swap("E1", "E2", 0, 8)])
    assert swap_problem(roster, swap("E1", "E3", 0, 8)) == ("giver", f"E1 has no duty at {NOW.isoformat()}")
    assert swap_problem(roster, swap("E2", "E3", 0, 8)) is None


def test_a_gap_is_found_between_shifts_before_them_and_after_them() -> None:
    roster = Roster([shift("E1", 2, 8), shift("E2", 9, 20)])
    assert day(roster) == [gap(0, 2), gap(8, 9), gap(20, 24, goes_on=True)]


def test_the_next_seven_days_are_looked_at() -> None:
    assert Roster([shift("E1", 0, 7 * 24)]).gaps(NOW) == []
    assert Roster([shift("E1", 0, 7 * 24 - 1)]).gaps(NOW) == [gap(167, 168, goes_on=True)]


def test_an_absence_is_a_gap_and_names_who_is_not_there() -> None:
    roster = Roster([shift("E1", 0, 24, "E2")], away={"E1": [away(4, 10)], "E2": [away(6, 8)]})
    assert day(roster) == [gap(6, 8, "E1", "E2")]


def test_a_swap_to_somebody_away_is_a_gap() -> None:
    roster = Roster([shift("E1", 0, 24)], [swap("E1", "E3", 4, 10)], {"E3": [away(6, 8)]})
    assert day(roster) == [gap(6, 8, "E3")]


def test_gaps_for_different_reasons_that_touch_are_one() -> None:
    roster = Roster([shift("E1", 0, 8), shift("E2", 10, 24)], away={"E1": [away(6, 8)], "E2": [away(10, 12)]})
    assert day(roster) == [gap(6, 12, "E1", "E2")]


def test_a_gap_counts_only_while_the_post_must_be_manned() -> None:
    roster = Roster([shift("E1", 9, 17)])
    assert day(roster, needed={POST: [span(8, 12), span(12, 18), span(30, 40)]}) == [gap(8, 9), gap(17, 18)]
    assert day(roster, needed={OTHER: [span(8, 12)]}) == [gap(8, 12, post=OTHER)]
    assert day(roster, needed={POST: [span(-5, 10), span(16, 30)]}) == [gap(0, 9), gap(17, 24, goes_on=True)]
    assert day(roster, needed={}) == []


def test_needs_that_touch_or_overlap_are_one() -> None:
    roster = Roster([shift("E1", 8, 10), shift("E2", 15, 18)])
    for needed in ([span(8, 12), span(12, 18)], [span(8, 18), span(9, 10)], [span(12, 18), span(8, 13)]):
        assert day(roster, needed={POST: needed}) == [gap(10, 15)]


def test_each_gap_names_only_who_is_absent_in_it() -> None:
    roster = Roster([shift("E1", 0, 8), shift("E2", 9, 24)], away={"E1": [away(2, 4)]})
    assert day(roster) == [gap(2, 4, "E1"), gap(8, 9)]


def test_a_gap_is_told_in_chinese_and_local_time() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    assert gap(6, 8, "E1", "E2").told(zone) == (
        "华东支持组 关键用户 2026-11-23 14:00 至 2026-11-23 16:00 无人值班(E1、E2 不在岗)"
    )
    assert gap(6, 8, goes_on=True).told(zone).endswith("16:00之后 无人值班(未排班)")


@pytest.mark.parametrize(
    ("found", "is_news"),
    [
        pytest.param(gap(4, 8), False, id="the same"),
        pytest.param(gap(5, 8), False, id="begun by now"),
        pytest.param(gap(5, 7), False, id="partly filled"),
        pytest.param(gap(3, 8), True, id="begins earlier"),
        pytest.param(gap(4, 9), True, id="ends later"),
        pytest.param(gap(9, 10), True, id="another one"),
        pytest.param(gap(4, 8, post=OTHER), True, id="of another post"),
        pytest.param(gap(20, 30), False, id="went on past what was looked at"),
        pytest.param(gap(24, 30), False, id="goes on where the last look ended"),
        pytest.param(gap(25, 30), True, id="begins after what was looked at"),
    ],
)
def test_only_a_gap_that_the_last_look_did_not_show_is_news(found: Gap, is_news: bool) -> None:
    known = [gap(4, 8), gap(20, 24, goes_on=True)]
    assert news([found], known) == ([found] if is_news else [])


@pytest.mark.parametrize(
    ("begin", "end"), [(NOW, NOW), (NOW, NOW - HOUR), (NOW.replace(tzinfo=None), NOW), (NOW, NOW.replace(tzinfo=None))]
)
def test_a_span_needs_time_zones_and_some_time(begin: datetime, end: datetime) -> None:
    with pytest.raises(RuleBroken):
        Span(begin, end)


@given(rosters())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_at_every_hour_somebody_is_on_duty_or_there_is_a_gap(roster: Roster) -> None:
    needed = {post: [span(0, HORIZON_H)] for post in (POST, OTHER)}
    gaps = day(roster, HORIZON_H, needed=needed)
    for post in needed:
        for hour in range(HORIZON_H):
            inside = [one for one in gaps if one.post == post and one.span.holds(NOW + hour * HOUR)]
            assert len(inside) == (not on_duty(roster, hour, post))
        own = [one.span for one in gaps if one.post == post]
        assert all(first.end_at < second.begin_at for first, second in pairwise(own))
    assert news(gaps, gaps) == []


@given(rosters())
def test_nobody_is_on_duty_who_is_away_has_left_or_is_not_named(roster: Roster) -> None:
    for hour in range(-5, HORIZON_H + 12):
        moment = NOW + hour * HOUR
        running = [one for one in roster.shifts if one.post == POST and one.span.holds(moment)]
        takers = {one.taker for one in roster.swaps if one.post == POST and one.span.holds(moment)}
        named = {one.person for one in running} | {one.stand_in for one in running} | takers
        found = roster.on_duty(POST, moment)
        assert len({duty.person for duty in found}) == len(found) <= len(running)
        for duty in found:
            assert duty.person in named - set(roster.left)
            assert not any(one.begin_at <= moment < one.end_at for one in roster.away.get(duty.person, ()))


@given(rosters(), st.builds(Swap, st.just(POST), st.just("E1"), st.just("E5"), spans()))
def test_a_swap_that_can_be_agreed_puts_the_taker_on_duty_instead_of_the_giver(roster: Roster, wanted: Swap) -> None:
    if swap_problem(roster, wanted) is None:
        after = Roster(roster.shifts, [*roster.swaps, wanted], roster.away, roster.left)
        for hour in range(-5, HORIZON_H + 12):
            if wanted.span.holds(NOW + hour * HOUR):
                assert "E5" in on_duty(after, hour)


def test_what_was_on_a_post_is_taken_from_a_shift_and_the_rest_of_what_is_over_is_left() -> None:
    # Given a post that had somebody for some of the last ten hours, and another one that always had
    stored = [shift("E1", -8, -6), shift("E2", -7, -5), shift("E3", -2, 4), shift("E4", -20, 20, post=OTHER)]
    had = manned(stored, NOW)
    assert had == {POST: [span(-8, -5), span(-2, 0)], OTHER: [span(-20, 0)]}
    # Then a shift of these hours is left with those in which nobody was there, and with what is to come
    assert shift("E5", -10, 6).without(had[POST]) == [shift("E5", -10, -8), shift("E5", -5, -2), shift("E5", 0, 6)]
    assert shift("E5", -10, -1, post=OTHER).without(had[OTHER]) == []


def test_shifts_cover_their_posts_from_the_first_to_the_last_from_now_on() -> None:
    new = [shift("E1", -8, -6), shift("E1", 4, 6), shift("E2", 8, 9), shift("E3", -8, -6, post=OTHER)]
    assert covered(new, NOW) == {POST: span(0, 9)}
    assert covered(new[1:], NOW) == {POST: span(4, 9)}
