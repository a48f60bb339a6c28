"""Row 11: how long a page of 5,000 series takes to render for Prometheus, in one process."""

from __future__ import annotations

import time
from typing import Any

from bench.figures import Figure, console, percentiles, quantile, spread
from bench.plan import Plan
from services.metrics.metric import Metric
from services.metrics.page import render

ROW = "page"
_BAR_MS, _GOAL_MS = 50, 25
_METRICS, _TEAMS, _PRIORITIES = 10, 50, 10
_PAGES = 100


def measure(lab: Any, plan: Plan) -> list[Figure]:
    """Render the page again and again; milliseconds of the clock. Uses no server."""
    labels = {"team": tuple(f"t{n}" for n in range(_TEAMS)), "priority": tuple(map(str, range(_PRIORITIES)))}
    metrics = [
        Metric(f"liaison_bench_{n}_total", "counter", "Things that were counted.", labels) for n in range(_METRICS)
    ]
    values = {key: number for metric in metrics for number, (_, key) in enumerate(metric.series())}
    taken = []
    for _ in range(10 if plan.quick else _PAGES):
        begun = time.perf_counter()
        content = render(values, metrics)
        taken.append((time.perf_counter() - begun) * 1000)
    plan.details[ROW] = {"series": len(values), "bytes": len(content)} | percentiles(taken)
    console.print(f"  {len(values):,} series, {len(content):,} bytes: {spread(taken)}")
    value, what = quantile(taken, 0.5), f"Prometheus page of {len(values):,} series, p50"
    return [Figure(ROW, what, value, "ms", bar=f"≤ {_BAR_MS} ms", goal=f"≤ {_GOAL_MS} ms", kept=value <= _BAR_MS)]
