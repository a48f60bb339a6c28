"""Every query of every panel on a real Prometheus that reads the real pages; the service desk's against SQL."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from deploy.grafana.dashboards.panels import WINDOWS
from services.metrics import gauges
from tests.dashboards.boards import Target, every_target, names
from tests.dashboards.truth import TRUTHS, sql
from tests.dashboards.watched import Series, Watched

pytestmark = pytest.mark.timeout(300)
_RATE = {"__rate_interval": "30s"}
TARGETS = every_target()
_DESK = [target for target in TARGETS if target.board == "liaison-service-desk" and target.instant]


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
            # Ages go on while the page is being read.
            if shown.keys() != expected.keys() or any(
                abs(shown[key] - expected[key]) > 1e-9 + _slack(target) for key in shown
            ):
                wrong[f"{target.panel} {target.index} {window}"] = (shown, expected)
    assert wrong == {}
    assert counted > 200


def _slack(target: Target) -> float:
    return 1.0 if target.panel == "最早的未完成工单" else 0.0


def _present(series: Series) -> Series:
    return {labels: value for labels, value in series.items() if value}


def test_every_panel_of_the_service_desk_that_shows_a_present_number_has_a_truth() -> None:
    assert {(target.panel, target.index) for target in _DESK} == TRUTHS.keys()


def test_every_query_has_an_answer_now_and_over_a_range(watched: Watched) -> None:
    unanswered = []
    for target in TARGETS:
        query = target.asked(**_RATE, window="30d")
        if not watched.instant(query, watched.read_at + 0.5):
            unanswered.append(f"{target.panel}: {query}")
        if not watched.over_time(query, watched.read_at + 0.5):
            unanswered.append(f"{target.panel} over a range: {query}")
    assert unanswered == []


def test_every_metric_that_a_query_names_is_on_a_real_page(watched: Watched) -> None:
    read = _read_by(TARGETS)
    assert len(read) > 60
    assert read - watched.names() == set()


def test_a_metric_that_is_renamed_is_missed(watched: Watched) -> None:
    known = watched.names()
    for name in _read_by(TARGETS):
        assert _read_by(TARGETS) - (known - {name} | {f"{name}_new"}) == {name}
