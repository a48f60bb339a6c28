"""The servers of a benchmark, and what contenders need on them: fresh databases, empty queues, processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy import Engine, MetaData, text

from deploy.local import processes
from deploy.local.program import Program
from deploy.local.servers import Servers, running_servers
from eventkit import broker, schema, topology
from eventkit.database import open_engine
from liaison.installation import Installation

_CHECKOUT = Path(__file__).resolve().parents[1]
TAP = "bench-tap"
"""Where outgoing events end: a quorum queue, so that every contender waits for the same confirm."""


class Ended(Exception):
    """A contender's process ended, or was too slow: the message has the end of its log."""


class Lab:
    """One set of servers. Everything on them is thrown away between two measurements."""

    def __init__(self, servers: Servers, logs: Path, parts: Sequence[str]) -> None:
        self.servers = servers
        self.parts = parts
        self.installation: Installation = servers.installation
        self.logs = logs
        self.uri = self.installation.amqp_admin_uri
        self.admin = topology.Administration(self.installation.management_url, *self.installation.management_auth)
        self._channel: Any = None

    def database(self, name: str, tables: MetaData | None = None, folder: Path | None = None) -> str:
        """Return the address of a fresh database with eventkit's tables and a service's own."""
        base, _, _ = self.installation.postgres_admin_uri.rpartition("/")
        server = psycopg2.connect(self.installation.postgres_admin_uri)
        server.autocommit = True
        with server.cursor() as cursor:
            cursor.execute(f"drop database if exists {name} with (force)")
            cursor.execute(f"create database {name}")
            # The writes of the measurement before must not be flushed to disk during this one.
            cursor.execute("checkpoint")
        server.close()
        engine = open_engine(f"{base}/{name}", name="bench")
        schema.migrate(engine, folder)
        if tables is not None:
            tables.create_all(engine)
        engine.dispose()
        return f"{base}/{name}"

    @contextmanager
    def reading(self, database_uri: str) -> Iterator[Callable[[str], list[Any]]]:
        """Give a function that reads rows from a database, each time in a transaction of its own."""
        engine: Engine = open_engine(database_uri, name="bench reads", pool_size=1)

        def rows(statement: str) -> list[Any]:
            with engine.connect() as connection:
                return list(connection.execute(text(statement)).all())

        try:
            yield rows
        finally:
            engine.dispose()

    def close(self) -> None:
        """Close what is open to the servers."""
        self._stop_looking()
        self.admin.close()

    def _stop_looking(self) -> None:
        if self._channel is not None:
            broker.close_quietly(self._channel.connection)
            self._channel = None

    def clear_broker(self) -> None:
        """Delete every queue and every exchange of earlier measurements."""
        self._stop_looking()
        found = self.admin.found()
        for queue in found.queues:
            self.admin._call("DELETE", f"/queues/{topology.VHOST}/{queue.name}", ok=(204, 404))
        for exchange in found.exchanges:
            self.admin.remove(exchange)
        for name, kind in ((broker.EVENTS, "topic"), (broker.RPC, "direct"), (broker.REPLIES, "direct")):
            self.admin.declare(topology.Exchange(name, kind))

    def tap(self, *types: str) -> None:
        """Have events of these types kept in a quorum queue, as the metrics service would."""
        self.admin.declare(topology.Queue(TAP))
        for key in types:
            self.admin.declare(topology.Binding(broker.EVENTS, TAP, True, key))

    def service_queues(self, service: str, types: Sequence[str], partitions: int = 1) -> None:
        """Declare what one service of ours consumes from."""
        for parts in topology.partition_parts(service, types, 1, partitions):
            for part in parts:
                self.admin.declare(part)
        self.admin.declare(topology.Queue(broker.rpc_queue(service), quorum=False))

    def depth(self, queue: str = TAP) -> int:
        """Return how many messages are ready in a queue, by the queue's own word."""
        if self._channel is None:
            self._channel = broker.connect(self.uri, name="bench looks").channel()
        return int(self._channel.queue_declare(queue, passive=True).message_count)

    @contextmanager
    def process(self, name: str, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run `python -m …` beside us; it is told to stop at the end, and killed when it does not."""
        log_path = self.logs / f"{name}.log"
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                Program(name, (sys.executable, "-W", "ignore", "-m", *arguments), _CHECKOUT).in_its_place().command,
                cwd=_CHECKOUT,
                env={**_PLAIN, **environment},
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def ends_of_logs(self) -> str:
        """Return the last lines of every process's log."""
        return "\n".join(f"{path.name}:\n{_tail(path)}" for path in sorted(self.logs.glob("*.log")))

    def spent(self, *running: subprocess.Popen[bytes]) -> dict[str, float]:
        """Return the processor seconds that the contender, the database and the broker have used so far."""
        used = {"contender": sum(_cpu_seconds(process.pid) for process in running)}
        for name, part in (("database", "postgresql"), ("broker", "rabbitmq")):
            used[name] = _cpu_seconds(self.servers.pid(part))
        return used

    def spent_by(self, running: Mapping[str, subprocess.Popen[bytes]]) -> dict[str, float]:
        """Return the processor seconds used so far by each process and each server."""
        used = {name: _cpu_seconds(process.pid) for name, process in running.items()}
        return used | {part: _cpu_seconds(self.servers.pid(part)) for part in self.parts}

    def until(
        self,
        condition: Callable[[], Any],
        *,
        within_s: float,
        what: str,
        process: Any = None,
        look_each_s: float = 0.05,
    ) -> Any:
        """Return the condition's value once it is true. Raises Ended when it is not in time or the process is gone.

        look_each_s: long enough that looking takes little from what is measured.
        """
        deadline = time.monotonic() + within_s
        while not (value := condition()):
            gone = process is not None and process.poll() is not None
            if gone or time.monotonic() > deadline:
                raise Ended(
                    f"{what}: {'its process ended' if gone else f'not within {within_s:.0f} s'}; see {self.logs}"
                )
            time.sleep(look_each_s)
        return value


_PLAIN = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | {"PYTHONUNBUFFERED": "1"}


@contextmanager
def open_lab(parts: Sequence[str] = ("rabbitmq", "postgresql"), home: Path | None = None) -> Iterator[Lab]:
    """Start servers of our own, durable as in production, and stop them at the end.

    PostgreSQL keeps the moment of every commit, so that a latency ends at the commit and not at an insert.
    """
    with (
        running_servers(home, parts, in_place=True) as servers,
        tempfile.TemporaryDirectory(prefix="liaison-bench-") as folder,
    ):
        _keep_commit_moments(servers)
        lab = Lab(servers, Path(folder), parts)
        try:
            yield lab
        finally:
            lab.close()


def _keep_commit_moments(servers: Servers) -> None:
    server = psycopg2.connect(servers.installation.postgres_admin_uri)
    server.autocommit = True
    with server.cursor() as cursor:
        cursor.execute("alter system set track_commit_timestamp = on")
        cursor.execute("alter system set max_wal_size = '8GB'")
    server.close()
    servers.stop("postgresql")
    servers.start("postgresql")


def _cpu_seconds(pid: int) -> float:
    """Return what a process and its children, also those that have ended, have used of a processor."""
    ticks = 0
    for one in processes.tree(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text("utf-8").rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:])


def environment_of(lab: Lab, database_uri: str, **more: Any) -> Mapping[str, str]:
    """Return what a process of ours needs to run against a lab."""
    return {"AMQP_URI": lab.uri, "DATABASE_URI": database_uri, "PAGE_PORT": "0", **more}
