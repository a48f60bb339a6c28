"""One scenario's house: a source with its outbox, a desk that handles, and what is bound between them."""

from __future__ import annotations

import itertools
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from contracts.gateway import TicketRequested
from contracts.tickets import TicketOpened
from deploy.local.servers import Servers, running_servers
from eventkit import broker, topology
from eventkit.database import open_engine
from eventkit.envelope import Event
from eventkit.partitions import advance
from tests.eventkit.desk import admin_of, database_of, drop_database, on_the_wire, publish_confirmed
from tests.faults import service
from tests.faults.load import Load
from tests.faults.oracle import Effect, Evidence, Verdict, judge
from tests.faults.replica import Nursery, Replica

_numbers = itertools.count(1)
_making_databases = threading.Lock()
# Without any progress for this long, what is missing is taken for lost.
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done. rate: events a second. outage_s: how long something is away. restarts: kills and restarts."""

    events: int
    rate: float
    outage_s: float
    restarts: int
    is_full: bool = False


SMALL = Size(events=1500, rate=500, outage_s=3, restarts=10)
FULL = Size(events=20_000, rate=700, outage_s=60, restarts=50, is_full=True)


@dataclass(slots=True)
class Stage:
    """The servers on which scenarios are played. weakened: the guard that is switched off in every replica."""

    servers: Servers
    nursery: Nursery
    folder: Path
    weakened: str = ""
    notes: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def house(self, **options: Any) -> Iterator[House]:
        """Build a house for one scenario; its replicas' last words go with any failure."""
        house = House(self, **options)
        try:
            yield house
        except BaseException as error:
            error.add_note(house.last_words())
            raise
        finally:
            house.close()


@contextmanager
def stage() -> Iterator[Stage]:
    """Start servers and a nursery for scenarios."""
    with running_servers() as servers, tempfile.TemporaryDirectory(prefix="liaison-faults-") as folder:
        nursery = Nursery(Path(folder))
        try:
            yield Stage(servers, nursery, Path(folder))
        finally:
            nursery.close()


class House:
    """Databases, queues and replicas of one run.

    single_active: whether the desk's queue feeds one replica at a time, as it must. partitions: how many queues the
    desk has. heartbeat_s, slow_s: what the replicas are started with.
    """

    def __init__(
        self,
        stage: Stage,
        *,
        single_active: bool = True,
        partitions: int = 1,
        heartbeat_s: int = 0,
        slow_s: float = 0,
    ) -> None:
        number = next(_numbers)
        self.stage, self._partitions = stage, partitions
        self.source, self.desk = f"source{number}", f"desk{number}"
        # Not `liaison.events`, so that scenarios can be played side by side.
        self.events = f"{self.source}.events"
        installation = stage.servers.installation
        self.uri = installation.amqp_admin_uri
        with _making_databases:
            self._addresses = {name: database_of(installation, name) for name in (self.source, self.desk)}
        self.engines: dict[str, Engine] = {
            name: open_engine(uri, name="faults", pool_size=8) for name, uri in self._addresses.items()
        }
        for engine in self.engines.values():
            service.metadata.create_all(engine)
            with engine.begin() as connection:
                advance(connection, 1, partitions)
        self._environment = {
            "AMQP_URI": self.uri,
            "LIAISON_TEST_EVENTS": self.events,
            "LIAISON_TEST_SLOW_S": str(slow_s),
            "LIAISON_TEST_HEARTBEAT_S": str(heartbeat_s or ""),
            "LIAISON_TEST_WEAKEN": stage.weakened,
        }
        self.admin = admin_of(installation)
        self.tap = f"{self.desk}.tap"
        self._declare(single_active and stage.weakened != "single-active")
        self.declared_at = time.monotonic()
        self.replicas: list[Replica] = []
        self._logs = itertools.count()
        self._publisher: Any = None
        self.wire_headers: list[dict[str, Any]] = []

    def _declare(self, single_active: bool) -> None:
        for exchange in (broker.RPC, broker.REPLIES):
            self.admin.declare(topology.Exchange(exchange, "direct"))
        self.admin.declare(topology.Exchange(self.events, "topic"))
        for parts in topology.partition_parts(self.desk, [TicketRequested.TYPE], 1, self._partitions):
            for part in parts:
                if isinstance(part, topology.Queue) and not single_active:
                    self._call_put_queue(part.name)
                elif isinstance(part, topology.Binding) and part.source == broker.EVENTS:
                    self.admin.declare(topology.Binding(self.events, part.target, part.target_is_queue, part.key))
                else:
                    self.admin.declare(part)
        self.admin.declare(topology.Queue(self.tap))
        for key in (TicketOpened.TYPE, TicketRequested.TYPE):
            self.admin.declare(topology.Binding(self.events, self.tap, True, key))
        for name in (self.source, self.desk):
            self.admin.declare(topology.Queue(broker.rpc_queue(name), quorum=False))

    def _call_put_queue(self, name: str) -> None:
        body = {"durable": True, "arguments": {"x-queue-type": "quorum"}}
        self.admin._call("PUT", f"/queues/{topology.VHOST}/{name}", body)

    def replica(self, kind: str, fault: str = "", **environment: str) -> Replica:
        """Start a replica: `source`, or else of the desk's database."""
        name = self.source if kind == "source" else self.desk
        own = {"LIAISON_TEST_NAME": name, "DATABASE_URI": self._addresses[name]}
        log_name = f"{name}-{next(self._logs)}"
        one = Replica(self.stage.nursery, kind, log_name, self._environment | own | environment)
        self.replicas.append(one)
        one.start(fault)
        return one

    def load(self, seed: int, size: Size, **options: Any) -> Load:
        """Begin to write events into the source's outbox."""
        options = {"total": size.events, "rate": size.rate} | options
        return Load(self.engines[self.source], self.source, seed=seed, **options).start()

    def publish(self, *events: Event[Any]) -> None:
        """Publish events straight to the desk's queue, in order, confirmed together."""
        self.publish_raw(*on_the_wire(events))

    def publish_raw(self, *messages: tuple[dict[str, str], bytes]) -> None:
        """Publish messages with any headers and bytes to the desk's queue."""
        publish_confirmed(self.uri, broker.partition_exchange(self.desk, 1), messages)

    def rows(self, name: str, statement: str, **values: Any) -> Sequence[Any]:
        """Return the rows of a query against the database of `source` or `desk`."""
        with self.engines[getattr(self, name)].connect() as connection:
            return connection.execute(text(statement), values).all()

    def one(self, name: str, statement: str, **values: Any) -> Any:
        """Return the single value of a query."""
        return self.rows(name, statement, **values)[0][0]

    def change(self, name: str, statement: str, **values: Any) -> None:
        """Change a database."""
        with self.engines[getattr(self, name)].begin() as connection:
            connection.execute(text(statement), values)

    def write_through(self, load: Load, size: Size, tend: Tending) -> None:
        """Let the load go on until all of its size is written and every planted fault was met; then settle."""
        self.eventually(
            lambda: len(load.acknowledged) >= size.events and tend.is_done, 900, "the load and the faults", tend
        )
        load.stop()
        self.settle(load, tend=tend)

    def pause(self, seconds: float) -> None:
        """Let time pass while the house is watched."""
        ends_at = time.monotonic() + seconds
        self.eventually(lambda: time.monotonic() > ends_at, seconds + 5)

    def eventually(
        self,
        condition: Callable[[], Any],
        timeout_s: float = 30,
        what: str = "",
        tend: Callable[[], None] | None = None,
    ) -> Any:
        """Return the condition's value as soon as it is true, tending to the replicas meanwhile."""
        deadline = time.monotonic() + timeout_s
        while not (value := condition()):
            if tend is not None:
                tend()
            assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
            time.sleep(0.02)
        return value

    def seen(self) -> int:
        """Return how many events the desk has settled: handled, held, dead or discarded."""
        return int(self.one("desk", "select count(*) from eventkit.inbox"))

    def settle(self, load: Load | None = None, *, tend: Callable[[], None] | None = None, events: int = 0) -> None:
        """Wait until all is handled and sent, or nothing has moved for PATIENCE_S."""
        last: tuple[int, ...] = ()
        moved_at = time.monotonic()
        while True:
            if tend is not None:
                tend()
            with suppress(SQLAlchemyError):
                now = (self.seen(), self._unsent(), self._held(), sum(one.starts for one in self.replicas))
                if load is None or load.is_done:
                    missing = self._missing(load) if load else events - now[0]
                    if missing <= 0 and now[1:3] == (0, 0):
                        return
                if now != last:
                    last, moved_at = now, time.monotonic()
            if time.monotonic() - moved_at > PATIENCE_S:
                return
            time.sleep(0.05)

    def _missing(self, load: Load) -> int:
        known = {row.id for row in self.rows("desk", "select id from eventkit.inbox")}
        return len(load.acknowledged - known)

    def _unsent(self) -> int:
        unsent = "select count(*) from eventkit.outbox where sent_at is null"
        return int(self.one("source", unsent)) + int(self.one("desk", unsent))

    def _held(self) -> int:
        return int(self.one("desk", "select count(*) from eventkit.held_event where state = 'held'"))

    def verdict(self, load: Load | None = None, **known: Any) -> Verdict:
        """Judge the run. known: parts of the evidence that the scenario knows better."""
        effects = [
            Effect(row.event_id, f"{row.source} {row.subject}", row.sequence)
            for row in self.rows("desk", "select * from fault_effect order by position")
        ]
        outgoing = self.rows(
            "desk", "select id, convert_from(payload, 'utf8')::json ->> 'title' as cause from eventkit.outbox"
        )
        evidence: dict[str, Any] = {
            "attempted": load.attempted if load else (),
            "acknowledged": load.acknowledged if load else (),
            "effects": effects,
            "emitted": [row.event_id for row in self.rows("source", "select event_id from fault_written")],
            "outbox": [row.id for row in self.rows("source", "select id from eventkit.outbox")],
            "told": [row.cause for row in outgoing],
            "outgoing": [row.id for row in outgoing],
            "wire": self._wire(len(outgoing)),
            "undrained": self._unsent(),
            "waiting": self.one(
                "desk",
                "select (select count(*) from eventkit.held_event where state = 'held')"
                " + (select count(*) from eventkit.held_subject s where not exists"
                " (select 1 from eventkit.held_event e where e.partitionkey = s.partitionkey and e.state = 'dead'))",
            ),
            "dead": {
                row.id: row.reason
                for row in self.rows("desk", "select id, reason from eventkit.held_event where state = 'dead'")
            },
        }
        return judge(Evidence(**(evidence | known)))

    def _wire(self, count: int) -> list[Effect]:
        """Take from the tap what went over the wire; keeps the headers of the source's events too."""
        connection = broker.connect(self.uri, name="tap")
        channel = connection.channel()
        taken: list[Any] = []
        channel.basic_consume(self.tap, callback=taken.append, no_ack=True)
        while broker.drain(connection, 0.5):
            pass
        broker.close_quietly(connection)
        self.wire_headers += [message.headers for message in taken]
        return [
            Effect(one["ce-id"], one["ce-partitionkey"], int(one["ce-sequence"]))
            for one in self.wire_headers
            if one["ce-source"] == f"/liaison/{self.desk}"
        ]

    def queued(self) -> int:
        """Return how many events wait in the desk's queues for delivery."""
        connection = broker.connect(self.uri, name="faults look")
        channel, waiting = connection.channel(), 0
        for number in range(self._partitions):
            _, ready, _ = channel.queue_declare(broker.queue_name(self.desk, 1, number), passive=True)
            waiting += int(ready)
        broker.close_quietly(connection)
        return waiting

    def repeats(self) -> int:
        """Return how many events were handed in again although they had been committed."""
        return int(self.one("desk", "select coalesce(sum(events), 0) from fault_repeat"))

    def last_words(self) -> str:
        """Return what the replicas logged last."""
        return "\n".join(f"--- {one.log} ({one.starts} starts)\n{one.end_of_log()}" for one in self.replicas)

    def close(self) -> None:
        """End the replicas and remove what the broker and the database hold."""
        for one in self.replicas:
            one.kill()
        with suppress(Exception):
            for prefix in (f"{self.source}.", f"{self.desk}."):
                have = self.admin.found()
                for queue in [queue for queue in have.queues if queue.name.startswith(prefix)]:
                    self.admin._call("DELETE", f"/queues/{topology.VHOST}/{queue.name}", ok=(204, 404))
                for exchange in [one for one in have.exchanges if one.name.startswith(prefix)]:
                    self.admin.remove(exchange)
        self.admin.close()
        for name, engine in self.engines.items():
            engine.dispose()
            with suppress(psycopg2.Error):
                drop_database(self.stage.servers.installation, name)


class Tending:
    """Starts a replica again whenever it died, each time with the next planted fault, so many times.

    plan: makes the next fault from the dice.
    """

    def __init__(self, replica: Replica, times: int, plan: Callable[[random.Random], str], dice: random.Random) -> None:
        self._replica, self._plan, self._dice = replica, plan, dice
        self.left = times

    @property
    def is_done(self) -> bool:
        """Whether every planted fault was met."""
        return self.left < 0

    def __call__(self) -> None:
        """Look once."""
        if not self._replica.is_alive:
            self._replica.start(self._plan(self._dice) if self.left > 0 else "")
            self.left -= 1
