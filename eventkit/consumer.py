"""The consumer of one queue: takes what has arrived, has it handled, acknowledges it.

It owns its connection and channel, so that one acknowledgement covers a batch. It stops by finishing: the running
batch is committed and acknowledged, then the channel is closed, and the broker hands the rest to the next consumer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

import amqp
import msgspec
from sqlalchemy.exc import DBAPIError

from eventkit import broker, wire
from eventkit.database import is_lost_connection, is_serialization_failure
from eventkit.telemetry import log

BATCH = 200
# Two batches: the broker refills one while the other is being handled.
PREFETCH = 2 * BATCH
# Unacknowledged deliveries of a pausing consumer go back to the broker, where they can be seen.
PAUSE_S = 30.0
_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """A message as it came.

    account: who published it, when the publisher said so; the broker has checked that. unreadable: why its properties
    could not be decoded.
    """

    headers: dict[str, Any]
    body: bytes
    routing_key: str
    content_type: str
    account: str | None
    unreadable: str | None = None


class Outgoing(msgspec.Struct, frozen=True):
    """A message to publish, confirmed, before the batch that led to it is acknowledged."""

    exchange: str
    routing_key: str
    message_id: str
    body: bytes


Handle = Callable[[Sequence[Incoming], bool], Sequence[Outgoing]]
"""Handles messages in order, told whether some were out before; what it returns is published before the ack."""


class QueueConsumer:
    """Consumes one queue in order until stopped, through any outage of broker or database.

    gather_s: for how long the first message of a batch waits for others.
    """

    def __init__(self, uri: str, queue: str, handle: Handle, gather_s: float = 0.0) -> None:
        self.queue = queue
        self._uri = uri
        self._handle = handle
        self._gather_s = gather_s
        self._stopping = threading.Event()
        self._buffer: list[Any] = []
        self._connection: Any = None
        self._channel: Any = None
        self._publishing: Any = None
        self._giving_way = threading.Event()
        self.is_active = False
        self.last_seen = monotonic()
        self.problem: str | None = "starting"

    def stop(self) -> None:
        """Ask `run` to end after the running batch."""
        self._stopping.set()

    def give_way(self) -> None:
        """Finish the running batch and let the next replica in the queue's line be the active one."""
        self._giving_way.set()

    def run(self) -> None:
        """Consume until stopped. Lost connections are opened again; nothing is raised for an outage."""
        failures = 0
        while not self._stopping.is_set():
            self.last_seen = monotonic()
            try:
                self._open()
                failures = 0
                self._consume()
                if self._stopping.is_set():
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
        self._publishing = None
        self.is_active = False
        self._giving_way.clear()
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
        while not self._stopping.is_set() and not self._giving_way.is_set():
            self.last_seen = monotonic()
            self._connection.heartbeat_tick()
            if not self._buffer:
                broker.drain(self._connection, broker.LOOK_S)
            gathered_at = monotonic() + self._gather_s if self._buffer else 0.0
            while len(self._buffer) < BATCH and broker.drain(self._connection, max(gathered_at - monotonic(), 0)):
                pass
            if self._buffer:
                self._handle_batch()

    def _handle_batch(self) -> None:
        batch = self._buffer[:BATCH]
        self.is_active = True
        redelivered = any(message.delivery_info["redelivered"] for message in batch)
        for outgoing in self._handle_through_outage([_incoming(message) for message in batch], redelivered):
            self._publish(outgoing)
        self._channel.basic_ack(batch[-1].delivery_tag, multiple=True)
        # Publishing reads from the connection too, so that more may have arrived behind this batch.
        del self._buffer[: len(batch)]

    def _publish(self, outgoing: Outgoing) -> None:
        if self._publishing is None:
            self._publishing = self._connection.channel()
            self._publishing.confirm_select()
        message = amqp.Message(
            outgoing.body, message_id=outgoing.message_id, content_type="application/json", delivery_mode=2
        )
        self._publishing.basic_publish_confirm(
            message, exchange=outgoing.exchange, routing_key=outgoing.routing_key, timeout=broker.HEARTBEAT_S
        )

    def _handle_through_outage(self, batch: Sequence[Incoming], redelivered: bool) -> Sequence[Outgoing]:
        """Hand the batch in until the database takes it; past PAUSE_S the deliveries go back to the broker."""
        since, tries = monotonic(), 0
        while True:
            try:
                outgoing = self._handle(batch, redelivered)
                self.problem = None
                return outgoing
            except DBAPIError as error:
                known = is_lost_connection(error) or is_serialization_failure(error)
                if not known or self._stopping.is_set() or monotonic() - since > PAUSE_S:
                    raise
                self._trouble(f"database: {type(error.orig).__name__}")
            self._stopping.wait(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
            tries += 1
            self._connection.heartbeat_tick()


def _incoming(message: Any) -> Incoming:
    properties = message.properties
    headers = properties.get("application_headers") or {}
    return Incoming(
        headers=headers,
        body=message.body if isinstance(message.body, bytes) else str(message.body).encode(),
        routing_key=message.delivery_info["routing_key"],
        content_type=properties.get("content_type") or "",
        account=properties.get("user_id"),
        unreadable=headers.get(wire.UNREADABLE),
    )
