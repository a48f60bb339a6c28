"""Every way into the gateway, and how it starts and stops: the HTTP door, the AMQP intake, and eventkit's loops."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from eventkit import housekeeping, topology
from eventkit.consumer import QueueConsumer
from eventkit.definition import ServiceDefinition
from eventkit.errors import BadSettings, LiaisonError
from eventkit.firing import Loop
from eventkit.process import SILENT_S, ServiceProcess
from eventkit.rpc import RpcClient
from eventkit.stopping import stop_requested
from eventkit.telemetry import log, log_as_json
from services.gateway import mappings
from services.gateway.calling import MOST_WAITING, Calling
from services.gateway.intake import DoorMetrics, Intake
from services.gateway.mail.door import MailDoor, MailMetrics
from services.gateway.parts import Parts
from services.gateway.settings import Settings
from services.gateway.storage import KEPT
from services.gateway.web import create_app

DEFINITION = ServiceDefinition("gateway")
_GRACE_S = 20


class Gateway:
    """One running replica of the gateway."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process = ServiceProcess(DEFINITION, settings.process, Path(__file__).parent)
        known = mappings.load(settings.mappings)
        metrics = DoorMetrics(self._process.metrics.registry)
        self.intake = Intake(self._process.engine, known, metrics, self._process.on_commit)
        self._consumer = QueueConsumer(settings.process.amqp_uri, topology.INTAKE_QUEUE, self.intake.handle)
        self._cleaning = Loop("forget", self._clean)
        self._mail = self._mail_door(settings)
        self._threads: list[threading.Thread] = []
        self.port = 0
        self.page_port = 0

    def _mail_door(self, settings: Settings) -> MailDoor | None:
        metrics = MailMetrics(self._process.metrics.registry)
        if settings.mail is None:
            return None
        return MailDoor(settings.mail, self._process.engine, settings.blobs, metrics, self._process.on_commit)

    def start(self) -> None:
        """Open both doors. Raises UnknownSchema, OSError when the port is taken."""
        listening = socket.create_server((self._settings.http_host, self._settings.http_port), backlog=512)
        self.port = listening.getsockname()[1]
        self._process.start()
        self.page_port = self._process.page_port
        self._rpc = RpcClient(self._settings.process.amqp_uri, DEFINITION.name)
        self._askers = ThreadPoolExecutor(MOST_WAITING, thread_name_prefix="asker")
        self._process.ready.add("intake", lambda: self._consumer.problem)
        self._process.ready.add("rpc", lambda: None if self._rpc.connected else "the broker is away")
        self._process.live.add("intake", self._silent)
        ready, live = self._process.ready, self._process.live
        app = create_app(
            Parts(
                self._process.engine,
                self.intake,
                Calling(self._rpc),
                ready,
                live,
                self._askers,
                self._settings.links,
                self._settings.blobs,
                self._settings.max_file_bytes,
            )
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                app, log_config=None, access_log=False, lifespan="on", ws="none", timeout_graceful_shutdown=_GRACE_S
            )
        )
        self._run("intake", self._consumer.run)
        self._run("forget", self._cleaning.run)
        if self._mail is not None:
            self._run("mail", self._mail.run)
        self._run("http", lambda: self._server.run(sockets=[listening]))
        log.info("doors open", extra={"http_port": self.port})

    def _clean(self) -> float:
        housekeeping.clean(self._process.engine, KEPT)
        return housekeeping.PERIOD_S

    def _silent(self) -> str | None:
        silent_s = monotonic() - self._consumer.last_seen
        return f"silent for {silent_s:.0f} s" if silent_s > SILENT_S else None

    def _run(self, name: str, target: Any) -> None:
        def run() -> None:
            try:
                target()
            except BaseException:
                log.exception("a door ended", extra={"loop": name})
                self._process.failed.set()
                raise

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    @property
    def failed(self) -> bool:
        """Whether something ended that must not: the process should be started anew."""
        return self._process.failed.is_set()

    def stop(self) -> None:
        """Take nothing new, finish what is under way, let the relay send it, and end."""
        self._server.should_exit = True
        self._consumer.stop()
        self._cleaning.stop()
        if self._mail is not None:
            self._mail.stop()
        for thread in self._threads:
            thread.join(timeout=_GRACE_S + 5)
        self._askers.shutdown(wait=False, cancel_futures=True)
        self._rpc.close()
        self._process.stop()


def run(env: Mapping[str, str] | None = None) -> int:
    """Run the gateway until SIGTERM or SIGINT and return the exit code.

    0 after a clean stop; 1 when a part failed, so that the supervisor starts it again; 2 when it cannot start as it is
    configured.
    """
    log_as_json()
    stopped = stop_requested()
    try:
        gateway = Gateway(Settings.from_env(os.environ if env is None else env))
        gateway.start()
    except (LiaisonError, OSError, SQLAlchemyError) as error:
        log.error("cannot start", extra={"problem": str(error)})
        return 2 if isinstance(error, BadSettings) else 1
    while not stopped.wait(0.2):
        if gateway.failed:
            log.error("a part failed; the process ends")
            sys.stdout.flush()
            os._exit(1)
    gateway.stop()
    return 0
