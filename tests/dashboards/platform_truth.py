"""What the gauges of the platform board must show: SQL over eventkit's tables, asked in every service that runs.

Each query gives one number for its service, or none; ages go on while the page is being read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.dashboards.watched import RUNNING, Series
from tests.system import System


@dataclass(frozen=True, slots=True)
class Gauge:
    """One query of a panel. labels: of its series; services: where it is asked; total: all of them added up."""

    sql: str
    labels: tuple[str, ...] = ("job",)
    services: Sequence[str] = RUNNING
    slack: float = 0.0

    def expected(self, system: System) -> Series:
        """Return what the panel must show, by the values of its labels."""
        found: Series = {}
        for service in self.services:
            for row in system.rows(service, self.sql):
                named = {"job": service, **row._mapping}
                key = tuple(str(named[label]) for label in self.labels)
                found[key] = found.get(key, 0.0) + float(named["value"])
        return found


#: Prometheus may have read an age as long ago as this.
_AGE_S = 15.0
_COUNT = "select count(*) as value from eventkit.held_event where state = '{}'"
_AGE = "select coalesce(extract(epoch from now() - min({})), 0) as value from {}"
_HANDLED = "select count(*) as value from eventkit.inbox where state = 'handled'"
_BEHIND = _AGE.format("behind_since", "index_entry where behind_since is not null")

#: By panel and number of the query. What is not here is a rate, a quantile, or a number of a server's own.
GAUGES: Mapping[tuple[str, int], Gauge] = {
    ("检索索引", 0): Gauge(_BEHIND, (), ("knowledge",), _AGE_S),
    # The search server is not there.
    ("检索服务器", 0): Gauge("select 0 as value", (), ("knowledge",)),
    ("数据库", 0): Gauge("select 1 as value", (), ("tickets",)),
    ("死信事件", 0): Gauge(_COUNT.format("dead"), ()),
    ("等待中的事件", 0): Gauge(_COUNT.format("held")),
    ("最早的等待", 0): Gauge(_AGE.format("arrived_at", "eventkit.held_event where state = 'held'"), slack=_AGE_S),
    ("死信事件走势", 0): Gauge(_COUNT.format("dead")),
    ("发件箱数目", 0): Gauge("select count(*) as value from eventkit.outbox where sent_at is null"),
    ("发件箱时长", 0): Gauge(_AGE.format("emitted_at", "eventkit.outbox where sent_at is null"), slack=_AGE_S),
    ("到期未触发", 0): Gauge(
        _AGE.format("due_at", "eventkit.timer where due_at < now() and running_until is null"), slack=_AGE_S
    ),
    ("巡检回路", 0): Gauge(
        "select extract(epoch from now() - max(heard_at)) as value from watchdog", (), ("notify",), _AGE_S
    ),
    ("待发通知", 0): Gauge(
        "select state, count(*) as value from delivery where settled_at is null group by state", ("state",), ("notify",)
    ),
}

#: What the counters under a rate must have come to, by panel: since its beginning each process has counted every event.
COUNTERS: Mapping[str, Gauge] = {
    "处理": Gauge(_HANDLED),
    # Each event of the story is told twice.
    "重复": Gauge(_HANDLED),
}
