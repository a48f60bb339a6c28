"""One connection to the broker: sends what waits in the spool, in order, and reads the door's answers.

Confirms are pipelined. The window begins at one event and doubles with each confirm, so that an event that the broker
refuses ends up alone in it, and is known for certain. Whatever ends the session, the next one sends again everything
from the lowest unconfirmed event on; the door drops what it knows.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker

from liaison_client.errors import CannotSpool
from liaison_client.settings import Settings
from liaison_client.spool import Refusal, Spool, Spooled

EXCHANGE = "liaison.intake"
WINDOW = 200
_HEARTBEAT_S = 20
_TICK_S = 0.2
_CONFIRM_TIMEOUT_S = 30.0
_FINISH_S = 3.0
_NO_RIGHT = 403

log = logging.getLogger("liaison_client")
OnRefusal = Callable[[Refusal], None]


@dataclass(frozen=True)
class Ending:
    """Why a session ended. problem: None when it was told to stop. confirmed: how many events it brought over."""

    problem: str | None
    confirmed: int


class Session:
    """Runs in the thread that calls `run`; `wake` and `stop` may come from any other."""

    def __init__(self, settings: Settings, spool: Spool, on_refusal: OnRefusal | None) -> None:
        self._settings = settings
        self._spool = spool
        self._on_refusal = on_refusal
        self._connection: Any = None
        self._channel: Any = None
        self._outstanding: dict[int, Spooled] = {}
        self._acked: list[int] = []
        self._tag = self._last = self._confirmed = 0
        self._window = 1
        self._heard_at = time.monotonic()
        self._stop_at: float | None = None
        self._stopping = False
        self._problem: str | None = None
        self._is_well = self._is_blocked = self._ending = False

    def run(self) -> Ending:
        """Send until stopped, or until something ends it. Raises nothing for an outage."""
        parameters = pika.URLParameters(self._settings.amqp_uri)
        parameters.heartbeat = _HEARTBEAT_S
        parameters.socket_timeout = parameters.stack_timeout = 10
        parameters.client_properties = {"connection_name": f"liaison-client {self._settings.account}"}
        self._connection = pika.SelectConnection(
            parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_closed,
            on_close_callback=self._on_closed,
        )
        loop = self._connection.ioloop
        try:
            loop.start()
        finally:
            loop.close()
        return Ending(self._problem, self._confirmed)

    def wake(self) -> None:
        """Say that the spool has new events."""
        if (connection := self._connection) is not None:
            connection.ioloop.add_callback_threadsafe(self._pump)

    def stop(self) -> None:
        """Ask for the end: what is on its way is waited for, for a moment."""
        self._stopping = True
        self.wake()

    def _on_open(self, connection: Any) -> None:
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Any) -> None:
        channel.add_on_close_callback(self._on_channel_closed)
        channel.add_on_return_callback(self._on_returned)
        channel.confirm_delivery(self._on_confirm, callback=lambda _: self._ready(channel))

    def _ready(self, channel: Any) -> None:
        self._channel = channel
        if self._settings.reply_queue:
            self._connection.channel(on_open_callback=self._on_verdict_channel)
        self._tick()

    def _tick(self) -> None:
        if self._ending:
            return
        silent_s = 0.0 if self._is_blocked else time.monotonic() - self._heard_at
        if self._outstanding and silent_s > _CONFIRM_TIMEOUT_S:
            self._end(f"the broker has confirmed nothing for {_CONFIRM_TIMEOUT_S:.0f} s")
            return
        self._pump()
        self._connection.ioloop.call_later(_TICK_S, self._tick)

    def _pump(self) -> None:
        """Send what the window allows."""
        if self._channel is None or self._ending:
            return
        if self._stopping:
            self._finish()
            return
        try:
            room = self._window - len(self._outstanding)
            for spooled in self._spool.waiting(after=self._last, limit=room) if room > 0 else ():
                self._send(spooled)
            if not self._outstanding:
                self._well()
        except CannotSpool as error:
            self._end(str(error))

    def _send(self, spooled: Spooled) -> None:
        if not self._outstanding:
            self._heard_at = time.monotonic()
        packed = spooled.packed
        properties = pika.BasicProperties(
            content_type="application/json",
            delivery_mode=2,
            headers=dict(packed.headers),
            message_id=packed.id,
            type=packed.type,
            # The broker checks it, and the door then knows for certain who sent this.
            user_id=self._settings.account,
            app_id="liaison-client",
        )
        self._tag += 1
        self._last = spooled.position
        self._outstanding[self._tag] = spooled
        self._channel.basic_publish(EXCHANGE, packed.type, packed.body, properties, mandatory=True)

    def _on_confirm(self, frame: Any) -> None:
        # A returned message is confirmed as well: nothing counts any more once the end has begun.
        if self._ending:
            return
        tag, multiple = frame.method.delivery_tag, frame.method.multiple
        if isinstance(frame.method, pika.spec.Basic.Nack):
            self._end("the broker could not keep an event")
            return
        self._heard_at = time.monotonic()
        tags = [one for one in self._outstanding if one <= tag] if multiple else [tag]
        positions = [found.position for one in tags if (found := self._outstanding.pop(one, None))]
        if not self._acked:
            # After all confirms that have arrived together, so that one transaction serves them.
            self._connection.ioloop.add_callback_threadsafe(self._settle)
        self._acked += positions
        self._window = min(self._window * 2, WINDOW)

    def _settle(self) -> None:
        positions, self._acked = self._acked, []
        try:
            if positions:
                self._spool.remove(positions)
                self._well()
                self._confirmed += len(positions)
        except CannotSpool as error:
            self._end(str(error))
        self._pump()

    def _well(self) -> None:
        """Take back what was said to be wrong: events go through, or none waits."""
        if not self._is_well:
            self._spool.note("problem", None)
            self._is_well = True

    def _on_returned(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        self._end(f"the broker has no queue behind {EXCHANGE}: Liaison's operator runs `liaison topology apply`")

    def _on_blocked(self, connection: Any, frame: Any) -> None:
        reason = f"the broker takes nothing for now: {frame.method.reason}"
        log.warning("sending pauses", extra={"problem": reason})
        self._is_blocked = True
        self._note("problem", reason)

    def _on_unblocked(self, connection: Any, frame: Any) -> None:
        self._heard_at = time.monotonic()
        self._is_blocked = False
        self._note("problem", None)

    def _on_channel_closed(self, channel: Any, reason: Exception) -> None:
        if self._ending:
            return
        problem = _told(reason)
        if isinstance(reason, ChannelClosedByBroker) and self._is_about_one_type(reason):
            [(_, refused)] = self._outstanding.items()
            log.error(
                "the broker refuses an event; it was set aside",
                extra={"event_id": refused.packed.id, "event_type": refused.packed.type, "problem": problem},
            )
            try:
                self._spool.set_aside(refused.position, problem)
            except CannotSpool as error:
                self._end(str(error))
            else:
                self._confirmed += 1
                self._end(None)
            return
        self._end(problem)

    def _is_about_one_type(self, reason: ChannelClosedByBroker) -> bool:
        """Tell whether the broker refuses one known event for its type, and not the account or the exchange."""
        if reason.reply_code != _NO_RIGHT or len(self._outstanding) != 1:
            return False
        return "access to topic" in reason.reply_text

    def _on_verdict_channel(self, channel: Any) -> None:
        channel.add_on_close_callback(self._on_verdicts_closed)
        channel.add_on_cancel_callback(lambda _: self._note("verdicts", "the reply queue was deleted"))
        channel.basic_qos(prefetch_count=50)
        channel.basic_consume(
            self._settings.reply_queue, self._on_verdict, callback=lambda _: self._note("verdicts", None)
        )

    def _on_verdicts_closed(self, channel: Any, reason: Exception) -> None:
        # Events go out all the same; the next session tries again.
        if isinstance(reason, ChannelClosedByBroker):
            self._note("verdicts", _told(reason))
            log.warning("the reply queue cannot be read", extra={"problem": _told(reason)})

    def _on_verdict(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        refusal = _refusal(body)
        try:
            is_new = self._spool.add_refusal(properties.message_id or body.hex()[:64], refusal)
        except CannotSpool as error:
            # It stays in the queue.
            self._end(str(error))
            return
        channel.basic_ack(method.delivery_tag)
        if is_new:
            log.warning(
                "an event was refused",
                extra={"event_id": refusal.id, "event_type": refusal.type, "field": refusal.field},
            )
            if self._on_refusal is not None:
                try:
                    self._on_refusal(refusal)
                except Exception:
                    log.exception("the callback for refusals failed")

    def _note(self, name: str, problem: str | None) -> None:
        try:
            self._spool.note(name, problem)
        except CannotSpool as error:
            log.warning("the spool cannot be written", extra={"problem": str(error)})

    def _finish(self) -> None:
        """End in order: send nothing new, wait for confirms for a moment."""
        self._stop_at = self._stop_at or time.monotonic() + _FINISH_S
        if (not self._outstanding and not self._acked) or time.monotonic() > self._stop_at:
            self._end(None)

    def _end(self, problem: str | None) -> None:
        if self._ending:
            return
        self._ending = True
        self._problem = problem
        # A frozen broker never answers the farewell.
        self._connection.ioloop.call_later(_FINISH_S, self._connection.ioloop.stop)
        try:
            self._connection.close()
        except AMQPError:
            self._connection.ioloop.stop()

    def _on_closed(self, connection: Any, reason: Any) -> None:
        if not self._ending:
            self._problem = _told(reason)
            self._ending = True
        self._connection.ioloop.stop()


def _told(reason: Any) -> str:
    """Return what an exception of pika says, without its nest of causes."""
    while getattr(reason, "args", None) and isinstance(reason.args[0], Exception):
        reason = reason.args[0]
    text = getattr(reason, "reply_text", None)
    if text:
        return f"the broker says: {text}"
    return f"the broker cannot be reached: {type(reason).__name__}: {reason}"[:500]


def _refusal(body: bytes) -> Refusal:
    try:
        told = json.loads(body)
        names = [str(told.get(name, "")) for name in ("id", "type", "field", "reason")]
    except (ValueError, AttributeError):
        names = ["", "", "", "an answer that cannot be read"]
    return Refusal(names[0], names[1], names[2], names[3], time.time())
