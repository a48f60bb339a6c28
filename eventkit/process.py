"""One running replica of a service: its loops, its page, how it starts and how it stops.

Plain threads throughout; under nameko they are green ones, in the gateway real ones, and nothing here can tell.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import Protocol

from eventkit import housekeeping, lookout, schema
from eventkit.calling import JobCalling
from eventkit.database import open_engine, open_glance
from eventkit.definition import ServiceDefinition
from eventkit.errors import BadSettings
from eventkit.firing import UNTIL_WOKEN_S, Loop, TimerFiring
from eventkit.handling import EventHandling
from eventkit.page import Health, Readiness, database_check, serve_page
from eventkit.partitions import Partitions
from eventkit.relay import Relay
from eventkit.rpc import MethodCalling, RpcServer
from eventkit.telemetry import ServiceMetrics, StoredMetrics, log
from eventkit.work import Work

JOB_WORKERS = 4
# A loop that has neither come round nor given way for this long hangs; the supervisor should restart the process.
SILENT_S = 120.0


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What every service needs to run. page_port: 0 takes a free one. page_host: the address the page listens on."""

    amqp_uri: str
    database_uri: str
    page_port: int
    page_host: str = "127.0.0.1"

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> ProcessSettings:
        """Read AMQP_URI, DATABASE_URI, PAGE_PORT and PAGE_HOST. Raises BadSettings naming every missing one at once."""
        if missing := {"AMQP_URI", "DATABASE_URI"} - env.keys():
            raise BadSettings(f"not set: {', '.join(sorted(missing))}")
        port = env.get("PAGE_PORT", "0")
        if not port.isdigit():
            raise BadSettings(f"PAGE_PORT: {port!r} is not a port")
        return cls(env["AMQP_URI"], env["DATABASE_URI"], int(port), env.get("PAGE_HOST", "127.0.0.1"))


class _Runs(Protocol):
    last_seen: float

    def run(self) -> None: ...

    def stop(self) -> None: ...


#: The loop whose thread this is.
_own_loop: ContextVar[_Runs | None] = ContextVar("own loop", default=None)


def give_way() -> None:
    """Let the process's other loops have their turn, and show that this one lives: for calls that take long."""
    if (loop := _own_loop.get()) is not None:
        loop.last_seen = monotonic()
    sleep(0)


class ServiceProcess:
    """Runs a definition until stopped."""

    def __init__(self, definition: ServiceDefinition, settings: ProcessSettings, folder: Path | None) -> None:
        self.definition = definition
        self.settings = settings
        self.folder = folder
        self.engine = open_engine(settings.database_uri, name=definition.name, pool_size=16)
        # For looking without a transaction. Not the same engine under another isolation level: putting a borrowed
        # connection's level back fails past SQLAlchemy when the database is killed.
        self.glance = open_glance(settings.database_uri, name=f"{definition.name} looks")
        self.metrics = ServiceMetrics(definition.name)
        self.relay = Relay(settings.amqp_uri, definition.name, self.glance, self.metrics)
        self.ready, self.live = Health(), Health()
        self.failed = threading.Event()
        self._firing: Loop | None = None
        self._workers: list[Loop] = []
        self._running: dict[str, tuple[_Runs, threading.Thread]] = {}
        self._stopping = False
        self._pages: dict[str, Callable[[], bytes]] = {}
        self._page: ThreadingHTTPServer | None = None

    def add_page(self, path: str, content: Callable[[], bytes]) -> None:
        """Serve one more page of Prometheus text beside `/metrics`."""
        self._pages[path] = content

    def on_commit(self, work: Work) -> None:
        """Wake whoever has something to do with what was just committed."""
        if work.emitted:
            self.relay.wake()
        for jobs, wake in ((False, self._wake_timers), (True, self._wake_worker)):
            due_at = work.next_due_at(jobs=jobs)
            if due_at is None:
                continue
            if due_at <= work.now:
                wake()
            elif due_at <= work.now + timedelta(seconds=lookout.LOOK_S):
                # It falls due before the next look.
                self._looking.wake()

    def _wake_timers(self) -> None:
        if self._firing is not None:
            self._firing.wake()

    def _wake_worker(self) -> None:
        """Wake a worker that has nothing to do. When all are busy, one of them looks again once it is done."""
        if self._workers:
            next((worker for worker in self._workers if worker.is_waiting), self._workers[0]).wake()

    def start(self) -> None:
        """Start every loop that the definition needs. Raises UnknownSchema before anything runs."""
        schema.check(self.engine, self.folder)
        definition, engine, metrics = self.definition, self.engine, self.metrics
        loops: dict[str, _Runs] = {"relay": self.relay}
        wakes = {lookout.OUTBOX: self.relay.wake}
        if definition.handlers:
            handling = EventHandling(definition, engine, metrics, self.on_commit)
            partitions = Partitions(self.settings.amqp_uri, engine, handling)
            self.ready.add("consumers", partitions.problem)
            loops["consumers"] = partitions
            loops["held"] = draining = Loop("held", lambda: 0.0 if handling.drain() else UNTIL_WOKEN_S)
            wakes[lookout.HELD] = draining.wake
        if definition.effects:
            self._firing = Loop("timers", TimerFiring(definition, engine, metrics, self.on_commit).step)
            loops["timers"] = self._firing
            wakes[lookout.TIMERS] = self._firing.wake
        if definition.jobs:
            calling = JobCalling(definition, engine, metrics, self.on_commit, self.glance, self._wake_worker)
            self._workers = [Loop(f"job {number}", calling.step) for number in range(JOB_WORKERS)]
            loops |= {worker.name: worker for worker in self._workers}
            wakes[lookout.JOBS] = self._wake_worker
        loops["lookout"] = self._looking = Loop("lookout", lookout.Lookout(self.glance, wakes).step)
        if definition.handlers or definition.methods:
            server = RpcServer(
                self.settings.amqp_uri, definition.name, MethodCalling(definition, engine, self.on_commit), metrics
            )
            self.ready.add("rpc", lambda: server.problem)
            loops["rpc"] = server
        loops["housekeeping"] = Loop("housekeeping", self._clean)
        self.ready.add("database", database_check(engine))
        self.ready.add("relay", lambda: self.relay.problem)
        self.ready.add("stopping", lambda: "stopping" if self._stopping else None)
        for name, loop in loops.items():
            self._start(name, loop)
        self._serve()

    def _clean(self) -> float:
        housekeeping.clean(self.engine)
        return housekeeping.PERIOD_S

    def _start(self, name: str, loop: _Runs) -> None:
        def run() -> None:
            _own_loop.set(loop)
            try:
                loop.run()
            except BaseException:
                log.exception("a loop ended", extra={"loop": name})
                self.failed.set()
                raise

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._running[name] = (loop, thread)
        if name != "housekeeping":
            self.live.add(name, lambda: _silent(loop))
            if isinstance(loop, Loop):
                self.ready.add(name, lambda: loop.problem)
        thread.start()

    def _serve(self) -> None:
        self.metrics.registry.register(StoredMetrics(self.engine))
        self.metrics.registry.register(Readiness(self.ready))
        settings, registry = self.settings, self.metrics.registry
        page = serve_page(settings.page_port, registry, self.ready, self.live, self._pages, settings.page_host)
        self._page, self.page_port = page, page.server_address[1]
        log.info("started", extra={"service": self.definition.name, "page_port": self.page_port, "pid": os.getpid()})

    def stop(self, *, grace_s: float = 30.0) -> None:
        """Finish what is under way and end: consumers first, so that the relay can still send what they emit."""
        self._stopping = True
        deadline = monotonic() + grace_s
        others = [name for name in self._running if name != "relay"]
        for names in (others, ["relay"]):
            for name in names:
                self._running[name][0].stop()
            for name in names:
                self._running[name][1].join(timeout=max(deadline - monotonic(), 0.1))
        if self._page is not None:
            self._page.shutdown()
            self._page.server_close()
        self.engine.dispose()
        self.glance.dispose()
        log.info("stopped", extra={"service": self.definition.name})


def _silent(loop: _Runs) -> str | None:
    silent_s = monotonic() - loop.last_seen
    return f"silent for {silent_s:.0f} s" if silent_s > SILENT_S else None
