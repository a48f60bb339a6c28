"""The metrics service as it runs in production: processes of their own on a real broker, which can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from eventkit import broker, topology
from eventkit.envelope import Event
from liaison.installation import HOST, Installation, free_port
from services.metrics.service import MetricsService
from tests.eventkit.desk import admin_of, on_the_wire, publish_confirmed, serve
from tests.metrics.house import House


class Replicas:
    """The queues of one metrics service, and the processes that take from them."""

    def __init__(self, installation: Installation, house: House, log: Path) -> None:
        self._uri, self._house, self._log = installation.amqp_admin_uri, house, log
        self._admin = admin_of(installation)
        self._running: list[subprocess.Popen[bytes]] = []
        exchanges, queues, bindings = topology.partition_parts(MetricsService.name, ["#"], 1, 1)
        queues.append(topology.Queue(broker.rpc_queue(MetricsService.name), quorum=False))
        shared = [topology.Exchange(broker.EVENTS, "topic"), topology.Exchange(broker.RPC, "direct")]
        parts: list[topology.Exchange | topology.Queue | topology.Binding] = [*shared, *exchanges, *queues, *bindings]
        for part in parts:
            self._admin.declare(part)
        self._queues, self._exchanges = queues, exchanges

    def start(self) -> str:
        """Start a process and return the address of its pages once it is ready."""
        port = free_port()
        settings = {"AMQP_URI": self._uri, "DATABASE_URI": self._house.database_uri, "PAGE_PORT": str(port)}
        process = serve(MetricsService.name, os.environ | settings | {"FACTS_TTL_S": "0"}, self._log)
        self._running.append(process)
        url, deadline = f"http://{HOST}:{port}", time.monotonic() + 30
        while not _is_ready(url):
            assert process.poll() is None, f"ended with {process.returncode}: {self._log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"not ready: {self._log.read_text()[-2000:]}"
            time.sleep(0.05)
        return url

    def kill9(self) -> None:
        """Kill the process that was started last, at once."""
        process = self._running.pop()
        process.send_signal(signal.SIGKILL)
        process.wait()

    def publish(self, events: Sequence[Event[Any]]) -> None:
        """Publish events to the service, confirmed."""
        publish_confirmed(self._uri, broker.partition_exchange(MetricsService.name, 1), on_the_wire(events))

    def close(self) -> None:
        """Stop what runs and remove the queues."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(30)
        for queue in self._queues:
            self._admin._call("DELETE", f"/queues/{topology.VHOST}/{queue.name}", ok=(204, 404))
        for exchange in self._exchanges:
            self._admin.remove(exchange)
        self._admin.close()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready").status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def replicas_of(installation: Installation, house: House, log: Path) -> Iterator[Replicas]:
    """Give a test the service's queues; at the end its processes stop and the queues go."""
    replicas = Replicas(installation, house, log)
    try:
        yield replicas
    finally:
        replicas.close()
