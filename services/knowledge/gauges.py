"""What knowledge's own page says about the search: whether the server answers, and what the index lacks."""

from __future__ import annotations

from collections.abc import Iterable

from elasticsearch import ApiError
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from eventkit.errors import Unavailable
from eventkit.process import ServiceProcess
from eventkit.service import Page
from services.knowledge import cutting
from services.knowledge.search import SearchIndex
from services.knowledge.settings import Settings
from services.knowledge.shelf import Shelf

#: A page must not wait for a server that is silent: Prometheus gives up after 10 s.
_PATIENCE_S = 0.5


class IndexGauges(Collector):
    """Read at scrape time; a database that is away yields no sample, which alerts see as absent."""

    def __init__(self, shelf: Shelf, index: SearchIndex) -> None:
        self._shelf, self._index = shelf, index

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing is known before the first scrape; saying so keeps registration off the database."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Ask the search server, and read one snapshot."""
        yield GaugeMetricFamily(
            "liaison_knowledge_search_up", "Whether the search server answers: 1 or 0.", value=self._index.is_up()
        )
        try:
            waiting, oldest_s = self._shelf.behind()
            wanted = self._shelf.count()
        except SQLAlchemyError:
            return
        yield GaugeMetricFamily(
            "liaison_knowledge_index_waiting", "Changes that the search index has not got yet.", value=waiting
        )
        yield GaugeMetricFamily(
            "liaison_knowledge_index_oldest_age_seconds",
            "Age of the oldest change that the search index has not got yet.",
            value=oldest_s,
        )
        yield GaugeMetricFamily(
            "liaison_knowledge_index_missing",
            "Articles and materials that should be found and cannot be.",
            value=max(wanted - self._found(), 0),
        )

    def _found(self) -> int:
        try:
            return self._index.count()
        except (Unavailable, ApiError):  # Nothing can be found in an index that is broken, either.
            return 0


class Gauges(Page):
    """Adds our gauges to the process's own `/metrics`."""

    def __init__(self) -> None:
        super().__init__("/metrics", lambda process: b"")

    def attach(self, process: ServiceProcess) -> None:
        """Have the process show them, and read its dictionaries before the first question waits for them."""
        cutting.warm_up()
        settings = Settings.from_env(self.container.config)
        index = SearchIndex(settings.search_url, settings.search_prefix, timeout_s=_PATIENCE_S)
        process.metrics.registry.register(IndexGauges(Shelf(process.engine), index))
