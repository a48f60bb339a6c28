"""Every query of every panel on a real Prometheus that reads the real pages; the service desk's against SQL."""

from __future__ import annotations

import math
import operator
import re
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from deploy.grafana.dashboards.panels import WINDOWS
from services.metrics import gauges
from tests.dashboards.boards import Target, every_target, names
from tests.dashboards.platform_truth import COUNTERS, GAUGES
from tests.dashboards.truth import DRAWN, TRUTHS, sql
from tests.dashboards.watched import Series, Watched
from tests.eventkit.desk import eventually

pytestmark = pytest.mark.timeout(300)
#: Long enough to hold everything that happened since Prometheus began to read.
_RATE = {"__rate_interval": "5m"}
TARGETS = every_target()
_DESK = [target for target in TARGETS if target.board == "liaison-service-desk" and target.instant]
#: Shapes are estimated from these, so that their last point is no count.
_SHAPED = re.compile(r"\b(rate|increase)\(")
_DRAWN = [
    target
    for target in TARGETS
    if target.board == "liaison-service-desk" and not target.instant and not _SHAPED.search(target.expr)
]
#: What else Prometheus reads, of which our tables know nothing.
_OTHERS = re.compile(r"\b(up|ALERTS|rabbitmq_\w+)\b")
#: A rate over what a counter says, which is all that it draws a shape of.
_RATED = re.compile(r"rate\((.+?)\[\$__rate_interval\]\)")
_GAUGES = [
    target
    for target in TARGETS
    if target.board == "liaison-platform"
    and not _SHAPED.search(target.expr)
    and not _OTHERS.search(target.expr)
    and target.panel != "就绪检查"
]


def _read_by(targets: list[Target]) -> set[str]:
    return {name for target in targets for name in names(target.parsed())}


def test_every_number_of_the_service_desk_is_the_count_over_the_journal(watched: Watched) -> None:
    at = datetime.fromtimestamp(watched.read_at, UTC)
    wrong, counted = {}, 0
    for window in WINDOWS:
        for target in _DESK:
            labels, _ = TRUTHS[target.panel, target.index]
            shown = _present(watched.instant(target.asked(window=window), watched.read_at + 0.5, *labels))
            rows = watched.system.rows(
                "metrics", sql(target.panel, target.index), begin=at - gauges.WINDOWS[window], now=at
            )
            expected = _present({tuple(row[:-1]): float(row[-1]) for row in rows if row[-1] is not None})
            counted += len(expected)
            if not _agree(shown, expected, _slack(target)):
                wrong[f"{target.panel} {target.index} {window}"] = (shown, expected)
    assert wrong == {}
    assert counted > 200


def _agree(shown: Series, expected: Series, slack: float) -> bool:
    """Tell whether every number is what it must be. Something that is no number agrees with nothing."""
    return shown.keys() == expected.keys() and all(abs(shown[key] - expected[key]) <= 1e-9 + slack for key in shown)


def test_a_line_of_present_numbers_ends_at_the_count_over_the_journal(watched: Watched) -> None:
    at = datetime.fromtimestamp(watched.read_at, UTC)
    for target in _DRAWN:
        labels, _ = TRUTHS[DRAWN[target.panel]]
        rows = watched.system.rows("metrics", sql(*DRAWN[target.panel]), begin=at, now=at)
        shown = watched.over_time(target.asked(), watched.read_at + 0.5, *labels)
        expected = {tuple(row[:-1]): float(row[-1]) for row in rows}
        assert expected
        assert _agree(_present(shown), expected, 0.0), (shown, expected)


def test_every_line_of_present_numbers_has_a_truth() -> None:
    assert {target.panel for target in _DRAWN} == DRAWN.keys()


def test_every_gauge_of_the_platform_is_what_the_services_tables_say(watched: Watched) -> None:
    wrong, seen = {}, set()
    for target in _GAUGES:
        gauge, query = GAUGES[target.panel, target.index], target.asked()
        expected = _present(gauge.expected(watched.system))
        ask = watched.instant if target.instant else watched.over_time
        shown = _present(ask(query, time.time(), *gauge.labels))
        if not _agree(shown, expected, gauge.slack):
            wrong[target.panel] = (shown, expected)
        seen |= {target.panel} if expected else set()
    assert wrong == {}
    # Zero beside zero proves nothing: all but the search server, which is away, have something to show.
    assert seen == {target.panel for target in _GAUGES} - {"检索服务器"}


@pytest.mark.parametrize("panel", COUNTERS)
def test_what_a_rate_of_events_is_drawn_over_is_the_count_in_the_inboxes(watched: Watched, panel: str) -> None:
    [target] = [target for target in TARGETS if (target.board, target.panel) == ("liaison-platform", panel)]
    counter = _RATED.sub(r"\1", target.asked())
    assert counter != target.asked()

    def sides() -> tuple[Series, Series]:
        shown = _present(watched.instant(counter, time.time(), "job"))
        return shown, _present(COUNTERS[panel].expected(watched.system))

    # Prometheus reads every 5 s.
    with suppress(AssertionError):
        eventually(lambda: operator.eq(*sides()))
    shown, expected = sides()
    assert shown == expected != {}


def test_every_gauge_of_the_platform_has_a_truth() -> None:
    assert {(target.panel, target.index) for target in _GAUGES} == GAUGES.keys()


def _slack(target: Target) -> float:
    return 1.0 if target.panel == "最早的未完成工单" else 0.0


def _present(series: Series) -> Series:
    return {labels: value for labels, value in series.items() if value}


def test_every_panel_of_the_service_desk_that_shows_a_present_number_has_a_truth() -> None:
    assert {(target.panel, target.index) for target in _DESK} == TRUTHS.keys()


def test_every_query_has_an_answer_now_and_over_a_range(watched: Watched) -> None:
    unanswered = set()
    for target in TARGETS:
        query = target.asked(**_RATE, window="30d")
        for ask in (watched.instant, watched.over_time):
            # An answer that is no number says nothing.
            if all(math.isnan(value) for value in ask(query, watched.read_at + 0.5).values()):
                unanswered.add(target.panel)
    assert unanswered == set()


def test_every_metric_that_a_query_names_is_on_a_real_page(watched: Watched) -> None:
    read = _read_by(TARGETS)
    assert len(read) > 60
    assert read - watched.names() == set()


def test_a_metric_that_is_renamed_is_missed(watched: Watched) -> None:
    known = watched.names()
    for name in _read_by(TARGETS):
        assert _read_by(TARGETS) - (known - {name} | {f"{name}_new"}) == {name}
