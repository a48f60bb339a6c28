"""Promise 6: every number equals a count over the facts, after repeats, disorder, restarts and rebuilds."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy.event import listen

from contracts.tickets import FeedbackAnswered, FeedbackReceived, TicketResponded
from eventkit.envelope import Event, new_id
from services.metrics.recount import Recount, recount
from services.metrics.tables import FACT_TABLES
from tests.metrics.house import House
from tests.metrics.stories import NOW, Life, Story, delivered, told
from tests.metrics.truth import latest, truth
from tests.seeds import FIXED_SEEDS, run_seed

SEEDS = [*FIXED_SEEDS, run_seed()]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_page_shows_the_truth_whatever_comes_twice_in_disorder_or_after_a_restart(house: House, seed: int) -> None:
    events = told(seed)
    for number, batch in enumerate(delivered(events, seed)):
        house.hand_in(batch, redelivered=number % 5 == 4)
        if number % 3 == 2:
            house.restart()
    shown, expected = house.numbers(NOW), truth(events, NOW)
    assert shown.keys() == expected.keys()
    assert {name: (value, expected[name]) for name, value in shown.items() if abs(value - expected[name]) > 1e-6} == {}
    assert house.rows("select count(*) from journal") == [(len(events),)]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rebuild_gives_the_same_bytes_and_the_same_facts(house: House, seed: int) -> None:
    for batch in delivered(told(seed), seed):
        house.hand_in(batch)
    page, facts = house.page(NOW), _facts(house)
    count = house.rows("select count(*) from journal")[0][0]
    assert recount(house.engine) == Recount(events=count, corrected=0)
    # So that a rebuild that does nothing cannot pass.
    house.run("update counter set value = value + 7 where series like '%opened%'")
    house.run("delete from ticket_fact where number = 'T3'")
    house.run("insert into person_fact values ('E77', 1, true, null, null, null, false, 'nobody')")
    house.run("update sla_fact set outcome = 'breached', stopped_at = null, history = false where outcome = 'met'")
    assert house.page(NOW) != page
    assert recount(house.engine).corrected > 10
    assert house.page(NOW) == page
    assert _facts(house) == facts


def _facts(house: House) -> list[Any]:
    tables = {"counter": "series", "ticket_fact": "number", "sla_fact": "clock"}
    tables |= {"delivery_fact": "delivery_id", "person_fact": "employee_number", "feedback_fact": "feedback_id"}
    tables |= {"enrolment_fact": "enrolment", "happening_fact": "happening"}
    return [house.rows(f"select * from {table} order by {key}") for table, key in tables.items()]


def test_the_order_of_arrival_leaves_the_same_facts(house: House) -> None:
    events = told(7)
    house.hand_in(events)
    facts, page = _facts(house), house.page(NOW)
    house.run(f"truncate {', '.join(['counter', 'journal', 'eventkit.inbox', *FACT_TABLES])}")
    for event in reversed(events):
        house.hand_in([event])
    assert _facts(house) == facts
    assert house.page(NOW) == page


def test_a_ticket_fact_says_what_the_latest_event_says(house: House) -> None:
    events = told(11)
    for batch in delivered(events, 11):
        house.hand_in(batch)
    stand = {row.number: row for row in house.rows("select * from ticket_fact")}
    expected = latest(events)
    assert stand.keys() == expected.keys()
    for number, event in expected.items():
        row, data = stand[number], event.data
        assert (row.state, row.priority, row.assignee) == (data.state.value, data.priority, data.assignee)
        assert (row.opened_at, row.group_name, row.region) == (data.opened_at, data.group, data.region)
        own = [one for one in events if one.subject == number and hasattr(one.data, "opened_at")]
        answers = [one.data.responded_at for one in own if hasattr(one.data, "responded_at")]
        solutions = [one.data.resolved_at for one in own if hasattr(one.data, "resolved_at")]
        assert row.responded_at == min(answers, default=None)
        assert row.resolved_at == max(solutions, default=None)
        assert row.reopen_count == sum(hasattr(one.data, "reopened_at") for one in own)


def test_imports_enter_facts_and_no_counter_or_window(house: House) -> None:
    events = [_as_history(event) for event in told(5)]
    before = house.numbers(NOW)
    house.hand_in(events)
    after = house.numbers(NOW)
    changed = {name.partition("{")[0] for name in after if after[name] != before.get(name, 0)}
    assert changed == {
        "liaison_tickets_open",
        "liaison_tickets_open_by_age",
        "liaison_feedback_open",
        "liaison_course_enrolments",
        "liaison_course_enrolments_completed",
        "liaison_course_completion_ratio",
        "liaison_tickets_unowned",
        "liaison_ticket_oldest_open_age_seconds",
        "liaison_people_active",
        "liaison_events_journaled_total",
    }
    assert house.rows("select count(*) from ticket_fact where history") == [(25,)]
    assert house.rows("select count(*) from sla_fact where outcome = 'breached' and history")[0][0] > 0


def _as_history(event: Event[Any]) -> Event[Any]:
    return replace(event, history=True)


@pytest.mark.parametrize(
    ("took_s", "bucket", "outside"),
    [
        pytest.param(300.0, "300.0", None, id="exactly at a limit"),
        pytest.param(300.000001, "900.0", "300.0", id="a microsecond over it"),
        pytest.param(259200.000001, "+Inf", "259200.0", id="over the last"),
        pytest.param(-5.0, "300.0", None, id="clocks that disagree"),
    ],
)
def test_a_duration_at_a_limit_of_a_service_level_is_within_it(
    house: House, took_s: float, bucket: str, outside: str | None
) -> None:
    story = Story(1)
    life = Life(story, "L1", NOW, history=False)
    life.stand["priority"] = 1
    life.say(TicketResponded, responded_at=NOW + timedelta(seconds=took_s))
    house.hand_in(story.events)
    shown, name = house.numbers(NOW), "liaison_ticket_first_response_duration_seconds"
    assert shown[f'{name}_bucket{{le="{bucket}",priority="1"}}'] == 1
    assert outside is None or shown[f'{name}_bucket{{le="{outside}",priority="1"}}'] == 0
    assert shown[f'{name}_sum{{priority="1"}}'] == pytest.approx(max(took_s, 0), abs=1e-9)


def test_partitions_that_work_side_by_side_leave_true_numbers(house: House) -> None:
    events = told(13, tickets=60, others=40)
    batches = delivered(events, 13)
    handed_in = [threading.Thread(target=_hand_in_all, args=(house, batches[n::3])) for n in range(3)]
    for thread in handed_in:
        thread.start()
    for thread in handed_in:
        thread.join()
    shown, expected = house.numbers(NOW), truth(events, NOW)
    assert {name: (value, expected[name]) for name, value in shown.items() if abs(value - expected[name]) > 1e-6} == {}
    assert house.rows("select count(*) from eventkit.held_event") == [(0,)]


def _hand_in_all(house: House, batches: Sequence[list[Event[Any]]]) -> None:
    for batch in batches:
        house.hand_in(batch)


def test_the_statements_of_a_batch_grow_with_its_types_and_not_with_its_events(house: House) -> None:
    events = told(17, tickets=200)
    statements: list[str] = []
    listen(house.engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    house.hand_in(events[:200])
    house.hand_in(events[200:400])
    # For each of at most 17 types one for the counters and one a kind of fact; and those of the flush.
    assert len(statements) <= 2 * 50


def test_departments_beyond_the_limit_are_added_up_as_other(house: House) -> None:
    # Given more departments than have series of their own: the larger ones come first, then their names decide
    house.run(
        "insert into enrolment_fact select 'C1/E' || d || '-' || n, 'C1', 'E', 'D' || lpad(d::text, 2, '0'), :now,"
        " case when n = 1 then cast(:now as timestamptz) end, false, 1, 'x'"
        " from generate_series(1, 60) as d, generate_series(1, case when d > 55 then 4 else 2 end) as n",
        now=NOW,
    )
    shown = house.numbers(NOW)
    named = {name.split('"')[1] for name in shown if name.startswith("liaison_course_completion_ratio{")}
    assert named == {*(f"D{d:02}" for d in [*range(1, 46), *range(56, 61)]), "other"}
    assert shown['liaison_course_enrolments{department="other"}'] == 20
    assert shown['liaison_course_completion_ratio{department="other"}'] == 0.5
    assert shown['liaison_course_completion_ratio{department="D60"}'] == 0.25
    assert shown['liaison_course_completions_recent{department="other",window="1h"}'] == 10


def test_what_feedback_has_become_counts_in_the_window_in_which_it_came(house: House) -> None:
    story = Story(1)
    for _ in range(40):
        story.feedback()
    live = [replace(event, history=False) for event in story.events]
    house.hand_in(live)
    answered = [event for event in live if event.type == FeedbackAnswered.TYPE]
    house.hand_in([replace(event, id=new_id(), sequence=99) for event in answered[:1]])
    shown = house.numbers(NOW)
    counts = [value for name, value in shown.items() if name.startswith("liaison_feedback_received_recent{")]
    received = [event.data.received_at for event in live if event.type == FeedbackReceived.TYPE]
    hours = (1, 6, 24, 7 * 24, 30 * 24)
    assert sum(counts) == sum(at > NOW - timedelta(hours=width) for at in received for width in hours) > 0
