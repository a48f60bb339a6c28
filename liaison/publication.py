"""Publishing many messages in order, each confirmed, through any outage: what a publisher outside of Liaison does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import amqp

from eventkit import broker

WINDOW = 500
_PATIENCE_S = 300.0
_CONFIRM_TIMEOUT_S = 30.0
_RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)


class CannotPublish(Exception):
    """Publishing cannot go on: the message says what to do."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One message to an exchange. not_before: aware; None for at once."""

    id: str
    routing_key: str
    headers: Mapping[str, str]
    body: bytes
    not_before: datetime | None = None


class Publication:
    """Publishes postings in order with pipelined confirms, through outages of the broker of up to five minutes.

    A lost connection, a refused or a returned message leaves a gap; everything from the lowest unconfirmed one on is
    then sent again, so that first occurrences arrive in order. name: shown in the broker's list of connections.
    """

    def __init__(self, uri: str, exchange: str, postings: Sequence[Posting], *, name: str) -> None:
        self._uri = uri
        self._account = unquote(urlsplit(uri).username or "")
        self._exchange = exchange
        self._postings = postings
        self._name = name
        self._next = 0
        self._base = 0
        self._outstanding: set[int] = set()
        self._refused: str | None = None
        self._connection: Any = None
        self.resent = 0
        self.connections = 0

    @property
    def confirmed(self) -> int:
        """How many postings from the first on the broker has confirmed without a gap."""
        return min(self._outstanding, default=self._next)

    def run(self, on_progress: Callable[[int], None]) -> None:
        """Publish everything. Raises CannotPublish when the broker refuses, or is away for too long."""
        failures, since, before = 0, time.monotonic(), -1
        while self.confirmed < len(self._postings):
            if self.confirmed > before:
                failures, since, before = 0, time.monotonic(), self.confirmed
            try:
                self._publish_on(self._open(), on_progress)
            except broker.LOST as error:
                _raise_if_hopeless(error, away_s=time.monotonic() - since)
                time.sleep(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
                failures += 1
            finally:
                broker.close_quietly(self._connection)
                self._connection = None

    def _open(self) -> Any:
        self.resent += self._next - self.confirmed
        self._next = self._base = self.confirmed
        self._outstanding.clear()
        self._refused = None
        self._connection = broker.connect(self._uri, name=self._name)
        self.connections += 1
        channel = self._connection.channel()
        channel.confirm_select()
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)
        channel.events["basic_return"].add(self._on_return)
        return channel

    def _publish_on(self, channel: Any, on_progress: Callable[[int], None]) -> None:
        heard_at = time.monotonic()
        while self.confirmed < len(self._postings):
            wait_s = self._send(channel)
            if broker.drain(self._connection, wait_s):
                heard_at = time.monotonic()
                while broker.drain(self._connection, 0):
                    pass
            self._connection.heartbeat_tick()
            on_progress(self.confirmed)
            if self._refused is not None:
                raise ConnectionResetError(self._refused)
            if self._outstanding and time.monotonic() - heard_at > _CONFIRM_TIMEOUT_S:
                raise ConnectionResetError(f"no confirm for {_CONFIRM_TIMEOUT_S:.0f} s")

    def _send(self, channel: Any) -> float:
        """Send what the window and the time allow; return how long to listen for confirms before more can go."""
        while self._next < len(self._postings) and len(self._outstanding) < WINDOW:
            posting = self._postings[self._next]
            if posting.not_before and (early_s := (posting.not_before - datetime.now(UTC)).total_seconds()) > 0:
                return min(early_s, 1.0)
            # Counted first: should the connection break while it is being written, it may have arrived.
            self._outstanding.add(self._next)
            self._next += 1
            channel.basic_publish(
                _message(posting, self._account),
                exchange=self._exchange,
                routing_key=posting.routing_key,
                mandatory=True,
            )
        return 1.0

    def _on_ack(self, delivery_tag: int, multiple: bool) -> None:
        index = self._base + delivery_tag - 1
        if multiple:
            self._outstanding -= {one for one in self._outstanding if one <= index}
        else:
            self._outstanding.discard(index)

    def _on_nack(self, delivery_tag: int, multiple: bool) -> None:
        self._refused = f"the broker refused delivery {delivery_tag}"

    def _on_return(self, exception: Any, exchange: str, routing_key: str, message: Any) -> None:
        self._refused = f"{routing_key} was returned: nothing is bound to the intake"


def _raise_if_hopeless(error: Exception, *, away_s: float) -> None:
    reason = getattr(error, "reply_text", "") or error
    match getattr(error, "reply_code", None):
        case 403:
            raise CannotPublish(f"the broker refuses the account: {reason}") from None
        case 404:
            raise CannotPublish(f"{reason}; run `liaison topology apply`") from None
    if away_s > _PATIENCE_S:
        raise CannotPublish(f"the broker is away: {type(error).__name__}: {error}") from None


def _message(posting: Posting, account: str) -> Any:
    return amqp.Message(
        posting.body,
        application_headers=dict(posting.headers),
        content_type="application/json",
        delivery_mode=2,
        message_id=posting.id,
        type=posting.routing_key,
        user_id=account,
    )
