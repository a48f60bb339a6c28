"""The doors' transaction: offers in, outcomes out, everything recorded and announced in one commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from eventkit import topology
from eventkit.consumer import Incoming, Outgoing
from eventkit.database import is_lost_connection, is_serialization_failure
from eventkit.telemetry import log
from eventkit.work import Work
from services.gateway import usecases
from services.gateway.mappings import Mappings
from services.gateway.rules import UNKNOWN_PUBLISHER
from services.gateway.storage import GatewayStore, snapshot
from services.gateway.usecases import Outcome
from services.gateway.verdicts import Directory, Offer, Refused, Verdict, refused

AMQP, HTTP = "amqp", "http"
SOURCE = "/liaison/gateway"
_SERIALIZATION_RETRIES = 20
_PREFIXES = ("ce-", "cloudevents:", "cloudevents_")


class DoorMetrics:
    """What the doors count, all declared here. Labels: `door` is amqp or http."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> Counter:
            found = Counter(f"liaison_gateway_events_{name}", text, ("door",), registry=registry)
            for door in (AMQP, HTTP):
                found.labels(door)
            return found

        self.accepted = counter("accepted", "Events accepted for the first time.")
        self.refused = counter("refused", "Events refused for the first time.")
        self.repeated = counter("repeated", "Events that had been accepted or refused before.")

    def count(self, door: str, outcomes: Sequence[Outcome]) -> None:
        """Count committed outcomes."""
        for one in outcomes:
            if one.is_repeat:
                self.repeated.labels(door).inc()
            elif isinstance(one.verdict, Refused):
                self.refused.labels(door).inc()
            else:
                self.accepted.labels(door).inc()


class Intake:
    """Takes what comes to the doors. on_commit: wakes the relay for what was just committed."""

    def __init__(
        self, engine: Engine, mappings: Mappings, metrics: DoorMetrics, on_commit: Callable[[Work], None]
    ) -> None:
        self._engine = engine
        self._mappings = mappings
        self._metrics = metrics
        self._on_commit = on_commit

    def handle(self, batch: Sequence[Incoming], redelivered: bool) -> Sequence[Outgoing]:
        """Take messages from the intake queue; returned are the refusals, for the publishers' reply queues."""
        offers = [_offer(message) for message in batch]
        outcomes = self.receive(offers, AMQP)
        return [reply for one in outcomes if (reply := _reply(one)) is not None]

    def receive(self, offers: Sequence[Offer], door: str) -> list[Outcome]:
        """Judge, record and announce, in one transaction. Raises the database's error when it is away."""
        tries = 0
        while True:
            try:
                return self._transaction(offers, door)
            except DBAPIError as error:
                tries += 1
                if is_serialization_failure(error):
                    if tries > _SERIALIZATION_RETRIES:
                        raise
                elif error.connection_invalidated and tries == 1:
                    # The pool held connections from before the database's restart; the next one is fresh.
                    continue
                elif is_lost_connection(error):
                    raise
                else:
                    return self._apart(offers, door, error)

    def _apart(self, offers: Sequence[Offer], door: str, error: DBAPIError) -> list[Outcome]:
        """Find the one that the database does not take by halving, refuse it and take the others."""
        if len(offers) > 1:
            half = len(offers) // 2
            return self.receive(offers[:half], door) + self.receive(offers[half:], door)
        log.error("an event cannot be stored", extra={"door": door, "error": type(error.orig).__name__})
        return self._transaction(offers, door, reason=f"cannot be stored: {type(error.orig).__name__}")

    def announce(self, verdicts: Callable[[datetime], Sequence[Verdict]], door: str) -> list[Outcome]:
        """Record and announce what a route has judged itself, in one transaction. verdicts: takes its moment.

        Raises the database's error, also one that another try would not meet: for senders that try again themselves.
        """
        return self._committed(door, lambda store, now, _: usecases.settle(store, verdicts(now), door=door))

    def _transaction(self, offers: Sequence[Offer], door: str, *, reason: str | None = None) -> list[Outcome]:
        def decide(store: GatewayStore, now: datetime, directory: Directory) -> list[Outcome]:
            if reason is None:
                return usecases.receive(store, offers, directory, self._mappings, door=door, now=now)
            verdicts = [refused(offer, offer.publisher or UNKNOWN_PUBLISHER, "event", reason) for offer in offers]
            return usecases.settle(store, verdicts, door=door)

        return self._committed(door, decide)

    def _committed(
        self, door: str, decide: Callable[[GatewayStore, datetime, Directory], list[Outcome]]
    ) -> list[Outcome]:
        with self._engine.begin() as connection:
            now, directory = snapshot(connection)
            work = Work(connection, source=SOURCE, now=now)
            outcomes = decide(GatewayStore(work), now, directory)
            work.flush()
        self._metrics.count(door, outcomes)
        self._on_commit(work)
        return outcomes

    def preview(self, offers: Sequence[Offer]) -> list[Outcome]:
        """Return what would come of offers, and change nothing."""
        with self._engine.connect() as connection:
            now, directory = snapshot(connection)
            store = GatewayStore(Work(connection, source=SOURCE, now=now))
            return usecases.preview(store, offers, directory, self._mappings, now=now)


def _offer(message: Incoming) -> Offer:
    headers = {name: value for name, value in message.headers.items() if str(name).lower().startswith(_PREFIXES)}
    return Offer(
        door=AMQP,
        content_type=message.content_type,
        headers=headers,
        body=message.body,
        routing_key=message.routing_key,
        account=message.account,
        unreadable=message.unreadable,
    )


def _reply(outcome: Outcome) -> Outgoing | None:
    verdict = outcome.verdict
    if not isinstance(verdict, Refused) or verdict.publisher == UNKNOWN_PUBLISHER:
        return None
    # Told again for a repeat: the process may have died between the commit and the first message.
    told = {"id": verdict.event_id, "type": verdict.event_type, "field": verdict.field, "reason": verdict.reason}
    return Outgoing(topology.VERDICTS, verdict.publisher, verdict.digest, msgspec.json.encode(told))
