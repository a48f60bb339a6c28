"""What knowledge's own page says about the search: whether the server answers, and what the index lacks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from elasticsearch import ApiError
from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import Engine

from eventkit.errors import Unavailable
from eventkit.telemetry import StoredNumbers
from services.knowledge.search import SearchIndex
from services.knowledge.settings import Settings
from services.knowledge.shelf import Shelf

#: A page must not wait for a server that is silent: Prometheus gives up after 10 s.
_PATIENCE_S = 0.5


class IndexGauges(StoredNumbers):
    """How the search stands; whether its server answers is told without the database, too."""

    def __init__(self, env: Mapping[str, str], engine: Engine) -> None:
        super().__init__(engine)
        settings = Settings.from_env(env)
        self._index = SearchIndex(settings.search_url, settings.search_prefix, timeout_s=_PATIENCE_S)
        self._shelf = Shelf(engine)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Ask the search server, and read."""
        yield GaugeMetricFamily(
            "liaison_knowledge_search_up", "Whether the search server answers: 1 or 0.", value=self._index.is_up()
        )
        yield from super().collect()

    def read(self) -> Iterable[GaugeMetricFamily]:
        """Read what the index should hold and has not got yet, and ask it what it lacks."""
        waiting, oldest_s = self._shelf.behind()
        wanted = self._shelf.count()
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
            "Articles and materials that should be found and cannot be; NaN while the search server does not answer.",
            value=self._missing(wanted),
        )

    def _missing(self, wanted: int) -> float:
        try:
            return max(wanted - self._index.count(), 0)
        except ApiError:  # Nothing can be found in an index that is broken.
            return wanted
        except Unavailable:  # What a server that does not answer lacks, nobody knows.
            return math.nan
