"""The hot path of AMQP 0-9-1 below py-amqp: reads what has arrived in one call, writes many events in one call.

py-amqp asks the socket three times for a frame and writes one message a call; both cost more than the handling of an
event. Everything else stays py-amqp's: handshake, channels, heartbeats, confirms. Source: AMQP 0-9-1, 4.2 and 2.3.5.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from functools import lru_cache
from struct import Struct
from typing import Any

import amqp
from amqp import method_framing
from amqp.exceptions import UnexpectedFrame
from amqp.transport import TCPTransport

_FRAME = Struct(">BHI")
_CONTENT = Struct(">HHQH")
_LONG = Struct(">I")
_FRAME_END = 0xCE
_END = bytes([_FRAME_END])
_METHOD, _HEADER, _BODY = 1, 2, 3
_BASIC, _PUBLISH = 60, 40
_MANDATORY = 1
# content_type, headers, delivery_mode, message_id, type: in this order, as their bits from the left.
_PROPERTIES = 0x8000 | 0x2000 | 0x1000 | 0x0080 | 0x0020
_PERSISTENT = b"\x02"
_RECEIVE_BYTES = 256 * 1024
_NOTHING_YET = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)


#: The one header of a message whose properties cannot be decoded: why.
UNREADABLE = "unreadable"


class _Message(amqp.Message):  # type: ignore[misc]
    """A message that can be refused even when its properties cannot be decoded.

    Others may put into a header what Python has no value for, such as a timestamp past the year 9999. An exception here
    would end the connection, the broker would deliver the message again, and nothing behind it would ever be read.
    """

    def _load_properties(self, class_id: int, buf: bytes, offset: int) -> int:
        try:
            return int(super()._load_properties(class_id, buf, offset))
        except Exception as error:
            self.properties = {"application_headers": {UNREADABLE: type(error).__name__}}
            return offset


# py-amqp has no other place to say which class received messages are made of.
method_framing.Message = _Message


class _Transport(TCPTransport):  # type: ignore[misc]
    """Keeps what it has received beyond the frame that was asked for; a timeout within a frame loses nothing."""

    def _setup_transport(self) -> None:
        super()._setup_transport()
        self._received = b""
        self._begin = 0

    def received_frame(self) -> tuple[int, int, bytes] | None:
        """Return the next frame if all of it has been received."""
        received, begin = self._received, self._begin
        if len(received) - begin < _FRAME.size:
            return None
        kind, channel, size = _FRAME.unpack_from(received, begin)
        end = begin + _FRAME.size + size
        if end >= len(received):
            return None
        if received[end] != _FRAME_END:
            raise UnexpectedFrame(f"a frame ends with {received[end]:#04x}")
        self._begin = end + 1
        return kind, channel, received[begin + _FRAME.size : end]

    def read_frame(self) -> tuple[int, int, bytes]:
        """Return the next frame: type, channel, payload. Raises TimeoutError when it does not come in time."""
        while (frame := self.received_frame()) is None:
            try:
                more = self.sock.recv(_RECEIVE_BYTES)
            except OSError as error:
                if error.errno in _NOTHING_YET:
                    raise TimeoutError from None
                if not isinstance(error, TimeoutError):
                    self.connected = False
                raise
            if not more:
                self.connected = False
                raise ConnectionResetError("the broker closed the connection")
            self._received = self._received[self._begin :] + more
            self._begin = 0
        return frame


class Connection(amqp.Connection):  # type: ignore[misc]
    """py-amqp's connection over our transport, without TLS.

    One thread reads; others may write, in turn.
    """

    # Where the broker tells of its alarms, py-amqp reads before each publication, in whatever thread publishes. Two
    # threads that read take pieces of each other's frames, and one of them may wait for ever.
    negotiate_capabilities = {**amqp.Connection.negotiate_capabilities, "connection.blocked": False}  # noqa: RUF012

    def Transport(  # noqa: N802
        self,
        host: str,
        connect_timeout: float,
        ssl: Any = False,
        read_timeout: float | None = None,
        write_timeout: float | None = None,
        **options: Any,
    ) -> Any:
        """Return the transport, as py-amqp asks for it."""
        return _Transport(
            host, connect_timeout=connect_timeout, read_timeout=read_timeout, write_timeout=write_timeout, **options
        )

    def blocking_read(self, timeout: float | None = None) -> Any:
        """Handle one frame, waiting for it up to `timeout` seconds when it has not been received yet."""
        frame = self.transport.received_frame()
        if frame is None:
            with self.transport.having_timeout(timeout):
                frame = self.transport.read_frame()
        return self.on_inbound_frame(frame)

    def send(self, frames: Iterable[bytes]) -> None:
        """Write frames in one call. Raises OSError when the connection is lost."""
        self.transport.write(b"".join(frames))
        # Heartbeats are sent when nothing else was.
        self.bytes_sent += 1


def publication(
    channel: int,
    exchange: str,
    routing_key: str,
    *,
    headers: Mapping[str, str],
    body: bytes,
    message_id: str,
    frame_max: int,
) -> bytes:
    """Return the frames of one persistent, mandatory JSON message whose type is its routing key.

    frame_max: bytes that the broker takes in one frame. Raises ValueError for a name of more than 255 bytes.
    """
    table = b"".join([_short(name) + b"S" + _long(value) for name, value in headers.items()])
    properties = b"".join((_JSON, _LONG.pack(len(table)), table, _PERSISTENT, _short(message_id), _short(routing_key)))
    header = _CONTENT.pack(_BASIC, 0, len(body), _PROPERTIES) + properties
    frames = [_publish_method(channel, exchange, routing_key), _frame(_HEADER, channel, header)]
    most = frame_max - _FRAME.size - 1
    frames += [_frame(_BODY, channel, body[start : start + most]) for start in range(0, len(body), most)]
    return b"".join(frames)


@lru_cache(1024)
def _publish_method(channel: int, exchange: str, routing_key: str) -> bytes:
    ids = _BASIC.to_bytes(2, "big") + _PUBLISH.to_bytes(2, "big") + bytes(2)
    return _frame(_METHOD, channel, ids + _short(exchange) + _short(routing_key) + bytes([_MANDATORY]))


def _frame(kind: int, channel: int, payload: bytes) -> bytes:
    return _FRAME.pack(kind, channel, len(payload)) + payload + _END


def _short(text: str) -> bytes:
    encoded = text.encode()
    return bytes((len(encoded),)) + encoded


def _long(text: str) -> bytes:
    encoded = text.encode()
    return _LONG.pack(len(encoded)) + encoded


_JSON = _short("application/json")
