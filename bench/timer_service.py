"""A service whose timers write one row each."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Identity, MetaData, Table, Text

from eventkit.service import Stored, fires
from eventkit.timers import Timer
from eventkit.work import Work

KIND = "bench"
metadata = MetaData()
fired = Table(
    "fired",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
)


class FiredStore:
    """Writes what fired."""

    def __init__(self, work: Work) -> None:
        self.rows = work.rows(fired)


class TimerService:
    """Does nothing but fire."""

    name = "bench"
    store: FiredStore = Stored(FiredStore)

    @fires(KIND)
    def on_due(self, timer: Timer) -> None:
        """Write the row by which the benchmark knows when, and how often, a timer fired."""
        self.store.rows.append(key=timer.key, due_at=timer.due_at)
