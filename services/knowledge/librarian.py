"""The calls to the outside that jobs make: putting into the index, and looking things up for tickets and feedback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Engine

from eventkit.errors import TryLater, Unavailable
from eventkit.telemetry import log
from eventkit.timers import Timer
from services.knowledge import asking, rules
from services.knowledge.rules import Found
from services.knowledge.search import SearchIndex
from services.knowledge.settings import Settings
from services.knowledge.shelf import Shelf

# What is wrong with one document, or with our own account, does not heal within seconds.
_FAULT_DELAY_S = 60.0


class Librarian:
    """Knows the index and the shelf; one for the process."""

    def __init__(self, env: Mapping[str, str], engine: Engine) -> None:
        settings = Settings.from_env(env)
        self.index = SearchIndex(settings.search_url, settings.search_prefix)
        self._shelf = Shelf(engine)

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
            self.index.put(one, version, document)
        return version

    def suggest(self, job: Timer) -> list[Found]:
        """Return what may help with a ticket. Raises Unavailable when the search does not answer in time."""
        patience_s = rules.SUGGESTION_PATIENCE_S
        return asking.articles_for(self.index, job.payload["title"], job.payload["code"], timeout_s=patience_s)

    def look_up(self, job: Timer) -> list[Found]:
        """Return what may answer feedback. Raises TryLater: nobody waits for it, and nothing may be lost."""
        with _until_done(job):
            return asking.articles_for(self.index, job.payload["text"], job.payload["code"], timeout_s=2.0)


@contextmanager
def _until_done(job: Timer) -> Iterator[None]:
    """Have a call made again, however it fails: soon when the server cannot be asked, else after a while."""
    try:
        yield
    except Unavailable as error:
        raise TryLater(str(error), delay_s=rules.backoff_s(job.attempts)) from error
    except Exception as error:
        log.exception("a call of the index failed", extra={"call": job.kind, "key": job.key})
        raise TryLater(type(error).__name__, delay_s=_FAULT_DELAY_S) from error
