"""The page `/facts`: every declared series, from one snapshot of the database, always in the same order.

The page's own duration and failures are on `/metrics`, so that the same facts give the same bytes.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic

from prometheus_client import CollectorRegistry, Counter
from prometheus_client import Histogram as Timing
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from services.metrics.gauges import METRICS
from services.metrics.metric import BUCKETS, Histogram, Metric
from services.metrics.readings import Numbers

# Seconds for which a page is shown again, for each second that it took.
_WORK_SHARE = 9
_DURATIONS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class FactsCollector(Collector):
    """Turns numbers into families; a series without a number is 0.

    values: whole units by series, of one snapshot. metrics: what to show.
    """

    def __init__(self, values: Mapping[str, int], metrics: Iterable[Metric] = METRICS) -> None:
        self._values = values
        departments = values.departments if isinstance(values, Numbers) else ()
        self._metrics = [metric.within(departments) for metric in metrics]

    def describe(self) -> Iterable[Family]:
        """Nothing needs to be checked for duplicates; the declarations are."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Yield each declared metric with all of its series."""
        for metric in self._metrics:
            yield self._histogram(metric) if isinstance(metric, Histogram) else self._plain(metric)

    def _plain(self, metric: Metric) -> Family:
        family: CounterMetricFamily | GaugeMetricFamily
        if metric.kind == "counter":
            family = CounterMetricFamily(metric.name, metric.help, labels=tuple(metric.labels))
        else:
            family = GaugeMetricFamily(metric.name, metric.help, labels=tuple(metric.labels))
        for values, key in metric.series():
            family.add_metric(values, self._values.get(key, 0) / metric.scale)
        return family

    def _histogram(self, metric: Histogram) -> Family:
        family = HistogramMetricFamily(metric.name, metric.help, labels=tuple(metric.labels))
        for values, key in metric.sums.series():
            counts = (self._values.get(metric.buckets.at(*values, end), 0) for end in BUCKETS)
            cumulated = list(zip(BUCKETS, itertools.accumulate(counts), strict=True))
            family.add_metric(values, cumulated, self._values.get(key, 0) / metric.sums.scale)
        return family


def render(values: Mapping[str, int], metrics: Iterable[Metric] = METRICS) -> bytes:
    """Return the page in Prometheus's text format 0.0.4."""
    registry = CollectorRegistry()
    registry.register(FactsCollector(values, metrics))
    return generate_latest(registry)


class FactsPage:
    """Renders the page, at most once in `ttl_s` seconds, and at most a tenth of the time; always anew when that is 0.

    read: reads the numbers of one snapshot. registry: takes the page's own metrics.
    """

    def __init__(self, read: Callable[[], Mapping[str, int]], registry: CollectorRegistry, *, ttl_s: float) -> None:
        self._read = read
        self._ttl_s = ttl_s
        self._lock = threading.Lock()
        self._page = b""
        self._fresh_until = float("-inf")
        self._took = Timing(
            "liaison_facts_scrape_duration_seconds",
            "Seconds to read the numbers and render the page.",
            buckets=_DURATIONS_S,
            registry=registry,
        )
        self._failed = Counter("liaison_facts_scrape_errors", "Times the numbers could not be read.", registry=registry)

    def content(self) -> bytes:
        """Return the page. Raises the database's error: a page that is missing is honest, one of zeros is not."""
        with self._lock:
            begin = monotonic()
            if begin >= self._fresh_until:
                with self._took.time(), self._failed.count_exceptions():
                    self._page = render(self._read())
                end = monotonic()
                # A month of hundreds of thousands of facts takes a while to count: the desk's work goes first.
                pause_s = max(self._ttl_s, _WORK_SHARE * (end - begin)) if self._ttl_s else 0.0
                self._fresh_until = end + pause_s
            return self._page
