"""The whole system on private servers: every service a process of its own, which can be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg2
from rich.console import Console
from sqlalchemy import Engine, text

from deploy.local.accounts import provision_databases
from eventkit import topology
from eventkit.database import open_engine
from liaison import local, services
from liaison.administration import apply_topology, broker_of, migrate_all
from liaison.installation import Installation
from liaison.replay import Summary, replay_log
from tests.eventkit.desk import serve
from tests.policies import AROUND_THE_CLOCK
from tests.replay.truth import LOG

_READY_S = 30.0
_STUCK_S = 30.0


class System:
    """Every service with an empty database. processes: by service, those that run. settings: more, by service."""

    def __init__(
        self, installation: Installation, logs: Path, settings: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self.installation = installation
        self._settings = settings or {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._logs = logs
        self._engines: dict[str, Engine] = {}
        self._handled = {name: topology.handled_types(services.definition(name)) for name in services.HOSTED}

    def prepare(self) -> None:
        """Make empty databases and queues."""
        _drop_databases(self.installation)
        provision_databases(self.installation)
        migrate_all(self.installation)
        self.clear_broker()
        apply_topology(self.installation)

    def clear_broker(self) -> None:
        """Leave nothing on the broker that would take other tests' events."""
        with broker_of(self.installation) as admin:
            found = admin.found()
            for queue in found.queues:
                admin._call("DELETE", f"/queues/{topology.VHOST}/{queue.name}", ok=(204, 404))
            for exchange in found.exchanges:
                if exchange.hash_header:
                    admin.remove(exchange)

    def start(self, names: Iterable[str] = services.ALL) -> None:
        """Start services and return when all of them are ready."""
        names = list(names)
        for name in names:
            self._launch(name)
        deadline = time.monotonic() + _READY_S
        for name in names:
            while not self._is_ready(name):
                if time.monotonic() > deadline or self.processes[name].poll() is not None:
                    raise AssertionError(f"{name} is not ready:\n{self._end_of_log(name)}")
                time.sleep(0.1)

    def kill9(self, name: str) -> None:
        """Kill a service at once, whatever it is doing."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def restart(self, name: str) -> None:
        """Kill a service and start it again, without waiting until it is ready."""
        self.kill9(name)
        self._launch(name)

    def publish_again(self) -> None:
        """Have every event that any service has emitted published a second time, and wait until all were dropped."""
        before = {name: self._repeated(name) for name in self._handled}
        emitted = self._emitted()
        for name in services.ALL:
            self.change(name, "update eventkit.outbox set sent_at = null")
        for name, types in self._handled.items():
            again = sum(count for kind, count in emitted.items() if kind in types or types == ["#"])
            deadline = time.monotonic() + _STUCK_S
            while self._repeated(name) < before[name] + again:
                assert time.monotonic() < deadline, f"{name} has not seen {again} events again"
                time.sleep(0.1)

    def end_leases(self, name: str) -> None:
        """Have it as if the calls of a killed service had been given up by now."""
        self.change(name, "update eventkit.timer set running_until = now() where running_until > now()")

    def _repeated(self, name: str) -> float:
        page = httpx.get(f"http://127.0.0.1:{self.installation.page_port(name)}/metrics", timeout=10).text
        return sum(
            float(line.split()[1]) for line in page.splitlines() if line.startswith("liaison_events_repeated_total")
        )

    def _launch(self, name: str) -> None:
        self.processes[name] = serve(name, self._environment(name), self._logs / f"{name}.log")

    def stop(self) -> None:
        """Stop what runs, as a supervisor would."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()

    def engine(self, service: str) -> Engine:
        """Return the way to a service's database."""
        if service not in self._engines:
            self._engines[service] = open_engine(self.installation.database_uri(service), name="test")
        return self._engines[service]

    def rows(self, service: str, statement: str, **values: Any) -> list[Any]:
        """Return the rows of a query against a service's database."""
        with self.engine(service).connect() as connection:
            return list(connection.execute(text(statement), values).all())

    def change(self, service: str, statement: str, **values: Any) -> None:
        """Run a statement that changes a service's database."""
        with self.engine(service).begin() as connection:
            connection.execute(text(statement), values)

    def one(self, service: str, statement: str, **values: Any) -> Any:
        """Return the single value of a query."""
        return self.rows(service, statement, **values)[0][0]

    def replay(self, content: bytes | None = None, **options: Any) -> Summary:
        """Replay a log (the real one), and wait until every service has handled everything."""
        quiet = Console(quiet=True)
        summary = replay_log(self.installation, content or LOG.read_bytes(), say=quiet, **options)
        assert summary.judged
        self.settle()
        return summary

    def settle(self) -> None:
        """Wait until every service has handled every event that any of them has emitted.

        Raises: AssertionError naming what is still to do, when nothing has moved for a while.
        """
        before: dict[str, str] = {}
        moved_at = time.monotonic()
        while undone := self._undone():
            if undone != before:
                before, moved_at = undone, time.monotonic()
            if time.monotonic() > moved_at + _STUCK_S:
                raise AssertionError(f"nothing has moved for {_STUCK_S:.0f} s: {undone}")
            time.sleep(0.1)

    def _emitted(self) -> dict[str, int]:
        emitted: dict[str, int] = {}
        for name in services.ALL:
            for row in self.rows(name, "select type, count(*) as n from eventkit.outbox group by type"):
                emitted[row.type] = emitted.get(row.type, 0) + row.n
        return emitted

    def _undone(self) -> dict[str, str]:
        """Compare what lies in the outboxes, which keep everything for days, with what the inboxes have seen."""
        emitted = self._emitted()
        undone = {}
        for name, types in self._handled.items():
            wanted = sum(n for kind, n in emitted.items() if kind in types or types == ["#"])
            seen = self.one(name, "select count(*) from eventkit.inbox where state = 'handled'")
            if seen != wanted:
                undone[name] = f"{seen} of {wanted} events handled"
        return undone

    def _environment(self, name: str) -> dict[str, str]:
        return {
            **local.environment(self.installation, name),
            "LIAISON_MAIL_FROM": "desk@example.invalid",
            "LIAISON_TICKETS_POLICY": str(AROUND_THE_CLOCK),
            "PATH": os.environ["PATH"],
            "PYTHONUNBUFFERED": "1",
            **self._settings.get(name, {}),
        }

    def _is_ready(self, name: str) -> bool:
        try:
            return httpx.get(self.installation.ready_url(name), timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def _end_of_log(self, name: str) -> str:
        return "\n".join((self._logs / f"{name}.log").read_text("utf-8", "replace").splitlines()[-20:])


def _drop_databases(installation: Installation) -> None:
    connection = psycopg2.connect(installation.postgres_admin_uri)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for name in services.ALL:
            cursor.execute(f"drop database if exists {name} with (force)")
    connection.close()


@contextmanager
def running_system(
    installation: Installation, logs: Path, settings: Mapping[str, Mapping[str, str]] | None = None
) -> Iterator[System]:
    """Give a test the system, empty and ready, and stop it afterwards. settings: more of them, by service."""
    system = System(installation, logs, settings)
    system.prepare()
    try:
        system.start()
        yield system
    finally:
        system.stop()
        system.clear_broker()
