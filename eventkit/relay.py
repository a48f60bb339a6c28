"""The relay: takes events from the outbox to the broker, in order, and marks what the broker has confirmed.

One relay a service leads: the one whose connection holds the service's exclusive queue. Because that queue lives and
dies with the very connection that publishes, a relay that was frozen cannot publish after another took over.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from math import inf
from time import monotonic
from typing import Any

import amqp
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from eventkit import broker, outbox, wire
from eventkit.errors import BrokenTopology
from eventkit.outbox import Unsent
from eventkit.telemetry import ServiceMetrics, log

# Two windows are on their way at a time: while one is being confirmed, the next is read and sent.
WINDOW = 500
# After so many events the relay looks what the broker has to say, so that neither side waits for the other for ever.
_CHUNK = 100
_IDLE_S = 1.0
# Rows that the broker has are marked together, this long after the first of them at the latest. Those of a relay that
# dies before are sent once more, and dropped as repeats.
_MARK_S = 0.1
_CONFIRM_TIMEOUT_S = 30.0
_RETRY_S = 1.0


class _Unconfirmed(Exception):
    """The broker refused or returned an event: the window is sent again, in order."""


class Relay:
    """Publishes a service's outbox while it leads, and stands by while another one does.

    engine: every statement stands for itself, so it may be one that `database.open_glance` returns.
    """

    def __init__(self, uri: str, service: str, engine: Engine, metrics: ServiceMetrics) -> None:
        self._uri = uri
        self._service = service
        self._engine = engine
        self._metrics = metrics
        self._stopping = threading.Event()
        self._work = threading.Event()
        self._connection: Any = None
        self._outstanding: set[int] = set()
        self._confirmed: list[int] = []
        self._mark_at = inf
        self._published = self._settled = 0
        self._refused: BrokenTopology | _Unconfirmed | None = None
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
        self._work.set()
        channel.confirm_select()
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)
        channel.events["basic_return"].add(self._on_return)
        self._published = self._settled = 0
        self._outstanding.clear()
        self._refused = None
        self.leads = True
        return channel

    def _publish_until_stopped(self, channel: Any) -> None:
        under_way: deque[tuple[int, list[int]]] = deque()
        is_full = False
        while not self._stopping.is_set():
            self.last_seen = monotonic()
            positions: list[int] = []
            # Reading is due when somebody said so, and when the last window was full.
            if self._work.is_set() or is_full:
                self._work.clear()
                on_their_way = [one for _, window in under_way for one in window]
                positions = self._send_next(channel, self._confirmed + on_their_way)
                is_full = len(positions) == WINDOW
            if positions:
                under_way.append((self._published, positions))
            if under_way and (len(under_way) == 2 or not positions):
                self._settle(*under_way.popleft())
            elif not positions:
                self._connection.heartbeat_tick()
                # What arrives while idle is at most a heartbeat or a close; looking keeps both timely.
                broker.drain(self._connection, 0)
                self._work.wait(max(min(_IDLE_S, self._mark_at - monotonic()), 0.0))
            if monotonic() >= self._mark_at or len(self._confirmed) >= WINDOW:
                self._mark()
        while under_way:
            self._settle(*under_way.popleft())
        self._mark()

    def _send_next(self, channel: Any, besides: Sequence[int]) -> list[int]:
        """Send the oldest rows that are neither confirmed nor on their way, and return their positions."""
        with self._engine.connect() as connection:
            rows = outbox.unsent(connection, limit=WINDOW, besides=besides)
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            self._connection.send([self._frames(channel, row) for row in chunk])
            self._outstanding.update(range(self._published + 1, self._published + len(chunk) + 1))
            self._published += len(chunk)
            while broker.drain(self._connection, 0):
                pass
        return [row.position for row in rows]

    def _frames(self, channel: Any, row: Unsent) -> bytes:
        return wire.publication(
            channel.channel_id,
            broker.EVENTS,
            row.type,
            headers=row.headers,
            body=row.payload,
            message_id=row.id[:255],
            frame_max=self._connection.frame_max,
        )

    def _settle(self, last: int, positions: Sequence[int]) -> None:
        """Wait for the confirms of everything up to a delivery tag, and have the rows marked."""
        self._await_confirms(last)
        self._mark_at = min(self._mark_at, monotonic() + _MARK_S)
        self._confirmed += positions
        self._metrics.sent.inc(len(positions))
        self.problem = None

    def _mark(self) -> None:
        if self._confirmed:
            with self._engine.begin() as connection:
                outbox.mark_sent(connection, self._confirmed)
        self._confirmed, self._mark_at = [], inf

    def _await_confirms(self, last: int) -> None:
        waited_since = monotonic()
        while self._refused is None and self._outstanding and min(self._outstanding) <= last:
            if broker.drain(self._connection, 1.0):
                waited_since = monotonic()
            elif monotonic() - waited_since > _CONFIRM_TIMEOUT_S:
                raise _Unconfirmed(f"no confirm for {_CONFIRM_TIMEOUT_S:.0f} s")
            self._connection.heartbeat_tick()
        if self._refused is not None:
            raise self._refused

    def _on_ack(self, delivery_tag: int, multiple: bool) -> None:
        if multiple:
            self._outstanding.difference_update(range(self._settled + 1, delivery_tag + 1))
            self._settled = max(self._settled, delivery_tag)
        else:
            self._outstanding.discard(delivery_tag)

    def _on_nack(self, delivery_tag: int, multiple: bool) -> None:
        self._refused = _Unconfirmed(f"the broker refused delivery {delivery_tag}")

    def _on_return(self, exception: Any, exchange: str, routing_key: str, message: Any) -> None:
        self._refused = BrokenTopology(
            f"{routing_key} was returned: nothing is bound for it; run `liaison topology apply`"
        )
