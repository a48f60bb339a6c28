"""The page of a process: its metrics, whether it is alive, and whether it is ready."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from eventkit.telemetry import log

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
#: How long stopping waits for the page at most.
_LOOK_S = 0.1
Answer = tuple[int, str, bytes]


class Health:
    """Whether the process is alive and ready. Each loop reports in; one that is silent for too long is not alive."""

    def __init__(self) -> None:
        self._checks: dict[str, Callable[[], str | None]] = {}

    def add(self, name: str, check: Callable[[], str | None]) -> None:
        """Have `check` asked; it returns None when all is well, else the reason."""
        self._checks[name] = check

    def problems(self) -> dict[str, str]:
        """Return what is wrong now, by the name of the check."""
        return {name: reason for name, reason in self.results().items() if reason is not None}

    def results(self) -> dict[str, str | None]:
        """Return what every check says now: None for well, else the reason."""
        return {name: check() for name, check in self._checks.items()}


class Readiness(Collector):
    """Shows what `/ready` says as numbers, so that an alert can tell a database that is away from a broken queue."""

    def __init__(self, ready: Health) -> None:
        self._ready = ready

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing is known before the first scrape; saying so keeps registration from asking."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Ask every check."""
        family = GaugeMetricFamily("liaison_ready", "Whether a check of readiness passes: 1 or 0.", labels=("check",))
        for name, reason in self._ready.results().items():
            family.add_metric((name,), float(reason is None))
        yield family


def database_check(engine: Engine) -> Callable[[], str | None]:
    """Return a check that the database answers."""

    def check() -> str | None:
        try:
            with engine.connect() as connection:
                connection.execute(text("select 1"))
        except SQLAlchemyError as error:
            return type(error).__name__
        return None

    return check


def serve_page(
    port: int,
    registry: CollectorRegistry,
    ready: Health,
    live: Health,
    more: Mapping[str, Callable[[], bytes]] | None = None,
    host: str = "127.0.0.1",
) -> ThreadingHTTPServer:
    """Serve `/metrics`, `/live` and `/ready` in threads; port 0 takes a free one."""
    pages: dict[str, Callable[[], bytes]] = {"/metrics": lambda: generate_latest(registry), **(more or {})}

    def answer(path: str) -> Answer:
        if path in ("/ready", "/live"):
            problems = (ready if path == "/ready" else live).problems()
            body = json.dumps({"problems": problems}, ensure_ascii=False).encode()
            return 503 if problems else 200, "application/json", body
        content = pages.get(path)
        return (404, "text/plain", b"not here\n") if content is None else _rendered(path, content)

    server = ThreadingHTTPServer((host, port), _request_handler(answer))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(_LOOK_S,), name="page", daemon=True).start()
    return server


def _rendered(path: str, content: Callable[[], bytes]) -> Answer:
    try:
        return 200, _TEXT, content()
    except Exception as error:  # A database that is away must read as a failed scrape, not as a lost connection.
        log.warning("page failed", extra={"path": path, "error": type(error).__name__})
        return 503, "text/plain; charset=utf-8", f"{type(error).__name__}\n".encode()


def _request_handler(answer: Callable[[str], Answer]) -> type[BaseHTTPRequestHandler]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content_type, body = answer(self.path.partition("?")[0])
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Scrapes are not worth a line each."""

    return Page
