"""Row 3: the relay's throughput with 1 kB events and one bound quorum queue, beside a bare pipelined loop."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

from bench.figures import Figure, Pace, console, costs, median, pace
from bench.lab import Ended, Lab, environment_of
from bench.load import Message, Publisher
from bench.plan import Plan
from contracts.tickets import TicketOpened
from contracts.words import Channel, TicketState
from eventkit import broker, outbox
from eventkit.bulk import Script
from eventkit.database import open_engine
from eventkit.envelope import Event, encode_data, new_id, partitionkey_of, to_headers

ROW = "relay"
_SOURCE = "/liaison/bench"
_BYTES = 1024
_TIMEOUT_S = 120.0


def measure(lab: Lab, plan: Plan) -> list[Figure]:
    """Let the relay and the bare loop publish the same events in turn; medians of the rounds."""
    events = [_event(number) for number in range(2 * plan.events)]
    ours, bare = [], []
    for number in range(plan.rounds):
        relayed = _relayed(lab, events)
        looped = _looped(lab, [(event.id, to_headers(event), encode_data(event.data)) for event in events])
        ours.append(relayed.per_second)
        bare.append(looped.per_second)
        console.print(f"  round {number + 1}: relay {ours[-1]:,.0f} events/s; {costs(relayed)}")
        console.print(f"  round {number + 1}: bare loop {bare[-1]:,.0f} events/s; {costs(looped)}")
    plan.details[ROW] = {"relay": ours, "bare loop": bare}
    found, peer = median(ours), median(bare)
    line = Figure(
        ROW,
        "relay, 1 kB, one quorum queue",
        found,
        "events/s",
        f"bare py-amqp loop: {peer:,.0f}",
        found / peer,
        "≥ 0.5 ×",
        "0.8 ×",
        found >= 0.5 * peer,
    )
    return [line]


def _event(number: int) -> Event[TicketOpened]:
    subject, now = f"T{number}", datetime.now(UTC)

    def data(title: str) -> TicketOpened:
        return TicketOpened(
            number=subject, title=title, state=TicketState.NEW, priority=3, channel=Channel.WEB, opened_at=now
        )

    return Event(
        id=new_id(),
        source=_SOURCE,
        type=TicketOpened.TYPE,
        subject=subject,
        time=now,
        data=data("x" * (_BYTES - len(encode_data(data(""))))),
        partitionkey=partitionkey_of(_SOURCE, subject),
        sequence=1,
    )


def _relayed(lab: Lab, events: list[Event[TicketOpened]]) -> Pace:
    uri = _prepare(lab)
    engine = open_engine(uri, name="bench")
    for start in range(0, len(events), 1000):
        with engine.begin() as connection:
            script = Script(connection)
            outbox.write(script, events[start : start + 1000])
            script.run()
    engine.dispose()
    with lab.process("relay", "bench.relay_process", **environment_of(lab, uri)) as process:
        try:
            return pace(
                lab.depth,
                len(events),
                within_s=_TIMEOUT_S,
                alive=lambda: process.poll() is None,
                spent=lambda: lab.spent(process),
            )
        except TimeoutError as error:
            raise Ended(f"relay: {error}") from None


def _looped(lab: Lab, messages: list[Message]) -> Pace:
    _prepare(lab)
    publisher = Publisher(lab.uri)
    load = threading.Thread(target=publisher.publish_all, args=(messages, broker.EVENTS, TicketOpened.TYPE))
    load.start()
    try:
        return pace(lab.depth, len(messages), within_s=_TIMEOUT_S, alive=lambda: True, spent=_own)
    except TimeoutError as error:
        raise Ended(f"bare loop: {error}") from None
    finally:
        load.join(timeout=30)
        publisher.close()


def _own() -> dict[str, float]:
    return {"bench itself": time.process_time()}


def _prepare(lab: Lab) -> str:
    lab.clear_broker()
    lab.tap(TicketOpened.TYPE)
    return lab.database("bench")
