"""The page of a process tells the truth about what the process did and what waits."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from contracts.gateway import TicketRequested
from eventkit import held
from eventkit.definition import Effect, Job
from eventkit.envelope import Event, encode_data, to_headers
from eventkit.errors import RuleBroken, TryLater
from eventkit.handling import EventHandling
from eventkit.inbox import receive
from eventkit.process import SILENT_S, ServiceProcess, give_way
from eventkit.timers import Timer
from eventkit.work import Work
from tests.eventkit.desk import Desk, eventually, record_and_tell, request

NO_BROKER = "amqp://nobody:nothing@127.0.0.1:1/liaison"
# Far apart from each other and from what a slow machine adds.
SLOW_S, LAG_S, UNSENT_S, LATE_S = 0.02, 100, 400, 100
REQUESTED = f'{{type="{TicketRequested.TYPE}"}}'


def judge(work: Work, event: Event[TicketRequested]) -> None:
    """Handle an event as its title says."""
    time.sleep(SLOW_S)
    if event.data.title == "bad":
        raise RuleBroken("bad title")
    if event.data.title == "later":
        raise TryLater("not yet", delay_s=3600)
    record_and_tell(work, event)


@pytest.fixture
def service(desk: Callable[..., Desk]) -> Desk:
    """A service whose events have somewhere to go."""
    service = desk(handle=judge, effects={"ring": Effect("ring", lambda work, timer: None)})
    service.open_tap()
    return service


def running(service: Desk, uri: str) -> ServiceProcess:
    """Start a replica that reaches a broker under this address."""
    process = ServiceProcess(service.definition, replace(service.settings(), amqp_uri=uri), None)
    service.processes.append(process)
    process.start()
    return process


def deliver(process: ServiceProcess, *events: Event[Any]) -> None:
    """Hand events to a replica in one batch of known size; over the broker it would be what had arrived just then."""
    handling = EventHandling(process.definition, process.engine, process.metrics, process.on_commit)
    handling.handle([receive(to_headers(event), encode_data(event.data)) for event in events])


def page(process: ServiceProcess) -> dict[str, float]:
    """Scrape a replica, and return every sample by its name and labels as Prometheus writes them."""
    scraped = httpx.get(f"http://127.0.0.1:{process.page_port}/metrics", trust_env=False).raise_for_status().text
    found = {}
    for family in text_string_to_metric_families(scraped):
        for name, labels, value, *_ in family.samples:
            inside = ",".join(f'{label}="{labels[label]}"' for label in sorted(labels))
            found[f"{name}{{{inside}}}" if inside else name] = value
    return found


def some_events() -> tuple[Sequence[Event[Any]], Sequence[Event[Any]]]:
    """Return two batches of which two events are handled, one dead, two held, two repeated, one nobody's."""
    asked_at = datetime.now(UTC) - timedelta(seconds=LAG_S)
    good, better = request("A", 1, time=asked_at), msgspec.structs.replace(request("A", 2), history=True)
    bad, behind = request("B", 1, "bad"), request("B", 2)
    later, nobodys = (
        request("C", 1, "later"),
        msgspec.structs.replace(request("D", 1), type="liaison.thing.happened.v1"),
    )
    return [good, good, bad, behind, later, nobodys], [good, better]


def test_what_was_handled_repeated_held_dead_and_how_long_it_took(service: Desk) -> None:
    process = running(service, NO_BROKER)
    for batch in some_events():
        deliver(process, *batch)
    shown = page(process)
    assert {name: shown[f"liaison_events_{name}_total"] for name in ("repeated", "unhandled", "held", "dead")} == {
        "repeated": 2,
        "unhandled": 1,
        "held": 2,
        "dead": 1,
    }
    assert shown[f"liaison_events_handled_total{REQUESTED}"] == 2
    assert (shown["liaison_held_events"], shown["liaison_dead_events"]) == (2, 1)
    # Four of the first batch and one of the second were fresh.
    assert buckets(shown, "liaison_event_batch_size", "1.0", "2.0", "5.0", "+Inf") == [1, 1, 2, 2]
    assert shown["liaison_event_batch_size_sum"] == 5
    # One of the two that were handled is history, whose age says nothing about us.
    assert buckets(shown, "liaison_event_lag_seconds", "60.0", "300.0", "+Inf") == [0, 1, 1]
    assert LAG_S <= shown["liaison_event_lag_seconds_sum"] < 300
    # The one that waits behind the bad one was not tried.
    assert shown[f"liaison_event_handler_duration_seconds_count{REQUESTED}"] == 4
    spent_s = shown[f"liaison_event_handler_duration_seconds_sum{REQUESTED}"]
    assert 4 * SLOW_S <= spent_s <= shown["liaison_event_batch_duration_seconds_sum"]
    assert shown["liaison_event_batch_duration_seconds_count"] == 2


def test_what_becomes_dead_only_after_it_has_waited_is_counted_too(service: Desk) -> None:
    process = running(service, NO_BROKER)
    deliver(process, request("A", 1, "bad"), request("A", 2, "bad"))
    assert page(process)["liaison_events_dead_total"] == 1
    held.discard(service.engine, service.one("select min(position) from eventkit.held_event"))
    eventually(lambda: page(process)["liaison_events_dead_total"] == 2)


def test_an_events_lag_ends_at_its_commit(service: Desk) -> None:
    process = running(service, NO_BROKER)
    deliver(process, request("A", 1))
    assert page(process)["liaison_event_lag_seconds_sum"] >= SLOW_S


def test_a_process_is_not_alive_while_a_loop_of_it_hangs(desk: Callable[..., Desk]) -> None:
    under_way, go_on = threading.Event(), threading.Event()

    def hang(work: Work, timer: Timer) -> None:
        under_way.set()
        go_on.wait(60)

    service = desk(effects={"ring": Effect("ring", hang)})
    process = running(service, service.uri)
    with service.engine.begin() as connection:
        work = Work(connection, source="/test", now=datetime.now(UTC))
        work.arm("ring", key="1", subject="A", due_at=work.now, payload={})
        work.flush()
    assert under_way.wait(60)
    address = f"http://127.0.0.1:{process.page_port}/live"
    assert httpx.get(address, trust_env=False).status_code == 200
    try:
        # As if it had hung for longer than a test should last
        process._running["timers"][0].last_seen -= SILENT_S
        answer = httpx.get(address, trust_env=False)
        assert (answer.status_code, list(answer.json()["problems"])) == (503, ["timers"])
    finally:
        go_on.set()
    eventually(lambda: httpx.get(address, trust_env=False).status_code == 200)


def test_a_call_that_takes_long_is_alive_as_long_as_it_gives_way(desk: Callable[..., Desk]) -> None:
    under_way, gave_way = SimpleQueue[str](), threading.Event()
    go_on, end = threading.Event(), threading.Event()

    def toil(job: Timer) -> None:
        under_way.put(threading.current_thread().name)
        go_on.wait(60)
        give_way()
        gave_way.set()
        end.wait(60)

    toiling = Job("toil", toil, lambda work, job, outcome: None, repeat_after_crash=True)
    service = desk(jobs={"toil": toiling})
    process = running(service, service.uri)
    with service.engine.begin() as connection:
        work = Work(connection, source="/test", now=datetime.now(UTC))
        work.job("toil", key="1", subject="A", payload={})
        work.flush()
    worker = under_way.get(timeout=60)
    try:
        # As if it had toiled for longer than a test should last
        process._running[worker][0].last_seen -= SILENT_S
        assert list(process.live.problems()) == [worker]
        go_on.set()
        assert gave_way.wait(60)
        assert process.live.problems() == {}
    finally:
        go_on.set()
        end.set()


def test_whoever_gives_way_lets_the_other_green_threads_have_their_turn() -> None:
    code = """
from eventkit import green
green.patch()
import threading
from eventkit.process import give_way
turns = []
def work(name):
    while len(turns) < 6:
        turns.append(name)
        give_way()
threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
[each.start() for each in threads]
[each.join() for each in threads]
print("".join(turns))
"""
    told = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, check=True, text=True)
    assert told.stdout.strip().endswith(("abab", "baba")), told.stdout


def test_a_process_is_not_ready_while_one_of_its_loops_fails(service: Desk) -> None:
    process = running(service, service.uri)
    eventually(lambda: process.ready.problems() == {})
    with service.engine.begin() as connection:
        connection.execute(text("alter table eventkit.timer rename to away"))
    eventually(lambda: process.ready.problems().get("lookout") == "database: UndefinedTable")
    with service.engine.begin() as connection:
        connection.execute(text("alter table eventkit.away rename to timer"))
    eventually(lambda: process.ready.problems() == {})


def buckets(shown: dict[str, float], name: str, *bounds: str) -> list[float]:
    """Return how many observations lie at or below each bound."""
    return [shown[f'{name}_bucket{{le="{bound}"}}'] for bound in bounds]


def test_what_waits_for_the_broker_and_what_it_has_confirmed(service: Desk) -> None:
    # Given events that were emitted while the broker is away
    process = running(service, NO_BROKER)
    for batch in some_events():
        deliver(process, *batch)
    with service.engine.begin() as connection:
        connection.execute(
            text("update eventkit.outbox set emitted_at = now() - make_interval(secs => :s)"), {"s": UNSENT_S}
        )
    shown = page(process)
    assert (shown["liaison_outbox_depth"], shown["liaison_events_sent_total"]) == (2, 0)
    assert UNSENT_S <= shown["liaison_outbox_age_seconds"] < UNSENT_S + 200
    # When another replica reaches the broker
    process = running(service, service.uri)
    eventually(lambda: page(process)["liaison_events_sent_total"] == 2)
    # Then nothing waits, once that is marked
    eventually(lambda: page(process)["liaison_outbox_depth"] == 0)
    assert page(process)["liaison_outbox_age_seconds"] == 0


def test_how_late_a_timer_fired_and_for_how_long_one_has_waited(service: Desk) -> None:
    # Given a timer that fell due a while ago, and a job that nobody calls
    with service.engine.begin() as connection:
        work = Work(connection, source="/test", now=datetime.now(UTC))
        for kind, arm in (("ring", work.arm), ("call", work.job)):
            arm(kind, key="A", subject="A", due_at=work.now, payload={})
        work.flush()
        connection.execute(text("update eventkit.timer set due_at = now() - make_interval(secs => :s)"), {"s": LATE_S})
    # When a replica comes up
    process = running(service, NO_BROKER)
    eventually(lambda: page(process)["liaison_timer_lateness_seconds_count"] == 1)
    # Then
    shown = page(process)
    assert buckets(shown, "liaison_timer_lateness_seconds", "60.0", "300.0") == [0, 1]
    assert LATE_S <= shown["liaison_timer_lateness_seconds_sum"] < 300
    assert LATE_S <= shown["liaison_timer_overdue_age_seconds"] < 300
