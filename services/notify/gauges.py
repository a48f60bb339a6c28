"""What notify's own page says about messages that are on their way; what became of them is on the metrics page."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import text

from contracts.notify import Medium
from eventkit.telemetry import StoredNumbers
from services.notify.rules import State

_OPEN = (State.PENDING, State.SENDING, State.WAITING_CONTACT)
_OPEN_NOW = text(
    "select medium, state, count(*), extract(epoch from now() - min(created_at)) from delivery"
    " where settled_at is null group by medium, state"
)


class OpenDeliveries(StoredNumbers):
    """How many messages are under way in each state, and since when the oldest is."""

    def read(self) -> Iterable[GaugeMetricFamily]:
        """Read one snapshot."""
        with self.engine.connect() as connection:
            found = {(medium, state): (count, age) for medium, state, count, age in connection.execute(_OPEN_NOW)}
        pending = GaugeMetricFamily(
            "liaison_notify_pending", "Messages that are under way.", labels=("medium", "state")
        )
        oldest = GaugeMetricFamily(
            "liaison_notify_oldest_pending_age_seconds",
            "Age of the oldest message that is under way.",
            labels=("medium", "state"),
        )
        for medium in (one.value for one in Medium if one is not Medium.OTHER):
            for state in _OPEN:
                count, age = found.get((medium, state.value), (0, 0.0))
                pending.add_metric((medium, state.value), count)
                oldest.add_metric((medium, state.value), float(age))
        yield pending
        yield oldest
