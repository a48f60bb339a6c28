"""Promise 3 while the number of partitions changes and replicas come and go."""

from __future__ import annotations

import threading
from typing import Any

import amqp

from eventkit import broker, partitions, topology
from eventkit.envelope import encode_data, to_headers
from liaison.administration import change_partitions
from tests.eventkit.desk import eventually, request

INVERSIONS = (
    "select count(*) from (select sequence < lag(sequence) over (partition by subject order by position) as back"
    " from effect) as e where back"
)


def publish_until(service: Any, stop: threading.Event, published: list[int]) -> None:
    """Publish events of twenty subjects, each in order, through the exchange of all events."""
    connection = broker.connect(service.uri, name="load")
    channel = connection.channel()
    number = 0
    while not stop.is_set():
        number += 1
        for subject in range(20):
            event = request(f"S{subject}", number)
            message = amqp.Message(encode_data(event.data), application_headers=to_headers(event), delivery_mode=2)
            channel.basic_publish(message, exchange=broker.EVENTS, routing_key=event.type)
        published[0] = number * 20
        stop.wait(0.01)
    broker.close_quietly(connection)


def test_order_holds_while_one_queue_becomes_three(desk: Any) -> None:
    service = desk()
    service.start()
    stop, published = threading.Event(), [0]
    load = threading.Thread(target=publish_until, args=(service, stop, published))
    load.start()
    try:
        eventually(service.effects)
        change_partitions(
            service.installation,
            service.definition.name,
            3,
            database_uri=service.database_uri,
            definition=service.definition,
        )
        eventually(lambda: published[0] > 2000)
    finally:
        stop.set()
        load.join()
    eventually(lambda: service.one("select count(*) from effect") == published[0])
    assert service.one(INVERSIONS) == 0
    names = {queue.name for queue in service.admin.found().queues if queue.name.startswith(service.definition.name)}
    assert {f"{service.definition.name}.2.{number}" for number in range(3)} <= names
    assert f"{service.definition.name}.1.0" not in names


def test_topology_apply_keeps_the_generation_that_it_finds(desk: Any) -> None:
    service = desk()
    for parts in topology.partition_parts(service.definition.name, topology.handled_types(service.definition), 2, 4):
        for part in parts:
            service.admin.declare(part)
    want = topology.wanted([service.definition], service.admin.found())
    ours = {queue.name for queue in want.queues if queue.name.startswith(f"{service.definition.name}.2.")}
    assert len(ours) == 4
    assert f"{service.definition.name}.1.0" not in {queue.name for queue in want.queues}


def test_two_replicas_come_to_share_the_partitions(desk: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(partitions, "_SHARE_S", 0.5)
    service = desk()
    change_partitions(
        service.installation,
        service.definition.name,
        2,
        database_uri=service.database_uri,
        definition=service.definition,
    )
    first, second = service.start(), service.start()
    stop, published = threading.Event(), [0]
    load = threading.Thread(target=publish_until, args=(service, stop, published))
    load.start()

    def active(process: Any) -> int:
        return sum(one.is_active for one in process._running["consumers"][0]._consumers)

    try:
        eventually(lambda: (active(first), active(second)) == (1, 1), timeout_s=30)
    finally:
        stop.set()
        load.join()
    eventually(lambda: service.one("select count(*) from effect") == published[0])
    assert service.one(INVERSIONS) == 0
