"""The consumer of one partition: takes what has arrived, has it handled, acknowledges it.

It owns its connection and channel, so that one acknowledgement covers a batch. It stops by finishing: the running
batch is committed and acknowledged, then the channel is closed, and the broker hands the rest to the next consumer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

from sqlalchemy.exc import DBAPIError

from eventkit import broker, inbox
from eventkit.database import is_lost_connection, is_serialization_failure
from eventkit.handling import EventHandling
from eventkit.telemetry import log

BATCH = 200
# Two batches: the broker refills one while the other is being handled.
PREFETCH = 2 * BATCH
# Unacknowledged deliveries of a pausing consumer go back to the broker, where they can be seen.
PAUSE_S = 30.0
_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class PartitionConsumer:
    """Consumes one queue in order until stopped, through any outage of broker or database.

    on_idle: called about once a second between batches; returns False when this queue is to be left.
    """

    def __init__(
        self, uri: str, queue: str, handling: EventHandling, *, on_idle: Callable[[], bool] | None = None
    ) -> None:
        self.queue = queue
        self._uri = uri
        self._handling = handling
        self._on_idle = on_idle or (lambda: True)
        self._stopping = threading.Event()
        self._buffer: list[Any] = []
        self._connection: Any = None
        self._channel: Any = None
        self.last_seen = monotonic()
        self.problem: str | None = "starting"

    def stop(self) -> None:
        """Ask `run` to end after the running batch."""
        self._stopping.set()

    def run(self) -> None:
        """Consume until stopped. Lost connections are opened again; nothing is raised for an outage."""
        failures = 0
        while not self._stopping.is_set():
            try:
                self._open()
                failures = 0
                self._consume()
                return
            except broker.LOST as error:
                self._trouble(f"broker: {type(error).__name__}: {error}")
            except DBAPIError as error:
                self._trouble(f"database: {type(error.orig).__name__}")
            finally:
                self._close()
            self._stopping.wait(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
            failures += 1

    def _trouble(self, problem: str) -> None:
        self.problem = problem
        log.warning("consumer pauses", extra={"queue": self.queue, "problem": problem})

    def _open(self) -> None:
        self._buffer = []
        self._connection = broker.connect(self._uri, name=f"consume {self.queue}")
        self._channel = self._connection.channel()
        self._channel.basic_qos(0, PREFETCH, False)
        self._channel.basic_consume(self.queue, callback=self._buffer.append, on_cancel=self._on_cancel)
        self.problem = None

    def _on_cancel(self, consumer_tag: str) -> None:
        # The broker cancels a consumer whose queue is deleted; a new channel finds out what is there now.
        raise ConnectionResetError(f"{self.queue} was deleted")

    def _close(self) -> None:
        broker.close_quietly(self._connection)
        self._connection = None

    def _consume(self) -> None:
        idle_since = monotonic()
        while not self._stopping.is_set():
            self.last_seen = monotonic()
            self._connection.heartbeat_tick()
            if not self._buffer:
                broker.drain(self._connection, 0.25)
            while len(self._buffer) < BATCH and broker.drain(self._connection, 0):
                pass
            if self._buffer:
                self._handle_batch()
            if monotonic() - idle_since > 1.0:
                idle_since = monotonic()
                if not self._on_idle():
                    return

    def _handle_batch(self) -> None:
        batch = self._buffer[:BATCH]
        received = [inbox.receive(message.headers, _bytes(message.body)) for message in batch]
        redelivered = any(message.delivery_info["redelivered"] for message in batch)
        self._handle_through_outage(received, redelivered)
        self._channel.basic_ack(batch[-1].delivery_tag, multiple=True)
        del self._buffer[:BATCH]

    def _handle_through_outage(self, received: list[inbox.Received], redelivered: bool) -> None:
        """Hand the batch in until the database takes it; past PAUSE_S the deliveries go back to the broker."""
        since, tries = monotonic(), 0
        while True:
            try:
                self._handling.handle(received, redelivered=redelivered)
                self.problem = None
                return
            except DBAPIError as error:
                known = is_lost_connection(error) or is_serialization_failure(error)
                if not known or self._stopping.is_set() or monotonic() - since > PAUSE_S:
                    raise
                self._trouble(f"database: {type(error.orig).__name__}")
            self._stopping.wait(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
            tries += 1
            self._connection.heartbeat_tick()


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else str(body).encode()
