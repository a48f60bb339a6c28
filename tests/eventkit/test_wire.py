"""What goes over the wire is AMQP 0-9-1 as py-amqp and the broker understand it, in whatever pieces it arrives."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import amqp
import pytest
from amqp.exceptions import UnexpectedFrame
from amqp.method_framing import frame_handler

from eventkit import broker, wire
from eventkit.topology import Queue
from liaison.installation import Installation
from tests.eventkit.desk import admin_of, eventually

HEADERS = {"ce-id": "e-1", "ce-subject": "打印机 3 号", "ce-empty": ""}
QUEUE = "wire-test"


def frames_of(body: bytes, *, frame_max: int = 131_072, message_id: str = "e-1") -> bytes:
    """Return the frames of one message to QUEUE, over the default exchange."""
    return wire.publication(1, "", QUEUE, headers=HEADERS, body=body, message_id=message_id, frame_max=frame_max)


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, Any]]:
    """The broker's end of a connection, and our transport at the other end."""
    theirs, ours = socket.socketpair()
    transport = wire._Transport("localhost:1")
    transport.sock = ours
    transport._setup_transport()
    yield theirs, transport
    theirs.close()
    ours.close()


def test_a_message_reads_as_what_was_published(line: tuple[socket.socket, Any]) -> None:
    theirs, transport = line
    body = "“正文”".encode() * 500
    theirs.sendall(frames_of(body, frame_max=1000))
    found: list[Any] = []

    def take(*arguments: Any) -> None:
        found.append(arguments)

    # For py-amqp only deliveries have content; the rest of a publication has the same form.
    read = frame_handler(SimpleNamespace(bytes_recv=0), take, content_methods=[(60, 40)])
    while not read(transport.read_frame()):
        pass
    [(channel, signature, arguments, message)] = found
    assert (channel, signature) == (1, (60, 40))
    # ticket, exchange, routing key, and the bit that makes the message mandatory.
    assert bytes(arguments[4:]) == b"\0\0" + b"\0" + bytes([len(QUEUE)]) + QUEUE.encode() + b"\1"
    assert message.properties["application_headers"] == HEADERS
    assert message.properties["content_type"] == "application/json"
    assert (message.properties["delivery_mode"], message.properties["message_id"]) == (2, "e-1")
    assert message.properties["type"] == QUEUE
    assert message.body == body


@pytest.mark.parametrize("size", [1, 3, 7, 64])
def test_frames_may_arrive_in_any_pieces_with_pauses(line: tuple[socket.socket, Any], size: int) -> None:
    theirs, transport = line
    sent = frames_of(b"{}") + frames_of(b"[1]")
    frames = []
    for start in range(0, len(sent), size):
        theirs.sendall(sent[start : start + size])
        with transport.having_timeout(0):
            while True:
                try:
                    frames.append(transport.read_frame())
                except TimeoutError:
                    break
    assert [kind for kind, _, _ in frames] == [1, 2, 3, 1, 2, 3]
    assert [payload for kind, _, payload in frames if kind == 3] == [b"{}", b"[1]"]


def test_no_frame_is_larger_than_agreed(line: tuple[socket.socket, Any]) -> None:
    theirs, transport = line
    theirs.sendall(frames_of(b"x" * 2500, frame_max=1000))
    payloads = [payload for kind, _, payload in (transport.read_frame() for _ in range(5)) if kind == 3]
    # Seven bytes before the payload and one behind it belong to the frame.
    assert [len(payload) for payload in payloads] == [992, 992, 516]


def test_a_frame_that_does_not_end_where_it_should_is_refused(line: tuple[socket.socket, Any]) -> None:
    theirs, transport = line
    theirs.sendall(frames_of(b"{}").replace(b"\xce", b"\xcf"))
    with pytest.raises(UnexpectedFrame):
        transport.read_frame()


def test_a_closed_connection_is_a_lost_one(line: tuple[socket.socket, Any]) -> None:
    theirs, transport = line
    theirs.sendall(frames_of(b"{}")[:5])
    theirs.close()
    with pytest.raises(broker.LOST):
        transport.read_frame()


def test_a_name_that_amqp_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="range"):
        frames_of(b"{}", message_id="长" * 90)


@pytest.fixture
def channel(installation: Installation) -> Iterator[Any]:
    """A channel with confirms on a real broker, and a queue."""
    admin = admin_of(installation)
    admin.declare(Queue(QUEUE, quorum=False))
    connection = broker.connect(installation.amqp_admin_uri, name="test wire")
    opened = connection.channel()
    opened.confirm_select()
    opened.queue_purge(QUEUE)
    yield opened
    broker.close_quietly(connection)
    admin._call("DELETE", f"/queues/liaison/{QUEUE}", ok=(204, 404))
    admin.close()


def test_the_broker_takes_many_messages_in_one_write_and_confirms_each(channel: Any) -> None:
    confirmed: list[int] = []
    channel.events["basic_ack"].add(lambda tag, multiple: confirmed.append(tag))
    bodies = [b"{}", b"", b"x" * 400_000]
    channel.connection.send([frames_of(body, frame_max=channel.connection.frame_max) for body in bodies])
    eventually(lambda: broker.drain(channel.connection, 0.1) and max(confirmed, default=0) == len(bodies))
    found = [next_message(channel) for _ in bodies]
    assert [as_bytes(message.body) for message in found] == bodies
    for message in found:
        assert message.headers == HEADERS
        assert message.properties["content_type"] == "application/json"


def test_what_nobody_is_bound_for_comes_back(channel: Any) -> None:
    returned: list[str] = []
    channel.events["basic_return"].add(lambda error, exchange, key, message: returned.append(key))
    frames = wire.publication(
        1, "", "nobody", headers={}, body=b"{}", message_id="e-1", frame_max=channel.connection.frame_max
    )
    channel.connection.send([frames])
    eventually(lambda: broker.drain(channel.connection, 0.1) and returned)
    assert returned == ["nobody"]


def test_a_thread_that_publishes_leaves_reading_to_the_thread_that_reads(channel: Any) -> None:
    found: list[bytes] = []
    channel.basic_consume(QUEUE, no_ack=True, callback=lambda message: found.append(as_bytes(message.body)))
    for body in ("1", "2", "3", "4"):
        channel.basic_publish(amqp.Message(body), routing_key=QUEUE)
        # What comes back is in the socket when the next publication is written.
        assert select.select([channel.connection.transport.sock], [], [], 15)[0]
    assert found == []
    eventually(lambda: broker.drain(channel.connection, 0.1) and len(found) == 4)


def next_message(channel: Any) -> Any:
    """Take one message that is there already."""
    return eventually(lambda: channel.basic_get(QUEUE, no_ack=True))


def as_bytes(body: bytes | str) -> bytes:
    """Undo py-amqp's decoding of bodies."""
    return body if isinstance(body, bytes) else body.encode()
