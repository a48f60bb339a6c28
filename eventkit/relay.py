"""The relay: takes events from the outbox to the broker, in order, and marks what the broker has confirmed.

One relay a service leads: the one whose connection holds the service's exclusive queue. Because that queue lives and
dies with the very connection that publishes, a relay that was frozen cannot publish after another took over.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from time import monotonic
from typing import Any

import amqp
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from eventkit import broker, outbox
from eventkit.errors import BrokenTopology
from eventkit.outbox import Unsent
from eventkit.telemetry import ServiceMetrics, log

WINDOW = 1000
POLL_S = 0.2
_CONFIRM_TIMEOUT_S = 30.0
_RETRY_S = 1.0


class _Unconfirmed(Exception):
    """The broker refused or returned an event: the window is sent again, in order."""


class Relay:
    """Publishes a service's outbox while it leads, and stands by while another one does."""

    def __init__(self, uri: str, service: str, engine: Engine, metrics: ServiceMetrics) -> None:
        self._uri = uri
        self._service = service
        self._engine = engine
        self._metrics = metrics
        self._stopping = threading.Event()
        self._work = threading.Event()
        self._connection: Any = None
        self._confirmed: set[int] = set()
        self._refused: str | None = None
        self.leads = False
        self.problem: str | None = None
        self.last_seen = monotonic()

    def wake(self) -> None:
        """Say that the outbox has new rows."""
        self._work.set()

    def stop(self) -> None:
        """Ask `run` to end after the window under way."""
        self._stopping.set()
        self._work.set()

    def run(self) -> None:
        """Lead or stand by until stopped, through any outage."""
        while not self._stopping.is_set():
            try:
                channel = self._lead()
                if channel is not None:
                    self._publish_until_stopped(channel)
            except BrokenTopology as error:
                self.problem = str(error)
                log.error("relay stops", extra={"problem": self.problem})
            except _Unconfirmed as error:
                self._metrics.resent.inc()
                log.warning("relay resends", extra={"problem": str(error)})
            except broker.LOST as error:
                log.warning("relay lost the broker", extra={"problem": f"{type(error).__name__}: {error}"})
            except DBAPIError as error:
                log.warning("relay lost the database", extra={"problem": type(error.orig).__name__})
            finally:
                self.leads = False
                broker.close_quietly(self._connection)
                self._connection = None
            self.last_seen = monotonic()
            self._stopping.wait(_RETRY_S)

    def _lead(self) -> Any:
        """Return a publishing channel, or None while another relay leads."""
        self._connection = broker.connect(self._uri, name=f"relay {self._service}")
        channel = self._connection.channel()
        try:
            channel.queue_declare(broker.relay_lock(self._service), exclusive=True, auto_delete=True)
        except amqp.exceptions.ResourceLocked:
            return None
        channel.confirm_select()
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)
        channel.events["basic_return"].add(self._on_return)
        self._published = 0
        self._outstanding: set[int] = set()
        self.leads = True
        return channel

    def _publish_until_stopped(self, channel: Any) -> None:
        while not self._stopping.is_set():
            self.last_seen = monotonic()
            self._work.clear()
            with self._engine.connect() as connection:
                rows = outbox.unsent(connection, limit=WINDOW)
            if rows:
                self._send(channel, rows)
                self.problem = None
            if len(rows) < WINDOW:
                self._connection.heartbeat_tick()
                # What arrives while idle is at most a heartbeat or a close; looking keeps both timely.
                broker.drain(self._connection, 0)
                self._work.wait(POLL_S)

    def _send(self, channel: Any, rows: Sequence[Unsent]) -> None:
        self._refused = None
        for row in rows:
            message = amqp.Message(
                row.payload,
                application_headers=row.headers,
                content_type="application/json",
                delivery_mode=2,
                message_id=row.id[:255],
                type=row.type,
            )
            channel.basic_publish(message, exchange=broker.EVENTS, routing_key=row.type, mandatory=True)
            self._published += 1
            self._outstanding.add(self._published)
        self._await_confirms()
        with self._engine.begin() as connection:
            outbox.mark_sent(connection, [row.position for row in rows])
        self._metrics.sent.inc(len(rows))

    def _await_confirms(self) -> None:
        waited_since = monotonic()
        while self._outstanding and self._refused is None:
            if broker.drain(self._connection, 1.0):
                waited_since = monotonic()
            elif monotonic() - waited_since > _CONFIRM_TIMEOUT_S:
                raise _Unconfirmed(f"no confirm for {_CONFIRM_TIMEOUT_S:.0f} s")
            self._connection.heartbeat_tick()
        if self._refused is not None:
            raise BrokenTopology(self._refused) if "returned" in self._refused else _Unconfirmed(self._refused)

    def _on_ack(self, delivery_tag: int, multiple: bool) -> None:
        if multiple:
            self._outstanding -= {tag for tag in self._outstanding if tag <= delivery_tag}
        else:
            self._outstanding.discard(delivery_tag)

    def _on_nack(self, delivery_tag: int, multiple: bool) -> None:
        self._refused = f"the broker refused delivery {delivery_tag}"

    def _on_return(self, exception: Any, exchange: str, routing_key: str, message: Any) -> None:
        self._refused = f"{routing_key} was returned: nothing is bound for it; run `liaison topology apply`"
