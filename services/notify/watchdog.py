"""The watchdog: an alert that always fires, so that its silence tells that the way of all alerts is broken.

Prometheus → Alertmanager → gateway → event → here. It is never a message to anybody; its age is a metric, and
Alertmanager mails by itself when that age is too high (M6; notes/notify-metrics.md 3.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import Column, DateTime, Table, Text, text

from contracts.gateway import AlertFired
from contracts.words import WATCHDOG, is_our_watchdog
from eventkit.envelope import Event
from eventkit.telemetry import StoredNumbers
from eventkit.work import Work
from services.notify.storage import metadata

watchdog = Table(
    "watchdog",
    metadata,
    Column("name", Text, primary_key=True),
    Column("heard_at", DateTime(timezone=True), nullable=False, comment="when that alert arrived at the gateway"),
    comment="When the alert that always fires last came the whole way through Alertmanager and the doors",
)


def _is_it(event: Event[AlertFired]) -> bool:
    return is_our_watchdog(event.data.alert, event.data.about, event.source)


class Watchdog:
    """Notes when the watchdog was heard."""

    def __init__(self, work: Work) -> None:
        self._rows = work.rows(watchdog)

    def preload(self, events: Sequence[Event[AlertFired]]) -> None:
        """Lock and read the row once for a batch, if the watchdog is in it."""
        if any(_is_it(event) for event in events):
            self._rows.preload([WATCHDOG])

    def hear(self, event: Event[AlertFired]) -> bool:
        """Note that the watchdog came, if it is this; returns whether it was.

        What counts is when it arrived at the door: one that then lay in a queue for long must not look fresh.
        """
        if not _is_it(event):
            return False
        heard_at = event.arrived_at or event.time
        row = self._rows.get(WATCHDOG)
        if row is None:
            self._rows.add(name=WATCHDOG, heard_at=heard_at)
        elif row["heard_at"] < heard_at:
            self._rows.change(row, heard_at=heard_at)
        return True


class WatchdogAge(StoredNumbers):
    """How long the watchdog has not been heard."""

    def read(self) -> Iterable[GaugeMetricFamily]:
        """Read it."""
        with self.engine.connect() as connection:
            age_s = connection.execute(text("select extract(epoch from now() - max(heard_at)) from watchdog"))
            value = age_s.scalar_one()
        if value is not None:
            yield GaugeMetricFamily(
                "liaison_watchdog_age_seconds",
                "Seconds since the alert that always fires last came through Alertmanager and the gateway.",
                value=max(float(value), 0.0),
            )
