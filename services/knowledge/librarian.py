"""The calls to the outside that jobs make: putting into the index, and looking things up for tickets and feedback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Engine

from eventkit.errors import RuleBroken, TryLater, Unavailable
from eventkit.process import give_way
from eventkit.telemetry import log
from eventkit.timers import Timer
from services.knowledge import asking, rules
from services.knowledge.querying import Body
from services.knowledge.rebuild import rebuild
from services.knowledge.rules import Found
from services.knowledge.search import IndexLost, SearchIndex
from services.knowledge.settings import Settings
from services.knowledge.shelf import Shelf
from services.knowledge.storage import order_rebuild

# What is wrong with one document, or with our own account, does not heal within seconds.
_FAULT_DELAY_S = 60.0


class Librarian:
    """Knows the index and the shelf; one for the process. Whenever it finds the index lost, it has it built anew."""

    def __init__(self, env: Mapping[str, str], engine: Engine) -> None:
        settings = Settings.from_env(env)
        self._index = SearchIndex(settings.search_url, settings.search_prefix)
        self._engine = engine
        self._shelf = Shelf(engine)

    def ask(self, question: Body, *, timeout_s: float = 2.0) -> list[Body]:
        """Return the hits of a question, best first.

        Raises Unavailable, also while an index that was lost is built anew: what it should hold is not missing. With
        nothing published there is nothing to be lost.
        """
        try:
            with self._mended():
                return self._index.ask(question, timeout_s=timeout_s)
        except IndexLost:
            if self._shelf.count():
                raise Unavailable("the search index is built anew") from None
            return []

    def put_in(self, job: Timer) -> int:
        """Bring the index to what the database says of an article or a material now; return the version.

        Raises TryLater until it is done: the index must hold everything in the end, however long the server is away.
        """
        with _until_done(job):
            # Read first, and only then ask which generations there are: a rebuild relies on this order.
            entry = self._shelf.entry(job.key)
            if entry is None:
                return 0
            one, version, document = entry
            with self._mended():
                self._index.put(one, version, document)
        return version

    def rebuild(self, job: Timer) -> None:
        """Build the index anew, unless somebody has by now. Raises TryLater until it is there."""
        with _until_done(job):
            if self._index.generation_read() is None:
                # Cutting takes all of a processor for minutes; calls and heartbeats are not to wait for its end.
                rebuild(self._engine, self._index, lambda done, total: give_way())

    @contextmanager
    def _mended(self) -> Iterator[None]:
        try:
            yield
        except IndexLost:
            order_rebuild(self._engine)
            raise

    def suggest(self, job: Timer) -> list[Found]:
        """Return what may help with a ticket. Raises Unavailable when the search does not answer in time."""
        patience_s = rules.SUGGESTION_PATIENCE_S
        return asking.articles_for(self, job.payload["title"], job.payload["code"], timeout_s=patience_s)

    def look_up(self, job: Timer) -> bool:
        """Tell whether an article answers feedback. Raises TryLater: nobody waits for it, and nothing may be lost."""
        with _until_done(job):
            return asking.is_answered(self, job.payload["text"], job.payload["code"], timeout_s=2.0)


@contextmanager
def _until_done(job: Timer) -> Iterator[None]:
    """Have a call made again, however it fails: soon when the server cannot be asked or a rebuild runs, else later."""
    try:
        yield
    except (Unavailable, RuleBroken) as error:
        raise TryLater(str(error), delay_s=rules.backoff_s(job.attempts)) from error
    except Exception as error:
        log.exception("a call of the index failed", extra={"call": job.kind, "key": job.key})
        raise TryLater(type(error).__name__, delay_s=_FAULT_DELAY_S) from error
