"""The page: complete, in one order, and quick."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from contracts.gateway import AlertFired
from contracts.register import FACTS
from contracts.words import ALERTS_SOURCE, LIAISON, WATCHDOG, Severity
from eventkit.errors import BadSettings
from services.metrics import gauges, rules
from services.metrics.gauges import METRICS
from services.metrics.metric import Histogram, Metric
from services.metrics.page import FactsPage, render
from services.metrics.settings import Settings
from tests.eventkit.desk import reported
from tests.metrics.house import House, samples
from tests.metrics.stories import NOW, told


def test_every_series_is_declared_with_a_sentence_and_within_the_limit() -> None:
    for metric in METRICS:
        assert metric.help[0].isupper()
        assert metric.help.endswith(".")
        count = len(list(metric.series()))
        assert count * (11 if isinstance(metric, Histogram) else 1) <= 2000, metric.name
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_whatever_events_count_is_on_the_page() -> None:
    shown = samples(render({}))
    declared = {key for metric in METRICS for _, key in metric.series() if not isinstance(metric, Histogram)}
    for metric in METRICS:
        if isinstance(metric, Histogram):
            declared |= {key for part in (metric.buckets, metric.sums) for _, key in part.series()}
    for event in told(1, tickets=200):
        assert {series for series, _ in rules.counted(event)} <= declared
        assert {series for series, _ in rules.newest(event)} <= declared
    assert len(shown) == sum(len(list(_samples_of(metric))) for metric in METRICS)


def _samples_of(metric: Metric) -> list[str]:
    if not isinstance(metric, Histogram):
        return [key for _, key in metric.series()]
    return [key for part in (metric.buckets, metric.sums, metric) for _, key in part.series()]


def test_a_value_outside_a_closed_list_is_shown_as_other_and_refused_where_there_is_none() -> None:
    metric = Metric("m", "counter", "M.", {"outcome": ("ok", "other"), "priority": ("1",)})
    assert metric.at("ok", "1") == 'm{outcome="ok",priority="1"}'
    assert metric.at("new", "1") == 'm{outcome="other",priority="1"}'
    with pytest.raises(ValueError, match="priority='9' is none of 1"):
        metric.at("ok", "9")


def test_every_type_of_event_has_its_place_in_the_journal_count(house: House) -> None:
    shown = house.numbers(NOW)
    assert {f'liaison_events_journaled_total{{type="{name}"}}' for name in FACTS} <= shown.keys()


_HAPPENING = "happening_fact set what = '{}', word = '{}', priority = 1, history = false, at = :at"
_CLOCK = (
    "sla_fact set outcome = '{}', target = 'solution', priority = 1, history = false, stopped_at = :at, due_at = :at"
)


@pytest.mark.parametrize(
    ("change", "name", "labels"),
    [
        (_HAPPENING.format("opened", "web"), "tickets_opened", 'channel="web",priority="1",'),
        (_HAPPENING.format("reopened", ""), "tickets_reopened", 'priority="1",'),
        (_HAPPENING.format("missed", "search"), "searches_missed", 'missed_by="search",'),
        (_HAPPENING.format("enrolled", ""), "enrolments_confirmed", ""),
        (_CLOCK.format("breached"), "sla_breaches", 'priority="1",target="solution",'),
        (_CLOCK.format("met"), "sla_targets", 'priority="1",target="solution",'),
        (
            "delivery_fact set medium = 'mail', outcome = 'failed', history = false, settled_at = :at",
            "notify_deliveries",
            'medium="mail",outcome="failed",',
        ),
        ("feedback_fact set score = 3, history = false, received_at = :at", "feedback_scores", 'score="3",'),
        (
            "enrolment_fact set department = 'D', completed_history = false, completed_at = :at",
            "course_completions",
            'department="D",',
        ),
    ],
)
def test_windows_begin_and_end_at_the_moment_given(house: House, change: str, name: str, labels: str) -> None:
    house.hand_in(told(2))
    house.run(f"update {change}", at=NOW)
    count = house.rows(f"select count(*) from {change.split(maxsplit=1)[0]}")[0][0]
    for window, width in gauges.WINDOWS.items():
        series = f'liaison_{name}_recent{{{labels}window="{window}"}}'
        for moment, expected in (
            (NOW, count),
            (NOW - timedelta(microseconds=1), 0),
            (NOW + width - timedelta(microseconds=1), count),
            (NOW + width, 0),
        ):
            assert house.numbers(moment)[series] == expected


def test_percentiles_are_nearest_ranks_within_the_window(house: House) -> None:
    house.run(
        "insert into happening_fact select n, 'responded', :now, 'T', case when n <= 8 then 1 else 2 end, null,"
        " n * 1000000, false from generate_series(1, 10) as n",
        now=NOW,
    )
    house.run("update happening_fact set at = at - interval '2 hours' where took_us <= 4000000")
    shown = house.numbers(NOW)
    name = 'liaison_ticket_first_response_recent_seconds{{percentile="{}",priority="{}",window="{}"}}'
    for percentile, priority, window, expected in (
        (50, "all", "1h", 7),
        (90, "all", "1h", 10),
        (50, "1", "1h", 6),
        (50, "all", "6h", 5),
        (90, "all", "6h", 9),
        (50, "3", "6h", 0),
    ):
        assert shown[name.format(percentile, priority, window)] == expected


def test_a_page_of_five_thousand_series_is_rendered_within_fifty_milliseconds() -> None:
    metrics = [
        Metric(f"liaison_m{n}_total", "counter", "M.", {"a": tuple(map(str, range(50))), "b": tuple("0123456789")})
        for n in range(10)
    ]
    values = {key: 7 for metric in metrics for _, key in metric.series()}
    assert len(values) == 5000
    # The processor's time and the best of several, since other processes take their share of this machine.
    assert min(_seconds(values, metrics) for _ in range(10)) <= 0.05


def _seconds(values: Mapping[str, int], metrics: list[Metric]) -> float:
    begin = time.thread_time()
    render(values, metrics)
    return time.thread_time() - begin


def test_the_database_is_read_once_within_the_time_to_live_and_failures_are_counted() -> None:
    reads: list[int] = []

    def read() -> Mapping[str, int]:
        reads.append(1)
        if len(reads) == 3:
            raise ConnectionError("away")
        return {}

    registry = CollectorRegistry()
    page = FactsPage(read, registry, ttl_s=60)
    assert page.content() == page.content()
    assert len(reads) == 1
    page = FactsPage(read, CollectorRegistry(), ttl_s=0)
    page.content()
    with pytest.raises(ConnectionError):
        page.content()
    page.content()
    assert len(reads) == 4
    assert "liaison_facts_scrape_duration_seconds_count 1.0" in generate_latest(registry).decode()


def test_a_page_that_takes_long_is_shown_for_longer() -> None:
    reads: list[int] = []

    def read() -> Mapping[str, int]:
        reads.append(1)
        time.sleep(0.05)
        return {}

    page = FactsPage(read, CollectorRegistry(), ttl_s=0.001)
    page.content()
    time.sleep(0.1)
    page.content()
    assert len(reads) == 1
    time.sleep(1.5)
    page.content()
    assert len(reads) == 2


@pytest.mark.parametrize("given", ["soon", "-1", "3600", "nan"])
def test_a_wrong_time_to_live_is_refused(given: str) -> None:
    with pytest.raises(BadSettings, match="FACTS_TTL_S"):
        Settings.from_env({"FACTS_TTL_S": given})
    assert Settings.from_env({}).facts_ttl_s == 2


@pytest.mark.parametrize(
    ("about", "source", "counts"),
    [
        pytest.param(LIAISON, ALERTS_SOURCE, False, id="ours"),
        pytest.param(None, ALERTS_SOURCE, True, id="kube-prometheus's"),
        pytest.param(LIAISON, "/monitoring", True, id="a publisher's"),
    ],
)
def test_only_our_own_watchdog_is_no_news(about: str | None, source: str, counts: bool) -> None:
    fact = AlertFired(fingerprint="bb", alert=WATCHDOG, severity=Severity.INFO, starts_at=NOW, about=about)
    counted = {series for series, _ in rules.counted(reported(fact, "bb", source=source))}
    assert (gauges.ALERTS_FIRED.at("info") in counted) is counts
