"""The consumers of a service's partitions, one thread each, in the generation that the service is at.

The broker has one active consumer a queue, the one that came first; so a replica that is active on more than its
share gives way on one queue after the other until the replicas share them evenly.

The number of partitions changes by a new generation of queues: new events go to both while the binding moves, the
old queues are emptied first, and what came twice is dropped as a repeat; so the order of each subject holds.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from time import monotonic

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from eventkit.broker import queue_name
from eventkit.consumer import QueueConsumer
from eventkit.envelope import new_id
from eventkit.handling import EventHandling

LOOK_S = 1.0
_SHARE_S = 10.0
_FORGET_S = 15.0


def current(connection: Connection) -> tuple[int, int]:
    """Return the generation that is consumed and its number of partitions; (1, 1) until it is ever changed."""
    row = connection.execute(
        text("select generation, partitions from eventkit.partitioning order by generation desc limit 1")
    ).one_or_none()
    return (row.generation, row.partitions) if row else (1, 1)


def advance(connection: Connection, generation: int, partitions: int) -> None:
    """Have the replicas move on to a generation."""
    connection.execute(
        text(
            "insert into eventkit.partitioning (generation, partitions) values (:generation, :partitions)"
            " on conflict (generation) do update set partitions = excluded.partitions"
        ),
        {"generation": generation, "partitions": partitions},
    )


def report_replica(connection: Connection, replica: str) -> int:
    """Record that a replica runs and return how many do."""
    row = connection.execute(
        text(
            "with seen as (insert into eventkit.replica (id) values (:id)"
            " on conflict (id) do update set seen_at = now() returning id),"
            " gone as (delete from eventkit.replica where seen_at < now() - make_interval(secs => :forget_s))"
            " select count(*) filter (where id <> :id) + 1 from eventkit.replica"
            " where seen_at >= now() - make_interval(secs => :forget_s)"
        ),
        {"id": replica, "forget_s": _FORGET_S},
    )
    return int(row.scalar_one())


def surplus_of(consumers: Sequence[QueueConsumer], replicas: int) -> QueueConsumer | None:
    """Return a consumer that should give way: one that is active beyond this replica's even share, if any."""
    active = [consumer for consumer in consumers if consumer.is_active]
    share = math.ceil(len(consumers) / max(replicas, 1))
    return active[-1] if len(active) > share else None


class Partitions:
    """Keeps one consumer running for each partition of the current generation."""

    def __init__(self, uri: str, engine: Engine, handling: EventHandling) -> None:
        self._uri = uri
        self._engine = engine
        self._handling = handling
        self._service = handling.definition.name
        self._stopping = threading.Event()
        self._consumers: list[QueueConsumer] = []
        self._replica, self._replicas = new_id(), 1
        self._shared_at = monotonic()
        self.last_seen = monotonic()

    def stop(self) -> None:
        """Ask `run` to end once every consumer has finished its batch."""
        self._stopping.set()
        for consumer in self._consumers:
            consumer.stop()

    def problem(self) -> str | None:
        """Return why some partition is not consumed now, or None."""
        if not self._consumers:
            return "not consuming yet"
        return next((consumer.problem for consumer in self._consumers if consumer.problem), None)

    def run(self) -> None:
        """Consume until stopped, moving on when the generation does."""
        generation, partitions = self._look() or (1, 1)
        while not self._stopping.is_set():
            queues = [queue_name(self._service, generation, number) for number in range(partitions)]
            handle, gather_s = self._handling.handle_messages, self._handling.definition.gather_s
            self._consumers = [QueueConsumer(self._uri, queue, handle, gather_s) for queue in queues]
            threads = [
                threading.Thread(target=consumer.run, name=consumer.queue, daemon=True) for consumer in self._consumers
            ]
            for thread in threads:
                thread.start()
            following = (generation, partitions)
            while following == (generation, partitions) and not self._stopping.wait(LOOK_S):
                if ended := [thread.name for thread in threads if not thread.is_alive()]:
                    # Nobody would consume these queues any more; the process ends and its supervisor starts it again.
                    raise RuntimeError(f"the consumer of {', '.join(ended)} ended with an error")
                self.last_seen = min((consumer.last_seen for consumer in self._consumers), default=monotonic())
                following = self._look() or following
                self._share()
            for consumer in self._consumers:
                consumer.stop()
            for thread in threads:
                thread.join()
            generation, partitions = following

    def _share(self) -> None:
        if monotonic() - self._shared_at > _SHARE_S:
            self._shared_at = monotonic()
            if (surplus := surplus_of(self._consumers, self._replicas)) is not None:
                surplus.give_way()

    def _look(self) -> tuple[int, int] | None:
        try:
            with self._engine.begin() as connection:
                self._replicas = report_replica(connection, self._replica)
                return current(connection)
        except DBAPIError:
            return None
