"""Connections to RabbitMQ, and the names of what lies there."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import unquote, urlsplit

import amqp

from eventkit import wire

EVENTS = "liaison.events"
"""Topic exchange of all events; the routing key is the type. Only our services may write to it."""
INTAKE = "liaison.intake"
"""Topic exchange to which other systems publish, each only its own types."""
RPC = "liaison.rpc"
REPLIES = "liaison.replies"

HEARTBEAT_S = 20
#: For how long whoever reads from the broker waits for something, before looking whether to stop.
LOOK_S = 0.25
LOST = (amqp.exceptions.AMQPError, OSError)
"""What the loss of a connection or channel looks like; whoever sees it opens a new one."""


def queue_name(service: str, generation: int, partition: int) -> str:
    """Return the name of one partition's queue."""
    return f"{service}.{generation}.{partition}"


def partition_exchange(service: str, generation: int) -> str:
    """Return the name of the consistent-hash exchange in front of a service's queues."""
    return f"{service}.{generation}"


def relay_lock(service: str) -> str:
    """Return the name of the exclusive queue that makes one relay the leader."""
    return f"{service}.relay"


def rpc_queue(service: str) -> str:
    """Return the name of the queue of calls to a service."""
    return f"{service}.rpc"


def connect(uri: str, *, name: str, timeout_s: float = 5.0) -> Any:
    """Open a connection. Raises one of LOST when the broker cannot be reached or refuses the account.

    uri: amqp://account:secret@host:port/vhost. name: shown in the broker's list of connections.
    """
    parts = urlsplit(uri)
    connection = wire.Connection(
        host=f"{parts.hostname}:{parts.port or 5672}",
        userid=unquote(parts.username or "guest"),
        password=unquote(parts.password or "guest"),
        virtual_host=unquote(parts.path[1:]) or "/",
        heartbeat=HEARTBEAT_S,
        connect_timeout=timeout_s,
        # A link that swallows everything must not hang us for ever: writes end after this long.
        write_timeout=HEARTBEAT_S,
        client_properties={"connection_name": name},
        socket_settings={socket.TCP_NODELAY: 1, socket.TCP_USER_TIMEOUT: HEARTBEAT_S * 1000},
    )
    connection.connect()
    return connection


def drain(connection: Any, timeout_s: float) -> bool:
    """Handle one thing that has arrived, waiting for it up to `timeout_s`. Returns False when nothing came."""
    try:
        connection.drain_events(timeout=timeout_s)
    except TimeoutError:
        return False
    return True


def close_quietly(connection: Any) -> None:
    """Close a connection that may be lost already."""
    if connection is not None:
        try:
            connection.close()
        except LOST:
            connection.collect()
