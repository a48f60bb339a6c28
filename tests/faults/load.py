"""Load: writers that emit events into the source's outbox, in transactions of which some are rolled back."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from contracts.gateway import TicketRequested
from eventkit.work import Work
from tests.faults.service import written

WRITERS = 3
ROLLED_BACK_SHARE = 0.05


class Load:
    """Several writers over the same subjects, at a steady rate.

    total: events to write, as a limit. rate: events a second. title: names an event's behaviour by its number.
    """

    def __init__(
        self,
        engine: Engine,
        source: str,
        *,
        total: int,
        rate: float,
        seed: int,
        subjects: int = 40,
        title: Callable[[int], str] = lambda number: "good",
    ) -> None:
        self._engine = engine
        self._source = source
        self._total = total
        self._rate = rate
        self._seed = seed
        self._subjects = subjects
        self._title = title
        self._lock = threading.Lock()
        self._next = 0
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(WRITERS)]
        self._started = 0.0
        self.attempted: dict[str, str] = {}
        self.acknowledged: set[str] = set()

    def start(self) -> Load:
        """Begin to write."""
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Write no more, and return when the writers are done."""
        self._stopping.set()
        self.wait()

    def wait(self) -> None:
        """Return when all is written."""
        for thread in self._threads:
            thread.join()

    @property
    def share(self) -> float:
        """How much of the total is written, 0 to 1."""
        return len(self.acknowledged) / self._total

    @property
    def is_done(self) -> bool:
        """Whether the writers have ended."""
        return not any(thread.is_alive() for thread in self._threads)

    def _take(self, most: int) -> list[int]:
        with self._lock:
            numbers = list(range(self._next, min(self._next + most, self._total)))
            self._next += len(numbers)
        return numbers

    def _run(self, writer: int) -> None:
        dice = random.Random(f"{self._seed} {writer}")
        while not self._stopping.is_set() and (numbers := self._take(dice.randint(1, 20))):
            subjects = [f"S{dice.randrange(self._subjects)}" for _ in numbers]
            self._write(numbers, subjects, roll_back=dice.random() < ROLLED_BACK_SHARE)
            ahead_s = self._next / self._rate - (time.monotonic() - self._started)
            if ahead_s > 0:
                self._stopping.wait(ahead_s)

    def _write(self, numbers: list[int], subjects: list[str], *, roll_back: bool) -> None:
        """Write one transaction until its commit is answered; one whose answer was lost may or may not stand."""
        while not self._stopping.is_set():
            try:
                if roll_back:
                    self._transaction(numbers, subjects, commit=False)
                    roll_back = False
                ids = self._transaction(numbers, subjects, commit=True)
                with self._lock:
                    self.acknowledged |= ids
                return
            except SQLAlchemyError:
                self._stopping.wait(0.2)

    def _transaction(self, numbers: list[int], subjects: list[str], *, commit: bool) -> set[str]:
        with self._engine.connect() as connection:
            now = connection.execute(text("select now()")).scalar_one()
            work = Work(connection, source=f"/liaison/{self._source}", now=now)
            events = [
                work.emit(TicketRequested(title=self._title(number)), subject=subject)
                for number, subject in zip(numbers, subjects, strict=True)
            ]
            for event in events:
                work.rows(written).add(event_id=event.id)
            work.flush()
            if not commit:
                connection.rollback()
                return set()
            with self._lock:
                self.attempted |= {event.id: event.data.title for event in events}
            connection.commit()
        return {event.id for event in events}
