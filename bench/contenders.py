"""The contenders of the bench handler: how each is started, and from which queue it takes."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from bench import service
from bench.figures import Pace, pace
from bench.lab import TAP, Ended, Lab, environment_of
from bench.load import Message, Publisher
from contracts.gateway import TicketRequested
from contracts.tickets import TicketOpened
from eventkit import broker, partitions, topology
from eventkit.database import open_engine

_RATE_TIMEOUT_S = 240.0
NAMEKO_QUEUE = f"evt-bench-{TicketRequested.TYPE}--peer.on_ticket_requested"


@dataclass(frozen=True, slots=True)
class Contender:
    """Somebody who does the bench handler's job.

    module: what runs it. settings: the sweep of its one number, and what the number is. outbox: writes what we write.
    processes: of ours only, each with a partition of its own. quorum: False for the queue that is nameko's default.
    """

    name: str
    module: str
    queue: str = "bench-in"
    settings: Sequence[int] = ()
    swept: str = ""
    outbox: bool = False
    processes: int = 1
    quorum: bool = True

    @property
    def ours(self) -> bool:
        """Whether it is eventkit's handler."""
        return self.module == "bench.ours"


OURS = Contender("eventkit", "bench.ours")
OURS_TWICE = Contender("eventkit, 2 processes", "bench.ours", processes=2)
NAMEKO = Contender("stock nameko", "bench.peers.on_nameko", NAMEKO_QUEUE, (1, 10, 50), "workers")
FASTSTREAM = Contender("FastStream", "bench.peers.on_faststream", settings=(20, 100, 500), swept="prefetch")
BARE = Contender("bare loop", "bench.peers.bare_loop", settings=(200,), swept="messages a transaction", outbox=True)
BARE_LIGHT = Contender("bare loop, no outbox", "bench.peers.bare_loop", settings=(200,), swept="messages a transaction")


def throughput(lab: Lab, contender: Contender, setting: int, messages: Sequence[Message]) -> Pace:
    """Return how fast a contender handles events that all wait in its queue from the start.

    An event counts when its row is committed and its outgoing event lies, confirmed, in the tap.
    Raises Ended when it is not done in time, or did something else than was asked.
    """
    uri = prepare(lab, contender)
    if contender.processes == 1:
        _preload(lab, contender, messages)
        with running(lab, contender, setting, uri) as processes:
            return _watched(lab, uri, len(messages), processes)
    with running(lab, contender, setting, uri) as processes:
        # Replicas share the partitions only once both are at work; they sleep while the queues are filled.
        warm = _share_out(lab, uri, messages)
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        _preload(lab, contender, messages[warm:])
        for process in processes:
            process.send_signal(signal.SIGCONT)
        return _watched(lab, uri, len(messages), processes, since=warm)


def prepare(lab: Lab, contender: Contender) -> str:
    """Give a contender an empty broker and return the address of its empty database."""
    lab.clear_broker()
    lab.tap(TicketOpened.TYPE)
    uri = lab.database("bench", service.metadata)
    if contender.ours:
        lab.service_queues("bench", [TicketRequested.TYPE], contender.processes)
        engine = open_engine(uri, name="bench")
        with engine.begin() as connection:
            partitions.advance(connection, 1, contender.processes)
        engine.dispose()
    else:
        lab.admin.declare(topology.Queue(contender.queue, contender.quorum))
    # A quorum queue that was declared just now is still being set up.
    time.sleep(0.5)
    return uri


def _preload(lab: Lab, contender: Contender, messages: Sequence[Message]) -> None:
    exchange = broker.partition_exchange("bench", 1) if contender.ours else ""
    publisher = Publisher(lab.uri)
    try:
        publisher.publish_all(messages, exchange, TicketRequested.TYPE if contender.ours else contender.queue)
    finally:
        publisher.close()


@contextmanager
def running(lab: Lab, contender: Contender, setting: int, database_uri: str) -> Iterator[list[Any]]:
    """Run a contender's processes."""
    more = {"QUEUE": contender.queue, "SETTING": str(setting)} | ({"OUTBOX": "1"} if contender.outbox else {})
    more |= {} if contender.quorum else {"CLASSIC": "1"}
    arguments = [contender.module, *(["bench.service:BenchService"] if contender.ours else [])]
    with ExitStack() as stack:
        environment = environment_of(lab, database_uri, **more)
        name = contender.module.rpartition(".")[2]
        yield [stack.enter_context(lab.process(name, *arguments, **environment)) for _ in range(contender.processes)]


def _watched(lab: Lab, database_uri: str, total: int, processes: Sequence[Any], since: int = 0) -> Pace:
    with lab.reading(database_uri) as rows:

        def done() -> int:
            return min(int(rows("select coalesce(max(id), 0) from bench_row")[0][0]), lab.depth()) - since

        try:
            found = pace(
                done,
                total - since,
                within_s=_RATE_TIMEOUT_S,
                alive=lambda: all(process.poll() is None for process in processes),
                spent=lambda: lab.spent(*processes),
            )
        except TimeoutError as error:
            raise Ended(f"{processes[0].args}: {error}") from None
        [(committed, once)] = rows("select count(*), count(distinct event_id) from bench_row")
        if (committed, once, lab.depth(TAP)) != (total, total, total):
            raise Ended(f"{total} events became {committed} rows of {once} events, {lab.depth(TAP)} told")
        return found


def _share_out(lab: Lab, database_uri: str, messages: Sequence[Message]) -> int:
    """Send a trickle of events until two processes work on one partition each; return how many were sent."""
    publisher = Publisher(lab.uri)
    sent = 0
    try:
        for _ in range(40):
            publisher.publish_all(
                messages[sent : sent + 20], broker.partition_exchange("bench", 1), TicketRequested.TYPE
            )
            sent += 20
            time.sleep(0.5)
            if _active_connections(lab) == 2:
                break
        else:
            raise Ended("two processes did not come to share two partitions within 20 s")
        with lab.reading(database_uri) as rows:
            lab.until(
                lambda: rows("select count(*) from bench_row")[0][0] == sent and lab.depth() == sent,
                within_s=20,
                what="the warm-up",
            )
    finally:
        publisher.close()
    return sent


def _active_connections(lab: Lab) -> int:
    consumers = lab.admin._call("GET", f"/consumers/{topology.VHOST}")
    active = [one for one in consumers if one.get("active") and one["queue"]["name"].startswith("bench.1.")]
    return len({one["channel_details"].get("connection_name") for one in active if one.get("channel_details")})
