"""Valid CloudEvents as another service of ours would publish them, put into queues or published at a steady pace."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import amqp

from bench.plan import Steady
from contracts.gateway import PersonChanged, TicketRequested
from contracts.words import Channel
from eventkit import broker
from eventkit.envelope import Event, encode_data, new_id, partitionkey_of, to_headers

SOURCE = "/liaison/gateway"
SUBJECTS = 5000
PEOPLE = 500
ENGINEERS = 30
REGIONS = ("华东", "华南", "华北")
_WINDOW = 2000
_PATIENCE_S = 30.0
Message = tuple[str, dict[str, str], bytes]


def request(number: int, run: str = "") -> Event[TicketRequested]:
    """Return one request for a ticket; every SUBJECTS-th is about the same subject. run: makes the business key."""
    subject = f"S{number % SUBJECTS}"
    return Event(
        id=new_id(),
        source=SOURCE,
        type=TicketRequested.TYPE,
        subject=subject,
        time=datetime.now(UTC),
        data=TicketRequested(
            title=f"第 {number} 号：VPN 断开，无法访问共享盘",
            description="今天上午九点起，网络时断时续；重启电脑后仍然不行，同一办公室的其他人正常。",
            requester=f"E{2000 + number % PEOPLE}",
            channel=Channel.WEB,
            priority=number % 4 + 1,
            region=REGIONS[number % len(REGIONS)],
            category="network",
        ),
        partitionkey=partitionkey_of(SOURCE, subject),
        sequence=number // SUBJECTS + 1,
        externalref=f"{run}-{number}" if run else None,
        traceparent=f"00-{number:032x}-{number:016x}-01",
    )


def requests(count: int, run: str = "") -> list[Message]:
    """Return the id, headers and body of so many requests, in order."""
    return [encoded(request(number, run)) for number in range(count)]


def people() -> list[Message]:
    """Return what tells of those who ask and of the engineers who are asked, ten for each region."""
    return [encoded(_person(number)) for number in range(PEOPLE + ENGINEERS)]


def _person(number: int) -> Event[PersonChanged]:
    region, employee = REGIONS[number % len(REGIONS)], f"E{2000 + number}"
    engineer = number >= PEOPLE
    data = PersonChanged(
        employee_number=employee,
        version=1,
        name=f"员工{number}",
        email=f"{employee.lower()}@example.invalid",
        department="信息中心" if engineer else "财务部",
        region=region,
        roles=("engineer",) if engineer else (),
        groups=(f"{region}支持组",) if engineer else (),
    )
    return Event(
        id=new_id(),
        source=SOURCE,
        type=PersonChanged.TYPE,
        subject=employee,
        time=datetime.now(UTC),
        data=data,
        partitionkey=partitionkey_of(SOURCE, employee),
        sequence=1,
    )


def encoded(event: Event[Any]) -> Message:
    """Return an event's id, headers and body."""
    return event.id, to_headers(event), encode_data(event.data)


def to_message(event_id: str, headers: dict[str, str], body: bytes) -> Any:
    """Return the AMQP message, as the relay makes it."""
    return amqp.Message(
        body,
        application_headers=headers,
        content_type="application/json",
        delivery_mode=2,
        message_id=event_id,
        type=headers["ce-type"],
    )


def paced(count: int, per_second: float) -> Iterator[int]:
    """Yield numbers at a steady pace; one that is late is not waited for."""
    begun = time.monotonic()
    for number in range(count):
        if (wait_s := begun + number / per_second - time.monotonic()) > 0:
            time.sleep(wait_s)
        yield number


class Publisher:
    """Publishes with pipelined confirms on its own connection; also the bare loop that the relay is compared with."""

    def __init__(self, uri: str) -> None:
        self._connection = broker.connect(uri, name="bench load")
        self.channel = self._connection.channel()
        self.channel.confirm_select()
        self.channel.events["basic_ack"].add(self._on_ack)
        self._published = 0
        self._unconfirmed: set[int] = set()

    def _on_ack(self, tag: int, multiple: bool) -> None:
        if multiple:
            self._unconfirmed -= {one for one in self._unconfirmed if one <= tag}
        else:
            self._unconfirmed.discard(tag)

    def publish_all(self, messages: Sequence[Message], exchange: str, key: str = "", window: int = _WINDOW) -> None:
        """Publish everything, never more than `window` unconfirmed, and return when all are confirmed.

        key: the routing key; by default each message's type.
        """
        for number, message in enumerate(messages):
            routing_key = key or message[1]["ce-type"]
            self.channel.basic_publish(to_message(*message), exchange, routing_key, mandatory=True)
            self._published += 1
            self._unconfirmed.add(self._published)
            # Looking costs a system call: at every message it would be half of the work.
            if number % 100 == 99:
                self._take_confirms(at_most=window)
        self._take_confirms(at_most=0)

    def _take_confirms(self, at_most: int) -> None:
        while broker.drain(self._connection, 0):
            pass
        deadline = time.monotonic() + _PATIENCE_S
        while len(self._unconfirmed) > at_most:
            if not broker.drain(self._connection, 1.0) and time.monotonic() > deadline:
                raise TimeoutError(f"{len(self._unconfirmed)} messages are not confirmed after {_PATIENCE_S:g} s")

    def publish(self, message: Any, exchange: str, key: str) -> None:
        """Publish one message without waiting for its confirm, and take the confirms that have come."""
        self.channel.basic_publish(message, exchange=exchange, routing_key=key, mandatory=True)
        self._published += 1
        self._unconfirmed.add(self._published)
        while broker.drain(self._connection, 0):
            pass

    def pace(self, steady: Steady, exchange: str, key: str = "") -> Iterator[tuple[str, float]]:
        """Publish at a steady pace and yield each event's id with the moment just before it went out, in Unix time."""
        for number in paced(steady.count, steady.per_second):
            event = request(number)
            message = to_message(*encoded(event))
            published_at = time.time()
            self.publish(message, exchange, key)
            yield event.id, published_at

    def close(self) -> None:
        """Wait for the confirms that are still out, and close: a channel that is closed before may lose what it has."""
        try:
            self._take_confirms(at_most=0)
        finally:
            broker.close_quietly(self._connection)
