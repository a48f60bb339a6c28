"""The search server: generations of one index behind two aliases, one that is read and one that is written.

A generation `PREFIX-000007` is searched through the alias `PREFIX`. Whoever writes asks `PREFIX-write` which
generations there are: two, while a rebuild fills the next one. Every write carries the version of what it says, so
that an older one never replaces a newer one, in whatever order they come.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from elastic_transport import TransportError
from elasticsearch import ApiError, ConflictError, Elasticsearch, NotFoundError, helpers

from eventkit.errors import Unavailable
from services.knowledge.querying import Body, index_form

#: After the server did not answer, nobody asks it for this long: everybody would wait, with a worker in their hands.
_REST_S = 1.0
_BUSY = (429, 502, 503, 504)
#: What makes, fills and removes an index takes a slow server longer than anybody waits for an answer.
_REBUILD_PATIENCE_S = 60.0


# A line for each request, with the name of every document, belongs into no log.
logging.getLogger("elastic_transport").setLevel(logging.WARNING)


class IndexLost(Unavailable):
    """The server answers and has no index: there is none until a rebuild has filled one from the database."""


class SearchIndex:
    """Reads and writes the index of one installation.

    Raises Unavailable when the server cannot be asked, IndexLost when it can and has no index. An index is made by a
    rebuild only: whoever made an empty one would let everybody search it and find nothing.
    """

    def __init__(self, url: str, prefix: str, *, timeout_s: float = 2.0) -> None:
        self._client = Elasticsearch(
            url, request_timeout=timeout_s, max_retries=0, retry_on_timeout=False, connections_per_node=16
        )
        self._rebuilding = self._client.options(request_timeout=_REBUILD_PATIENCE_S)
        self.prefix = prefix
        self._write_alias = f"{prefix}-write"
        self._resting_until = 0.0

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, question: Body, *, timeout_s: float = 2.0) -> list[Body]:
        """Return the hits of a question, best first, each with `_source` and `_score`."""
        try:
            with self._patient():
                answer = self._client.options(request_timeout=timeout_s).search(index=self.prefix, **_renamed(question))
        except NotFoundError:
            raise IndexLost("there is no index to search") from None
        hits: list[Body] = answer["hits"]["hits"]
        return hits

    @contextmanager
    def _patient(self) -> Iterator[None]:
        """Do not ask while the server rests; when it does not answer, let it rest."""
        if monotonic() < self._resting_until:
            raise Unavailable("the search server did not answer just now")
        try:
            with _away():
                yield
        except Unavailable:
            self._resting_until = monotonic() + _REST_S
            raise

    def put(self, document_id: str, version: int, document: Body) -> None:
        """Write a document into every generation, unless that has a newer version of it."""
        with self._patient():
            generations = self.generations()
        if not generations:
            raise IndexLost("there is no index to write")
        for generation in generations:
            try:
                with self._patient():
                    self._put_in(generation, document_id, version, document)
            except ConflictError:
                continue
            except NotFoundError:
                raise Unavailable(f"{generation} was removed meanwhile") from None

    def _put_in(self, generation: str, document_id: str, version: int, document: Body) -> None:
        # By its own alias: writing to the name of an index that was just removed would make it anew.
        self._client.index(
            index=_own_alias(generation),
            id=document_id,
            document=document,
            version=version,
            version_type="external_gte",
            require_alias=True,
        )

    def is_up(self) -> bool:
        """Tell whether the server answers at all, within the patience of this index."""
        try:
            self._client.indices.exists_alias(name=self.prefix)
        except (TransportError, ApiError):
            return False
        return True

    def generations(self) -> list[str]:
        """Return the generations that are written, oldest first."""
        return self._behind(self._write_alias)

    def generation_read(self) -> str | None:
        """Return the generation that is searched."""
        found = self._behind(self.prefix)
        return found[0] if found else None

    def _behind(self, alias: str) -> list[str]:
        try:
            with _away():
                return sorted(self._client.indices.get_alias(name=alias))
        except NotFoundError:
            return []

    def add_generation(self) -> str:
        """Make an empty generation that is written from now on, and is not searched yet; return its name."""
        newest = max(self.generations(), default=f"{self.prefix}-000000")
        name = f"{self.prefix}-{int(newest.rpartition('-')[2]) + 1:06d}"
        aliases: dict[str, Any] = {self._write_alias: {}, _own_alias(name): {}}
        with _away():
            self._rebuilding.indices.create(index=name, aliases=aliases, **index_form())
        return name

    def fill(self, generation: str, documents: Iterable[tuple[str, int, Body]]) -> int:
        """Write (id, version, document) in bulk, where there is no newer version; return how many were read."""
        count = 0

        def actions() -> Iterator[Body]:
            nonlocal count
            for document_id, version, document in documents:
                count += 1
                yield {
                    "_index": _own_alias(generation),
                    "_id": document_id,
                    "version": version,
                    "version_type": "external_gte",
                    "_source": document,
                }

        with _away():
            bulk = helpers.streaming_bulk(self._rebuilding, actions(), raise_on_error=False, require_alias=True)
            for ok, item in bulk:
                if not ok and item["index"]["status"] != 409:
                    raise Unavailable(f"{generation}: {item['index']['error']}")
            self._rebuilding.indices.refresh(index=generation)
        return count

    def turn_to(self, generation: str) -> None:
        """Search this generation from now on, at one stroke, and remove all others."""
        others = [name for name in self.generations() if name != generation]
        actions = [{"add": {"index": generation, "alias": self.prefix}}]
        with _away():
            self._rebuilding.indices.update_aliases(actions=actions + [{"remove_index": {"index": o}} for o in others])

    def drop_unread(self) -> list[str]:
        """Remove what a rebuild that was cut off has left; return the names."""
        read = self.generation_read()
        left = [name for name in self.generations() if name != read]
        for name in left:
            self.remove(name)
        return left

    def remove(self, generation: str) -> None:
        """Remove a generation."""
        with _away():
            self._rebuilding.options(ignore_status=404).indices.delete(index=generation)

    def count(self) -> int:
        """Return how many documents can be found: none when the index is lost."""
        try:
            with _away():
                return int(self._client.count(index=self.prefix, query={"term": {"published": True}})["count"])
        except NotFoundError:
            return 0

    def cut_version(self, generation: str) -> int:
        """Return the version of the cutting that a generation was written with."""
        with _away():
            mapping = self._client.indices.get_mapping(index=generation)[generation]["mappings"]
        return int(mapping.get("_meta", {}).get("cut_version", 0))


def _own_alias(generation: str) -> str:
    return f"{generation}-own"


def _renamed(question: Body) -> Body:
    return {{"_source": "source", "from": "from_"}.get(name, name): value for name, value in question.items()}


@contextmanager
def _away() -> Iterator[None]:
    """Turn everything that means "the server cannot be asked now" into Unavailable."""
    try:
        yield
    except TransportError as error:
        raise Unavailable(f"the search server is away: {type(error).__name__}") from error
    except ApiError as error:
        if error.meta.status in _BUSY:
            raise Unavailable(f"the search server is busy: {error.meta.status}") from error
        raise
