"""What a process tells about itself: JSON logs, and the numbers of its Prometheus page.

Logs and labels hold types, ids and counts, never what people wrote or who they are.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from abc import abstractmethod
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from contracts.fact import Fact
from eventkit import held, outbox, timers
from eventkit.envelope import Event

log = logging.getLogger("liaison")

_LAG_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3600)
_HANDLER_BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)
_STANDARD = frozenset(vars(logging.makeLogRecord({})))


# What PostgreSQL adds to an error are the values of the row that was wrong: people's names and words. It quotes a value
# after a colon or the word itself, and names of the schema after other words.
_VALUES = re.compile(r'^(DETAIL|CONTEXT|LINE \d+): .*\n?|(?<=: )"[^"\n]*"|(?<=value )"[^"\n]*"', re.MULTILINE)


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object, without the values of rows that an error of the database names."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD and name != "taskName"}
        if record.exc_info:
            line["exception"] = _VALUES.sub("", self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


def log_as_json() -> None:
    """Send every log record of the process to standard output, one JSON object a line."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("amqp", "httpx", "httpcore", "nameko"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class ServiceMetrics:
    """The process metrics of one replica, all declared here, a sentence each."""

    def __init__(self, service: str, registry: CollectorRegistry | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry or CollectorRegistry()

        def counter(name: str, text: str, labels: Iterable[str] = ()) -> Counter:
            return Counter(f"liaison_events_{name}", text, tuple(labels), registry=self.registry)

        def histogram(name: str, text: str, buckets: Iterable[float], labels: Iterable[str] = ()) -> Histogram:
            return Histogram(f"liaison_{name}", text, tuple(labels), buckets=tuple(buckets), registry=self.registry)

        self.service = service
        self._handled = counter("handled", "Events handled for the first time.", ["type"])
        self.repeated = counter("repeated", "Events dropped because they had been seen before.")
        self.unhandled = counter("unhandled", "Events acknowledged because no handler takes their type.")
        self.held = counter("held", "Events put aside until later.")
        self.dead = counter("dead", "Events put aside because they cannot be handled.")
        self.sent = counter("sent", "Events that the broker has confirmed.")
        self.resent = counter("resend", "Times the relay had to begin again from the lowest unconfirmed event.")
        self._lag = histogram("event_lag_seconds", "Seconds from an event's arrival to its commit here.", _LAG_BUCKETS)
        self._batch = histogram("event_batch_size", "Fresh events in one transaction.", (1, 2, 5, 10, 20, 50, 100, 200))
        self._batch_s = histogram("event_batch_duration_seconds", "Seconds of one batch's transaction.", _LAG_BUCKETS)
        self._handler_s = histogram(
            "event_handler_duration_seconds",
            "Seconds of one handler's call for one event, also of one that failed.",
            _HANDLER_BUCKETS,
            ["type"],
        )
        self.lateness = histogram(
            "timer_lateness_seconds", "Seconds from a timer's due moment to its firing.", _LAG_BUCKETS
        )
        self.job_duration = histogram("job_duration_seconds", "Seconds of one call to the outside.", _LAG_BUCKETS)
        self.rpc_duration = histogram(
            "rpc_duration_seconds", "Seconds from a call's arrival to its answer.", _LAG_BUCKETS
        )
        self._of_type: dict[str, Any] = {}
        self._handler_s_of_type: dict[str, Any] = {}

    def batch(self, size: int, took_s: float) -> None:
        """Count one committed batch."""
        self._batch.observe(size)
        self._batch_s.observe(took_s)

    def handler_call(self, event_type: str, took_s: float) -> None:
        """Count one call of a handler."""
        child = self._handler_s_of_type.get(event_type)
        if child is None:
            child = self._handler_s_of_type[event_type] = self._handler_s.labels(event_type)
        child.observe(took_s)

    def handled_event(self, event: Event[Fact], now: datetime) -> None:
        """Count one handled event and how late it was. now: the moment of its commit."""
        child = self._of_type.get(event.type)
        if child is None:
            child = self._of_type[event.type] = self._handled.labels(event.type)
        child.inc()
        if not event.history:
            self._lag.observe(max((now - (event.arrived_at or event.time)).total_seconds(), 0.0))


class StoredNumbers(Collector):
    """Numbers that lie in the database, read at scrape time."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing is known before the first scrape; saying so keeps registration off the database."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Read them; a database that is away yields no sample, which alerts see as absent."""
        try:
            return list(self.read())
        except SQLAlchemyError:
            return ()

    @abstractmethod
    def read(self) -> Iterable[GaugeMetricFamily]:
        """Return the numbers as the database has them now."""


class StoredMetrics(StoredNumbers):
    """Depths and ages that every service has."""

    def read(self) -> Iterable[GaugeMetricFamily]:
        """Read one snapshot."""
        with self.engine.connect() as connection:
            depth, age_s = outbox.depth_and_age(connection)
            waiting = held.counts(connection)
            overdue_s = timers.overdue_s(connection)
        yield _gauge("liaison_outbox_depth", "Events that the broker has not confirmed.", depth)
        yield _gauge("liaison_outbox_age_seconds", "Age of the oldest unconfirmed event.", age_s)
        yield _gauge("liaison_timer_overdue_age_seconds", "Age of the oldest due timer not taken up.", overdue_s)
        for state, what in (("held", "wait for something"), ("dead", "wait for a person")):
            count, oldest_s = waiting.get(state, (0, 0.0))
            yield _gauge(f"liaison_{state}_events", f"Events that {what}.", count)
            yield _gauge(f"liaison_{state}_oldest_age_seconds", f"Age of the oldest that {what}.", oldest_s)


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, value=value)
