"""Another system at the doors: it publishes requests at a steady pace under an account of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec

from bench.load import Publisher, paced, request, to_message
from bench.plan import Steady
from contracts.gateway import TicketRequested
from eventkit import broker
from eventkit.envelope import encode_data, encode_time
from liaison.publishers import PublisherAccount

_SENDERS = 8


def by_amqp(account: PublisherAccount, steady: Steady, run: str) -> Iterator[tuple[str, float]]:
    """Publish requests at a steady pace; yield each `externalref`, RUN-NUMBER, with the moment before it went out."""
    publisher = Publisher(account.amqp_uri)
    try:
        for number in paced(steady.count, steady.per_second):
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


def by_http(account: PublisherAccount, steady: Steady, run: str) -> Iterator[tuple[str, float]]:
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
        numbers = paced(steady.count, steady.per_second)
        yield from [one.result() for one in [senders.submit(post, number) for number in numbers]]


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
