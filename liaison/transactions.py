"""How a command of the operator reaches a service: by a call, or by one transaction in its database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

from sqlalchemy import text

from eventkit.database import open_engine
from eventkit.rpc import RpcClient
from eventkit.work import Work
from liaison.installation import Installation


@contextmanager
def transaction(installation: Installation, service: str) -> Iterator[Work]:
    """Give one transaction of a service; what was collected in it is written and committed at the end.

    The running service sees timers armed here at its next look, which is at once.
    """
    engine = open_engine(installation.database_uri(service), name=f"liaison {service}")
    try:
        with engine.begin() as connection:
            now = connection.execute(text("select now()")).scalar_one()
            work = Work(connection, source=f"/liaison/{service}", now=now)
            yield work
            work.flush()
    finally:
        engine.dispose()


_CONNECT_S = 5.0


@contextmanager
def calling(installation: Installation) -> Iterator[Callable[..., Any]]:
    """Give a function that asks running services: `call("tickets", "get_ticket", {…})`, as the gateway would.

    It raises Unavailable when the broker or the service is away.
    """
    client = RpcClient(installation.amqp_uri("gateway"), "gateway")
    deadline = monotonic() + _CONNECT_S
    while not client.connected and monotonic() < deadline:
        sleep(0.02)
    try:
        yield client.call
    finally:
        client.close()
