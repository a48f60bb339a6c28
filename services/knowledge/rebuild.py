"""Filling the search index anew from the database while the service runs, and seeing how it stands.

A new generation is written by everybody from the moment it exists; then it is filled with what the database holds,
each with its version, so that whatever was written meanwhile stays; then it is searched in place of the old one.
What is written between reading and filling is newer, and stays as well. So nothing is lost and nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine, text

from eventkit.errors import RuleBroken
from services.knowledge.cutting import CUT_VERSION
from services.knowledge.search import SearchIndex
from services.knowledge.shelf import Entry, Shelf

_LOCK = 0x11A15EA


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """How the index stands. found, wanted: documents that can be found, and that should be.

    waiting: changes that the index has not got yet; oldest_s: the age of the oldest, in seconds.
    """

    generation: str | None
    others: list[str]
    found: int
    wanted: int
    waiting: int
    oldest_s: float
    cut_version: int

    @property
    def is_right(self) -> bool:
        """Whether there is nothing to do."""
        return self.found == self.wanted and not self.waiting and self.cut_version == CUT_VERSION


def rebuild(engine: Engine, index: SearchIndex, show: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Build a new generation and search it from then on; return how many documents it began with.

    show: told (done, total) after each document. Raises RuleBroken while another rebuild runs, Unavailable when the
    search server goes away: the next rebuild cleans up what this one leaves.
    """
    shelf = Shelf(engine)

    def counted() -> Iterator[Entry]:
        total = shelf.count()
        for done, entry in enumerate(shelf.everything(), 1):
            yield entry
            show(done, max(total, done))

    with _alone(engine):
        index.drop_unread()
        generation = index.add_generation()
        count = index.fill(generation, counted())
        index.turn_to(generation)
    return count


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Keep other rebuilds away for as long as this one, or its process, lives."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.execute(text("select pg_try_advisory_lock(:lock)"), {"lock": _LOCK}).scalar_one():
            raise RuleBroken("another rebuild is running")
        try:
            yield
        finally:
            connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": _LOCK})


def status(engine: Engine, index: SearchIndex) -> IndexStatus:
    """Return how the index stands. Raises Unavailable."""
    shelf, generation = Shelf(engine), index.generation_read()
    waiting, oldest_s = shelf.behind()
    return IndexStatus(
        generation,
        [name for name in index.generations() if name != generation],
        index.count(),
        shelf.count(),
        waiting,
        oldest_s,
        index.cut_version(generation) if generation else 0,
    )
