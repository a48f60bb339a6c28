"""Services that a real Prometheus reads, and what the tests ask it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import httpx

from eventkit import broker
from eventkit.envelope import Event
from eventkit.rpc import RpcClient
from tests.eventkit.desk import eventually, on_the_wire, publish_confirmed
from tests.system import System

RUNNING = ("gateway", "tickets", "notify", "knowledge", "metrics")
Series = dict[tuple[str, ...], float]


class WatchedSystem(System):
    """The system with a page of facts that is never shown twice: it tells of the moment at which it is read.

    The search server is not there, which the knowledge service outlives.
    """

    def _environment(self, name: str) -> dict[str, str]:
        return super()._environment(name) | {"FACTS_TTL_S": "0"}


class Watched:
    """The system, and Prometheus as a dashboard asks it. read_at: when the page with everything was read."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.read_at = 0.0
        self._prometheus = httpx.Client(base_url=system.installation.prometheus_url, trust_env=False, timeout=30)

    def close(self) -> None:
        """Ask no more."""
        self._prometheus.close()

    def keep_busy(self) -> None:
        """Have a timer fire, a job called and a question answered once Prometheus reads the pages.

        Only then does it see that something happened in between.
        """
        wanted = {(name,) for name in (*RUNNING, "facts")}
        up = "max by (job) (up) == 1"
        eventually(lambda: wanted <= self.instant(up, time.time(), "job").keys(), 60, "Prometheus reads the pages")
        self.system.change("metrics", "update eventkit.timer set due_at = now() where kind = 'journal_months'")
        self.system.change(
            "notify",
            "insert into eventkit.timer (kind, key, subject, due_at, payload, is_job)"
            " values ('send_mail', 'nothing', 'nothing', now(), '{}', true)",
        )
        with closing(RpcClient(self.system.installation.amqp_uri("gateway"), "gateway")) as client:
            eventually(lambda: client.connected, what="somebody may ask")
            client.call("knowledge", "list_articles", {"scope": {"kind": "all"}})

    def tell(self, events: Sequence[Event[Any]]) -> None:
        """Publish events to the metrics service alone, each twice, and wait until Prometheus knows of all."""
        front = broker.partition_exchange("metrics", 1)
        publish_confirmed(self.system.installation.amqp_admin_uri, front, on_the_wire([*events, *events]))
        count = "select count(*) from journal"
        eventually(lambda: self.system.one("metrics", count) == len(events), 60, "every event is in the journal")
        known = time.time()
        # A few readings more, so that there is something to draw lines of.
        read = "max(timestamp(liaison_people_active))"
        eventually(lambda: self.instant(read, time.time()).get((), 0) > known + 15, 60, "Prometheus has read the page")
        self.read_at = self.instant(read, time.time())[()]

    def instant(self, query: str, at: float, *labels: str) -> Series:
        """Return the values of an instant query by the values of labels; of all labels, sorted, when none is named."""
        found = self._ask("/api/v1/query", query=query, time=at)
        return {_labelled(one["metric"], labels): float(one["value"][1]) for one in found}

    def over_time(self, query: str, at: float, *labels: str) -> Series:
        """Return the last values of a range query over the minute before, by labels as `instant` does."""
        found = self._ask("/api/v1/query_range", query=query, start=at - 60, end=at, step=5)
        return {_labelled(one["metric"], labels): float(one["values"][-1][1]) for one in found}

    def names(self) -> set[str]:
        """Return the names of all metrics that Prometheus has read."""
        answer = self._prometheus.get("/api/v1/label/__name__/values").raise_for_status().json()
        return set(answer["data"])

    def _ask(self, path: str, **what: Any) -> list[dict[str, Any]]:
        answer = self._prometheus.get(path, params=what)
        assert answer.status_code == 200, f"{what['query']}: {answer.text}"
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found


def _labelled(metric: dict[str, str], labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(metric[label] for label in labels) if labels else tuple(value for _, value in sorted(metric.items()))
