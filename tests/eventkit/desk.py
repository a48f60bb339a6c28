"""A service of its own for each test: its database, its queues, and ways to publish to it and look into it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import amqp
import psycopg2
from sqlalchemy import Engine, text

from contracts.fact import Fact
from contracts.gateway import TicketRequested
from contracts.tickets import TicketOpened
from contracts.words import TicketState
from eventkit import broker, schema, topology
from eventkit.database import open_engine
from eventkit.definition import Handler, ServiceDefinition
from eventkit.envelope import Event, encode_data, new_id, partitionkey_of, to_headers
from eventkit.process import ProcessSettings, ServiceProcess
from eventkit.work import Work
from liaison.installation import Installation

_numbers = itertools.count(1)
_TEMPLATE = "liaison_test_template"
WAITING_FOR_LOCKS = (
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
)
_LIAISON = Path(sys.executable).with_name("liaison")


def admin_of(installation: Installation) -> topology.Administration:
    """Return the broker's administration of a test installation."""
    return topology.Administration(installation.management_url, *installation.management_auth)


def database_of(installation: Installation, name: str, folder: Path | None = None) -> str:
    """Return the address of a fresh database.

    It holds eventkit's tables, and those of the service in `folder`, else a table of effects for test handlers.
    """
    base, _, _ = installation.postgres_admin_uri.rpartition("/")
    template = f"{_TEMPLATE}_{folder.name}" if folder else _TEMPLATE
    with _server_of(installation) as cursor:
        cursor.execute("select 1 from pg_database where datname = %s", (template,))
        if cursor.fetchone() is None:
            cursor.execute(f"create database {template}")
            engine = open_engine(f"{base}/{template}", name="template")
            schema.migrate(engine, folder)
            with engine.begin() as connection:
                connection.execute(
                    text(
                        "create table if not exists effect (position bigserial primary key, event_id text, source text,"
                        " subject text, sequence bigint, title text)"
                    )
                )
            engine.dispose()
        cursor.execute(f"drop database if exists {name} with (force)")
        cursor.execute(f"create database {name} template {template}")
    return f"{base}/{name}"


def drop_database(installation: Installation, name: str) -> None:
    """Remove a database that `database_of` has made, whoever still uses it."""
    with _server_of(installation) as cursor:
        cursor.execute(f"drop database {name} with (force)")


@contextmanager
def _server_of(installation: Installation) -> Iterator[Any]:
    """Give a cursor as the server's administrator, each statement in a transaction of its own."""
    with closing(psycopg2.connect(installation.postgres_admin_uri)) as server:
        server.autocommit = True
        with server.cursor() as cursor:
            yield cursor


def opened(event: Event[TicketRequested]) -> TicketOpened:
    """Return the outgoing fact of the test handler: one for each incoming request."""
    return TicketOpened(
        number=event.subject,
        title=event.data.title,
        state=TicketState.NEW,
        priority=3,
        channel=event.data.channel,
        opened_at=event.time,
    )


def record_effect(work: Work, event: Event[TicketRequested]) -> None:
    """Write one row for an event: the effect that must happen exactly once."""
    work.connection.execute(
        text("insert into effect (event_id, source, subject, sequence, title) values (:id, :source, :subject, :n, :t)"),
        {
            "id": event.id,
            "source": event.source,
            "subject": event.subject,
            "n": event.sequence,
            "t": event.data.title,
        },
    )


def record_and_tell(work: Work, event: Event[TicketRequested]) -> None:
    """Write the row and announce it."""
    record_effect(work, event)
    work.emit(opened(event), subject=event.subject)


def definition(name: str, handle: Callable[[Work, Event[Any]], None] = record_effect, **more: Any) -> ServiceDefinition:
    """Return a service that handles ticket requests."""
    handler = Handler(TicketRequested, handle, emits=frozenset({TicketOpened}))
    return replace(ServiceDefinition(name, handlers={TicketRequested.TYPE: handler}), **more)


def reported(data: Fact, subject: str, sequence: int = 1, source: str = "/erp", **more: Any) -> Event[Any]:
    """Build an event about any fact as a relay would publish it."""
    time_ = more.pop("time", None) or _now()
    return Event(
        id=more.pop("id", None) or new_id(),
        source=source,
        type=data.TYPE,
        subject=subject,
        time=time_,
        data=data,
        partitionkey=partitionkey_of(source, subject),
        sequence=sequence,
        **more,
    )


def request(subject: str, sequence: int, title: str = "打印机坏了", source: str = "/erp", **more: Any) -> Event[Any]:
    """Build an event as a relay would publish it."""
    return Event(
        id=more.pop("id", None) or new_id(),
        source=source,
        type=TicketRequested.TYPE,
        subject=subject,
        time=more.pop("time", None) or _now(),
        data=TicketRequested(title=title, **more),
        partitionkey=partitionkey_of(source, subject),
        sequence=sequence,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def eventually(condition: Callable[[], Any], timeout_s: float = 60.0, what: str = "") -> Any:
    """Return the condition's value as soon as it is true. Raises AssertionError when it never is.

    timeout_s: only what fails waits for so long; disks that others use too have been seen to stall for 20 s.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what or condition}")
        time.sleep(0.02)


def on_the_wire(events: Iterable[Event[Any]]) -> list[tuple[dict[str, str], bytes]]:
    """Return the headers and the body of each event."""
    return [(to_headers(event), encode_data(event.data)) for event in events]


def publish_confirmed(uri: str, exchange: str, messages: Sequence[tuple[dict[str, str], bytes]]) -> None:
    """Publish messages in order and return when the broker has each of them.

    A channel that is closed before loses what it has not passed on to a quorum queue yet.
    """
    connection = broker.connect(uri, name="test publisher")
    channel = connection.channel()
    channel.confirm_select()
    unconfirmed = set(range(1, len(messages) + 1))

    def on_ack(tag: int, multiple: bool) -> None:
        unconfirmed.difference_update([one for one in unconfirmed if one <= tag] if multiple else [tag])

    channel.events["basic_ack"].add(on_ack)
    for headers, body in messages:
        message = amqp.Message(body, application_headers=headers, delivery_mode=2)
        channel.basic_publish(message, exchange=exchange, routing_key=headers.get("ce-type", ""))
    deadline = time.monotonic() + 60
    while unconfirmed:
        assert time.monotonic() < deadline, f"{len(unconfirmed)} messages are not confirmed"
        broker.drain(connection, 1.0)
    broker.close_quietly(connection)


def serve(name: str, env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a service as an installation does, with its output in a file. env: the whole of its environment."""
    with log.open("ab") as out:
        return subprocess.Popen([_LIAISON, "serve", name], env=env, stdout=out, stderr=out)


@contextmanager
def serving(name: str, env: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a service as a process, as `serve` does, until it is killed at the end."""
    process = serve(name, env, log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Desk:
    """One service under test on real servers."""

    def __init__(self, installation: Installation, service: ServiceDefinition, folder: Path | None = None) -> None:
        self.installation = installation
        self.definition = service
        self.folder = folder
        self.uri = installation.amqp_admin_uri
        self.database_uri = database_of(installation, service.name, folder)
        self.engine: Engine = open_engine(self.database_uri, name="test")
        self.admin = admin_of(installation)
        self._create(service)
        self.processes: list[ServiceProcess] = []
        self._publisher: Any = None

    def _create(self, service: ServiceDefinition) -> None:
        for exchange in (broker.EVENTS, broker.RPC, broker.REPLIES):
            kind = "topic" if exchange == broker.EVENTS else "direct"
            self.admin.declare(topology.Exchange(exchange, kind))
        types = topology.handled_types(service)
        for parts in topology.partition_parts(service.name, types, 1, 1):
            for part in parts:
                self.admin.declare(part)
        self.admin.declare(topology.Queue(broker.rpc_queue(service.name), quorum=False))
        self.admin.declare(topology.Binding(broker.RPC, broker.rpc_queue(service.name), True, service.name))

    def open_tap(self) -> str:
        """Give what is emitted somewhere to go, as metrics does in the whole system; return the queue's name."""
        name = f"{self.definition.name}.tap"
        self.admin.declare(topology.Queue(name, quorum=False))
        self.admin.declare(topology.Binding(broker.EVENTS, name, True, "#"))
        return name

    def settings(self) -> ProcessSettings:
        """Return how a replica of the service reaches its parts."""
        return ProcessSettings(self.uri, self.database_uri, 0)

    def start(self, service: ServiceDefinition | None = None) -> ServiceProcess:
        """Start a replica in this process, on plain threads."""
        process = ServiceProcess(service or self.definition, self.settings(), self.folder)
        process.start()
        self.processes.append(process)
        return process

    def running(self, log: Path, **env: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """Run the service, under its own name, as a process until it is killed at the end. env: its own settings."""
        settings = {"AMQP_URI": self.uri, "DATABASE_URI": self.database_uri, "PAGE_PORT": "0", **env}
        return serving(self.definition.name, os.environ | settings, log)

    def publish(self, *events: Event[Any]) -> None:
        """Publish events as a relay does, in order, without waiting until the broker has them."""
        self.publish_raw(*on_the_wire(events))

    def publish_raw(self, *messages: tuple[dict[str, str], bytes]) -> None:
        """Publish messages with any headers and bytes to this service's queues."""
        if self._publisher is None:
            self._publisher = broker.connect(self.uri, name="test publisher").channel()
        for headers, body in messages:
            message = amqp.Message(body, application_headers=headers, delivery_mode=2)
            # Straight to the service's own exchange, so that tests that run side by side do not see each other.
            front = broker.partition_exchange(self.definition.name, 1)
            self._publisher.basic_publish(message, exchange=front, routing_key=headers.get("ce-type", ""))

    def rows(self, statement: str, **values: Any) -> Sequence[Any]:
        """Return the rows of a query against the service's database."""
        with self.engine.connect() as connection:
            return connection.execute(text(statement), values).all()

    def one(self, statement: str, **values: Any) -> Any:
        """Return the single value of a query."""
        return self.rows(statement, **values)[0][0]

    def execute(self, statement: str, **values: Any) -> None:
        """Change the service's database from outside, as time or a crash would."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def fast_forward(self, kind: str) -> None:
        """Let everything of a kind that is armed fall due now."""
        self.execute("update eventkit.timer set due_at = now() where kind = :kind and running_until is null", kind=kind)

    def waiting_for_locks(self) -> int:
        """Return how many sessions wait for a lock that another one holds, as the database itself sees it."""
        return int(self.one(WAITING_FOR_LOCKS))

    def effects(self) -> list[tuple[str, str]]:
        """Return (subject, title) of every effect, in the order in which they came about."""
        return [(row.subject, row.title) for row in self.rows("select * from effect order by position")]

    def close(self) -> None:
        """Stop what runs and remove what the broker holds of this service."""
        for process in self.processes:
            process.stop(grace_s=5)
        if self._publisher is not None:
            broker.close_quietly(self._publisher.connection)
        have = self.admin.found()
        prefix = f"{self.definition.name}."
        for queue in have.queues:
            if queue.name.startswith(prefix):
                self.admin._call("DELETE", f"/queues/{topology.VHOST}/{queue.name}", ok=(204, 404))
        for exchange in have.exchanges:
            if exchange.name.startswith(prefix):
                self.admin.remove(exchange)
        self.admin.close()
        self.engine.dispose()
        drop_database(self.installation, self.definition.name)


@contextmanager
def desk_for(installation: Installation, service_class: type, config: Mapping[str, str]) -> Iterator[Desk]:
    """Run a real service under a name, a database and queues of the test's own."""
    from eventkit.service import define, service_folder

    service = replace(define(service_class, config), name=f"t{next(_numbers)}")
    desk = Desk(installation, service, service_folder(service_class))
    desk.open_tap()
    try:
        yield desk
    finally:
        desk.close()


@contextmanager
def desk_of(installation: Installation, **options: Any) -> Iterator[Desk]:
    """Give a test a service of its own."""
    desk = Desk(installation, definition(f"t{next(_numbers)}", **options))
    try:
        yield desk
    finally:
        desk.close()
