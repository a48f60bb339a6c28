"""The service as a process: from the broker to the page, through kills and rebuilds."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from liaison import metrics_rebuild
from liaison.installation import Installation
from services.metrics import recount as recounting
from tests.eventkit.desk import eventually
from tests.metrics.house import House, samples
from tests.metrics.replica import Replicas
from tests.metrics.stories import NOW, told
from tests.metrics.truth import truth

_BY_THE_CLOCK = ("liaison_ticket_oldest_open_age_seconds", "liaison_tickets_open_by_age")


def _lasting(shown: dict[str, float]) -> dict[str, float]:
    """Leave out what changes while time passes, and the noise of adding floats up in another order."""
    return {
        name: round(value, 6)
        for name, value in shown.items()
        if not name.startswith(_BY_THE_CLOCK) and "_recent" not in name
    }


# What a death leaves suspected is tried one by one, which a busy machine does at a few events a second.
@pytest.mark.timeout(300)
@pytest.mark.faults
def test_killed_processes_and_repeats_leave_true_numbers(house: House, replicas: Replicas) -> None:
    events = told(21, tickets=250, others=100)
    chooser = random.Random(21)
    copies = [event for event in events for _ in range(chooser.choice([1, 1, 2]))]
    chooser.shuffle(copies)
    replicas.start()
    kills = threading.Thread(target=_kill_and_start, args=(replicas, 3))
    kills.start()
    for begin in range(0, len(copies), 200):
        replicas.publish(copies[begin : begin + 200])
        time.sleep(0.1)
    kills.join()
    url = replicas.start()
    eventually(lambda: house.rows("select count(*) from journal") == [(len(events),)], 200, "every event journaled")
    shown = samples(httpx.get(f"{url}/facts").content)
    assert _lasting(shown) == _lasting(truth(events, NOW))
    assert house.rows("select count(*) from eventkit.held_event") == [(0,)]


def _kill_and_start(replicas: Replicas, times: int) -> None:
    for _ in range(times):
        time.sleep(0.4)
        replicas.kill9()
        replicas.start()
    time.sleep(0.2)
    replicas.kill9()


def test_the_page_is_there_with_every_series_and_passes_promtool(house: House, replicas: Replicas) -> None:
    url = replicas.start()
    answer = httpx.get(f"{url}/facts")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert samples(answer.content) == dict.fromkeys(truth([], NOW), 0.0)
    replicas.publish(told(3))
    eventually(lambda: "liaison_tickets_open{" in httpx.get(f"{url}/facts").text)
    eventually(lambda: samples(httpx.get(f"{url}/facts").content)["liaison_events_refused_total"] == 20)
    for path in ("/facts", "/metrics"):
        page = httpx.get(url + path).content
        lint = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
        assert (lint.returncode, lint.stdout + lint.stderr) == (0, b""), path
    own = httpx.get(f"{url}/metrics").text
    assert "liaison_facts_scrape_duration_seconds_count" in own
    assert "liaison_facts_scrape_errors_total 0.0" in own
    assert "_created" not in own + httpx.get(f"{url}/facts").text


def test_a_rebuild_beside_a_running_service_loses_nothing_and_shows_no_number_in_between(
    house: House, replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = told(31, tickets=150, others=50)
    half = len(events) // 2
    url = replicas.start()
    replicas.publish(events[:half])
    eventually(lambda: house.rows("select count(*) from journal") == [(half,)])
    # A wrong number, so that there is something to put right.
    series = 'liaison_events_journaled_total{type="liaison.ticket.opened.v1"}'
    house.run("update counter set value = value + 1000000 where series = :series", series=series)
    monkeypatch.setattr(recounting, "PAGE", 50)
    monkeypatch.setattr(recounting, "_FEW", 10)
    shown: list[float] = []

    def look(done: int, total: int) -> None:
        if not shown:
            # In the midst of the rebuild, more is published, and the service goes on taking it.
            replicas.publish(events[half:])
            eventually(lambda: house.rows("select count(*) from journal") == [(len(events),)])
        shown.append(samples(httpx.get(f"{url}/facts").content)[series])

    found = recounting.recount(house.engine, look)
    assert found == recounting.Recount(events=len(events), corrected=1)
    assert len(shown) > 10
    assert all(1000000 < number <= 1000150 for number in shown)
    assert _lasting(samples(httpx.get(f"{url}/facts").content)) == _lasting(truth(events, NOW))


def test_the_service_waits_while_the_last_events_are_counted_again(
    house: House, replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = told(32, tickets=10, others=10)
    half = len(events) // 2
    replicas.start()
    replicas.publish(events[:half])
    eventually(lambda: house.rows("select count(*) from journal") == [(half,)])

    def look(done: int, total: int) -> None:
        # All of these events are few enough to be counted while the service is kept out.
        replicas.publish(events[half:])
        time.sleep(0.5)
        assert house.rows("select count(*) from journal") == [(half,)]

    assert recounting.recount(house.engine, look).events == half
    eventually(lambda: house.rows("select count(*) from journal") == [(len(events),)])
    assert _lasting(house.numbers(NOW)) == _lasting(truth(events, NOW))


def test_the_command_counts_again(house: House, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    house.hand_in(told(4)[:150])
    page = house.page(NOW)
    monkeypatch.setattr(Installation, "load", lambda: installation)
    monkeypatch.setattr(Installation, "database_uri", lambda self, service: house.database_uri)
    assert "150 events counted again: every number was right" in _run_rebuild()
    house.run("truncate counter")
    assert "rows corrected" in _run_rebuild()
    assert house.page(NOW) == page


def test_a_rebuild_of_an_event_that_cannot_be_read_names_it_and_changes_nothing(
    house: House, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.hand_in(told(4)[:20])
    house.run("update journal set id = 'broken', body = 'x' where position = (select max(position) from journal)")
    page = house.page(NOW)
    monkeypatch.setattr(Installation, "load", lambda: installation)
    monkeypatch.setattr(Installation, "database_uri", lambda self, service: house.database_uri)
    assert "event broken of the journal" in _run_rebuild(exit_code=1)
    assert house.page(NOW) == page


def _run_rebuild(*, exit_code: int = 0) -> str:
    result: Any = CliRunner().invoke(metrics_rebuild.metrics, ["rebuild"])
    assert result.exit_code == exit_code, result.exception
    return str(result.output)
