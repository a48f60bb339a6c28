"""Row 2: real `ticket.requested` events through the tickets service: ticket, history, clocks, event out."""

from __future__ import annotations

import time
from pathlib import Path

from bench.figures import Figure, Pace, console, costs, median, pace
from bench.lab import Ended, Lab, environment_of
from bench.load import ENGINEERS, PEOPLE, Message, Publisher, people, requests
from bench.plan import Plan
from contracts.register import FACTS
from contracts.tickets import TicketOpened
from eventkit import broker, topology
from liaison import services

ROW = "tickets"
_BAR, _GOAL = 1500, 3000
_TIMEOUT_S = 240.0
_SINK = "bench-sink"
#: The stated policy: every ticket is held, and has two clocks with a warning and a breach each.
POLICY = Path(__file__).with_name("policy.yaml")
_TIMERS = 4


def measure(lab: Lab, plan: Plan) -> list[Figure]:
    """Let the service work off requests that wait in its queue; the middle one of the rounds."""
    found = []
    for number in range(plan.rounds):
        opened = _opened(lab, requests(plan.events, run=f"R{number}"))
        found.append(opened.per_second)
        console.print(f"  round {number + 1}: {opened.per_second:,.0f} events/s; {costs(opened)}")
    plan.details[ROW] = {"events/s": found}
    value = median(found)
    what = "ticket.requested through the tickets service"
    return [Figure(ROW, what, value, "events/s", bar=f"≥ {_BAR}/s", goal=f"{_GOAL}/s", kept=value >= _BAR)]


def _opened(lab: Lab, messages: list[Message]) -> Pace:
    lab.clear_broker()
    lab.tap(TicketOpened.TYPE)
    lab.admin.declare(topology.Queue(_SINK, quorum=False))
    for key, fact in FACTS.items():
        if fact.emitter() == "tickets" and fact is not TicketOpened:
            lab.admin.declare(topology.Binding(broker.EVENTS, _SINK, True, key))
    uri = lab.database("tickets", folder=services.folder("tickets"))
    lab.service_queues("tickets", topology.handled_types(services.definition("tickets")))
    time.sleep(0.5)
    publisher = Publisher(lab.uri)
    publisher.publish_all([*people(), *messages], broker.partition_exchange("tickets", 1))
    publisher.close()
    environment = {**environment_of(lab, uri), "LIAISON_TICKETS_POLICY": str(POLICY)}
    with lab.process("tickets", "bench.ours", services.HOSTED["tickets"], **environment) as process:
        try:
            # An event lies in the tap only after its ticket was committed; counting tickets would cost the database.
            found = pace(
                lab.depth,
                len(messages),
                within_s=_TIMEOUT_S,
                alive=lambda: process.poll() is None,
                spent=lambda: lab.spent(process),
            )
        except TimeoutError as error:
            raise Ended(f"tickets: {error}") from None
    _check(lab, uri, len(messages))
    return found


def _check(lab: Lab, database_uri: str, expected: int) -> None:
    with lab.reading(database_uri) as rows:
        [(tickets, held)] = rows("select count(*), count(assignee) from ticket")
        timers = rows("select count(*) from eventkit.timer")[0][0]
        known = rows("select count(*) from person")[0][0]
    if (tickets, held, timers, known) != (expected, expected, _TIMERS * expected, PEOPLE + ENGINEERS):
        raise Ended(f"{expected} requests: {tickets} tickets, {held} of them assigned, {timers} timers, {known} people")
