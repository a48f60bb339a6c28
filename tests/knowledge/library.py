"""The knowledge service as it runs, with an index of its own on a search server that can be taken away."""

from __future__ import annotations

import itertools
import math
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec
from nameko.containers import ServiceContainer

from contracts.fact import Fact
from contracts.tickets import FeedbackReceived, TicketOpened, TicketResolved
from contracts.words import Channel, FeedbackStatus, FeedbackWay, TicketState
from eventkit.definition import ServiceDefinition
from eventkit.envelope import Event
from eventkit.process import ServiceProcess
from eventkit.rpc import RpcClient
from eventkit.service import Attached, definition_from, service_folder
from liaison.installation import Installation, free_port
from services.knowledge.search import SearchIndex
from services.knowledge.service import KnowledgeService
from tests.eventkit.desk import Desk, eventually, reported

_numbers = itertools.count(1)
SPECIALIST = {"kind": "all", "person": "E1001"}
READER = {"kind": "own", "person": "E2001"}
OPENED_AT = datetime(2026, 11, 2, 8, 30, tzinfo=UTC)


class Gate:
    """A way to the search server that can be shut: nobody listens then; or be silent: nobody answers then.

    lets_pass: how many more questions and answers go through, before what comes then goes nowhere.
    """

    lets_pass: float = math.inf

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (str(parts.hostname), int(parts.port or 0))
        self._port = free_port()
        self.url = url.replace(f":{parts.port}", f":{self._port}")
        self._open: list[socket.socket] = []
        self._counting = threading.Lock()
        self.open()

    def open(self, *, silent: bool = False) -> None:
        """Let everything through; or, when silent, take connections and pass nothing on."""
        listening = socket.create_server(("127.0.0.1", self._port), backlog=64)
        self._open.append(listening)
        if not silent:
            threading.Thread(target=self._serve, args=(listening,), daemon=True).start()

    def shut(self) -> None:
        """Refuse new connections and cut those there are."""
        while self._open:
            one = self._open.pop()
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _serve(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection(self._server)
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                if self._passes():
                    other.sendall(data)
        with suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)

    def _passes(self) -> bool:
        with self._counting:
            self.lets_pass -= 1
            return self.lets_pass >= 0


class Library(Desk):
    """Knowledge under test: one database, one queue, one index."""

    def __init__(self, installation: Installation, search_server: Installation, name: str = "") -> None:
        number = next(_numbers)
        name = name or f"k{number}"
        self.gate = Gate(search_server.search_url("knowledge"))
        self.prefix = f"liaison-knowledge-{os.getpid()}-{number}"
        self.env: Mapping[str, str] = {
            "ELASTICSEARCH_URL": self.gate.url,
            "LIAISON_SEARCH_PREFIX": self.prefix,
            "LIAISON_URL": "http://desk.invalid/",
        }
        self.index = SearchIndex(search_server.search_url("knowledge"), self.prefix)
        self.index.turn_to(self.index.add_generation())
        super().__init__(installation, self._made(name)[1], service_folder(KnowledgeService))
        self.open_tap()
        self._client: RpcClient | None = None

    def _made(self, name: str) -> tuple[list[Any], ServiceDefinition]:
        container = ServiceContainer(KnowledgeService, dict(self.env))
        providers = list(container.dependencies)
        for provider in providers:
            provider.setup()
        return providers, replace(definition_from(container), name=name)

    def start(self, service: ServiceDefinition | None = None) -> ServiceProcess:
        """Start a replica in this process, on plain threads."""
        providers, definition = self._made(self.definition.name)
        process = ServiceProcess(service or definition, self.settings(), self.folder)
        for provider in providers:
            if isinstance(provider, Attached):
                provider.attach(process)
        process.start()
        self.processes.append(process)
        return process

    def call(self, method: str, *, scope: Mapping[str, Any] = SPECIALIST, key: str | None = None, **given: Any) -> Any:
        """Call a method of the running service as the gateway does, for a specialist unless a scope says otherwise."""
        if self._client is None:
            self._client = RpcClient(self.uri, "gateway")
            eventually(lambda: self._client and self._client.connected)
        arguments = given | {"scope": scope}
        return self._client.call(self.definition.name, method, arguments, actor=str(scope.get("person")), key=key)

    def published(self, title: str, body: str, **fields: Any) -> str:
        """Write, submit and publish an article; return its id."""
        one = self.call("create_article", title=title, body=body, **fields)["id"]
        self.call("submit_article", article_id=one)
        self.call("publish_article", article_id=one)
        return str(one)

    def found(self, question: str, scope: Mapping[str, Any] = READER, **filters: Any) -> list[str]:
        """Return the ids that a search finds."""
        return [item["id"] for item in self.call("search", scope=scope, q=question, **filters)["items"]]

    def caught_up(self) -> None:
        """Wait until the index has everything, and shows it."""
        behind = "select count(*) from index_entry where behind_since is not null"
        eventually(lambda: self.one(behind) == 0, what="the index has caught up")
        self.index._client.indices.refresh(index=f"{self.prefix}*")

    def lose_the_index(self) -> None:
        """Let the search server have nothing, as one that is back on an empty disk."""
        for generation in self.index.generations():
            self.index.remove(generation)

    def gauge(self, name: str) -> float | None:
        """Return what the page of the first replica says now."""
        return self.processes[0].metrics.registry.get_sample_value(f"liaison_knowledge_{name}")

    @contextmanager
    def closed_index(self) -> Iterator[None]:
        """Let the search server answer every question with an error for a while, as a broken index does."""
        indices, generations = self.index._client.indices, self.index.generations()
        indices.close(index=generations)
        try:
            yield
        finally:
            indices.open(index=generations)

    def told(self, kind: str = "") -> list[dict[str, Any]]:
        """Return the data of what was emitted, the oldest first; of one type when it is named, as `article.drafted`."""
        rows = self.rows("select type, payload from eventkit.outbox order by position")
        wanted = f"liaison.{kind}.v1"
        return [msgspec.json.decode(bytes(row.payload)) for row in rows if not kind or row.type == wanted]

    def handled(self, *events: Event[Any]) -> None:
        """Publish events twice and wait until they have been handled."""
        self.publish(*events, *events)
        query = "select count(*) from eventkit.inbox where id = any(:ids)"
        ids = [event.id for event in events]
        eventually(lambda: self.one(query, ids=ids) == len(ids), what="the events are handled")

    def close(self) -> None:
        """Stop what runs, and remove the index."""
        if self._client is not None:
            self._client.close()
        super().close()
        self.lose_the_index()
        self.index.close()
        self.gate.shut()


@contextmanager
def library_of(installation: Installation, search_server: Installation, *, name: str = "") -> Iterator[Library]:
    """Run knowledge's surroundings for one test; the test starts the replicas. name: of the service, else its own."""
    library = Library(installation, search_server, name)
    try:
        yield library
    finally:
        library.close()


def feedback(number: str, text: str, **fields: Any) -> Event[Any]:
    """Build an event of the tickets service about one piece of feedback."""
    data = FeedbackReceived(
        feedback_id=number,
        text=text,
        way=FeedbackWay.EVENT,
        received_at=OPENED_AT,
        status=FeedbackStatus("accepted"),
        **fields,
    )
    return reported(data, number, source="/liaison/tickets")


def ticket_event(fact: type[Fact], number: str = "T-1", sequence: int = 1, **fields: Any) -> Event[Any]:
    """Build an event of the tickets service about one ticket."""
    more = {name: fields.pop(name) for name in ("history", "time", "id") if name in fields}
    values: dict[str, Any] = {
        "number": number,
        "title": "OA 系统无法登录",
        "state": TicketState.RESOLVED if fact is TicketResolved else TicketState.NEW,
        "priority": 3,
        "channel": Channel.WEB,
        "opened_at": OPENED_AT,
        "requester": "E2001",
    }
    if fact is TicketResolved:
        values |= {"resolved_at": OPENED_AT + timedelta(hours=1)}
    elif fact is not TicketOpened:
        values |= {"target": "solution", "cycle": 1, "due_at": OPENED_AT + timedelta(hours=4)}
    return reported(fact(**values | fields), number, sequence, source="/liaison/tickets", **more)
