"""Row 5: from a publisher's hand, through either door, to the ticket's commit, with every service up."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec

from bench import whole
from bench.figures import Figure, console, percentiles, quantile, spread
from bench.lab import Lab
from bench.latency import WARM_S, since_published
from bench.load import PER_SECOND, Publisher, paced, request, to_message
from bench.plan import Plan
from contracts.gateway import TicketRequested
from eventkit import broker
from eventkit.envelope import encode_data, encode_time
from liaison.publishers import PublisherAccount

ROW = "intake"
PARTS = whole.PARTS
_SENDERS = 8
_COMMITTED = "select externalref, cast(extract(epoch from pg_xact_commit_timestamp(xmin)) as float8) from ticket"


def measure(lab: Lab, plan: Plan) -> list[Figure]:
    """Hold the load at the AMQP door, then at the HTTP door. Milliseconds to the commit in the tickets service."""
    lines = []
    with whole.all_services(lab) as running:
        whole.introduce_people(lab)
        account = whole.publisher(lab)
        for door, send in (("AMQP", by_amqp), ("HTTP", _by_http)):
            with whole.cores_used(lab, running) as busy:
                published = dict(send(account, int((plan.hold_s + WARM_S) * PER_SECOND), f"bench-{door}"))
            taken = _taken(lab, published, f"bench-{door}")
            plan.details.setdefault(ROW, {})[door] = {"cores used": busy} | percentiles(taken)
            console.print(f"  by {door}: {spread(taken)}")
            console.print("  cores used: " + ", ".join(f"{name} {share:.2f}" for name, share in busy.items()))
            lines += _lines(door, taken)
    return lines


def _taken(lab: Lab, published: dict[str, float], run: str) -> list[float]:
    with lab.reading(lab.installation.database_uri("tickets")) as rows:
        statement = f"{_COMMITTED} where externalref like '{run}-%'"
        lab.until(lambda: len(rows(statement)) == len(published), within_s=120, what=f"the tickets of {run}")
        return since_published(published, rows(statement))


def _lines(door: str, taken: list[float]) -> list[Figure]:
    lines = []
    for share, label, bar, goal in ((0.5, "p50", 15, 8), (0.99, "p99", 60, 25)):
        value, what = quantile(taken, share), f"{door} door → ticket committed at {PER_SECOND}/s, {label}"
        lines.append(Figure(ROW, what, value, "ms", bar=f"≤ {bar} ms", goal=f"≤ {goal} ms", kept=value <= bar))
    return lines


def by_amqp(account: PublisherAccount, count: int, run: str) -> Iterator[tuple[str, float]]:
    """Publish requests at a steady pace; yield each `externalref`, RUN-NUMBER, with the moment before it went out."""
    publisher = Publisher(account.amqp_uri)
    try:
        for number in paced(count):
            attributes, body = _event(account, number, run)
            message = at_the_door(attributes, body)
            published_at = time.time()
            publisher.publish(message, broker.INTAKE, TicketRequested.TYPE)
            yield attributes["externalref"], published_at
    finally:
        publisher.close()


def at_the_door(attributes: Mapping[str, str], body: bytes) -> Any:
    """Return the AMQP message of an event as another system publishes it."""
    return to_message(attributes["id"], {f"ce-{name}": value for name, value in attributes.items()}, body)


def _by_http(account: PublisherAccount, count: int, run: str) -> Iterator[tuple[str, float]]:
    client = httpx.Client(
        base_url=account.gateway_url, headers={"authorization": f"Bearer {account.token}"}, timeout=30, trust_env=False
    )

    def post(number: int) -> tuple[str, float]:
        attributes, body = _event(account, number, run)
        content = msgspec.json.encode({**attributes, "data": msgspec.Raw(body)})
        published_at = time.time()
        client.post(
            "/v1/events", content=content, headers={"content-type": "application/cloudevents+json"}
        ).raise_for_status()
        return attributes["externalref"], published_at

    with client, ThreadPoolExecutor(_SENDERS) as senders:
        yield from [one.result() for one in [senders.submit(post, number) for number in paced(count)]]


def _event(account: PublisherAccount, number: int, run: str) -> tuple[dict[str, str], bytes]:
    return attributes_of(account, TicketRequested.TYPE, f"{run}-{number}"), encode_data(request(number).data)


def attributes_of(account: PublisherAccount, event_type: str, key: str) -> dict[str, str]:
    """Return the attributes of an event of another system. key: its id and business key."""
    return {
        "specversion": "1.0",
        "id": key,
        "source": account.source,
        "type": event_type,
        "time": encode_time(datetime.now(UTC)),
        "externalref": key,
    }
