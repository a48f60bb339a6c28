"""Promise 3 while the number of partitions changes and replicas come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import amqp
import pytest
from sqlalchemy import text

from contracts.gateway import TicketRequested, TicketUpdateRequested
from contracts.tickets import TicketOpened
from eventkit import broker, partitions, topology
from eventkit.consumer import QueueConsumer
from eventkit.definition import Handler
from eventkit.envelope import Event, encode_data, to_headers
from eventkit.errors import BrokenTopology
from eventkit.work import Work
from liaison import administration
from liaison.administration import change_partitions
from tests.eventkit.desk import eventually, reported, request

INVERSIONS = (
    "select count(*) from (select sequence < lag(sequence) over (partition by subject order by position) as back"
    " from effect) as e where back"
)


def publish_until(service: Any, stop: threading.Event, published: list[int]) -> None:
    """Publish events of twenty subjects, each in order and of two types in turn, through the exchange of all events."""
    connection = broker.connect(service.uri, name="load")
    channel = connection.channel()
    number = 0
    while not stop.is_set():
        number += 1
        for subject in range(20):
            name = f"{service.definition.name}/{subject}"
            event = request(name, number) if number % 2 else reported(TicketUpdateRequested(), name, number)
            message = amqp.Message(encode_data(event.data), application_headers=to_headers(event), delivery_mode=2)
            channel.basic_publish(message, exchange=broker.EVENTS, routing_key=event.type)
        published[0] = number * 20
        stop.wait(0.02)
    broker.close_quietly(connection)


@contextmanager
def under_load(service: Any) -> Iterator[list[int]]:
    """Publish while the block runs, and then wait until each event has had its effect, in order."""
    stop, published = threading.Event(), [0]
    load = threading.Thread(target=publish_until, args=(service, stop, published))
    load.start()
    try:
        yield published
    finally:
        stop.set()
        load.join()
    before = -1
    while (done := service.one("select count(*) from effect")) != published[0]:
        assert done != before, f"{done} of {published[0]} effects, and no more came for 10 s"
        before = done
        with suppress(AssertionError):
            eventually(lambda: service.one("select count(*) from effect") == published[0], timeout_s=10)
    assert service.one(INVERSIONS) == 0


def record(work: Work, event: Event[Any]) -> None:
    """Write one row for an event of either type."""
    work.connection.execute(
        text("insert into effect (event_id, source, subject, sequence) values (:id, :source, :subject, :sequence)"),
        {"id": event.id, "source": event.source, "subject": event.subject, "sequence": event.sequence},
    )


TWO_TYPES = {kind.TYPE: Handler(kind, record) for kind in (TicketRequested, TicketUpdateRequested)}


def change(service: Any, partitions: int) -> None:
    change_partitions(
        service.installation,
        service.definition.name,
        partitions,
        database_uri=service.database_uri,
        definition=service.definition,
    )


def test_order_holds_while_one_queue_becomes_three(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each step at the broker takes its time, so that what is published in between is not spared.
    remove = topology.Administration.remove

    def remove_slowly(*part: Any) -> None:
        time.sleep(0.2)
        remove(*part)

    monkeypatch.setattr(topology.Administration, "remove", remove_slowly)
    service = desk(handlers=TWO_TYPES)
    service.start()
    with under_load(service) as published:
        eventually(lambda: service.one("select count(*) from effect"))
        change(service, 3)
        seen = published[0]
        eventually(lambda: published[0] > seen + 200)
    names = {queue.name for queue in service.admin.found().queues if queue.name.startswith(service.definition.name)}
    assert {f"{service.definition.name}.2.{number}" for number in range(3)} <= names
    assert f"{service.definition.name}.1.0" not in names


def test_a_change_that_was_cut_off_is_left_alone_until_it_is_ended(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service = desk(handlers=TWO_TYPES)
    service.start()
    name = service.definition.name
    with under_load(service):
        # Given a change that was cut off as soon as the old queue got nothing more
        monkeypatch.setattr(administration, "_wait_until_empty", interrupted)
        with pytest.raises(KeyboardInterrupt):
            change(service, 3)
        monkeypatch.undo()
        # Then `topology apply` touches nothing of it, and another number is refused
        found = service.admin.found()
        create, remove = topology.difference(topology.wanted([service.definition], found), found)
        assert [part for part in create + remove if name in (getattr(part, "target", ""), part)] == []
        assert {one.name for one in remove if isinstance(one, topology.Queue) and one.name.startswith(name)} == set()
        with pytest.raises(BrokenTopology, match=f"partitions set {name} 3"):
            change(service, 2)
        # When it is run again it ends well
        change(service, 3)


def test_a_change_that_was_cut_off_at_its_very_end_is_cleared_away_by_the_next(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = desk(handlers=TWO_TYPES)
    service.start()
    name = service.definition.name
    with under_load(service):
        # Given a change that was cut off when the service had turned to the new queues, and the old one still lay there
        remove = topology.Administration.remove

        def remove_no_queue(admin: topology.Administration, part: Any) -> None:
            if isinstance(part, topology.Queue):
                raise KeyboardInterrupt
            remove(admin, part)

        monkeypatch.setattr(topology.Administration, "remove", remove_no_queue)
        with pytest.raises(KeyboardInterrupt):
            change(service, 3)
        monkeypatch.undo()
        assert topology.generations_of(name, service.admin.found()) == {1: 1, 2: 3}
        # When it is run again
        change(service, 3)
    # Then one generation is left, and a type that the service handles from now on is bound
    assert topology.generations_of(name, service.admin.found()) == {3: 3}
    more = replace(service.definition, handlers={**TWO_TYPES, TicketOpened.TYPE: Handler(TicketOpened, record)})
    create, _ = topology.difference(topology.wanted([more], service.admin.found()), service.admin.found())
    assert TicketOpened.TYPE in {getattr(part, "key", None) for part in create}


def test_a_change_that_was_cut_off_between_two_old_queues_is_cleared_away_by_the_next(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a service with three queues, in which nothing waits, as the broker would say only after some seconds
    monkeypatch.setattr(administration, "_wait_until_empty", lambda *_: None)
    monkeypatch.setattr(topology.Administration, "waiting", lambda *_: 0)
    service = desk(handlers=TWO_TYPES)
    change(service, 3)
    # And a change that was cut off when the first of them had been removed
    remove = topology.Administration.remove

    def remove_one_queue(admin: topology.Administration, part: Any) -> None:
        remove(admin, part)
        if isinstance(part, topology.Queue):
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(topology.Administration, "remove", remove_one_queue)
        with pytest.raises(KeyboardInterrupt):
            change(service, 1)
    assert topology.generations_of(service.definition.name, service.admin.found()) == {2: 2, 3: 1}
    # When it is run again, one generation is left
    change(service, 1)
    assert topology.generations_of(service.definition.name, service.admin.found()) == {4: 1}


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


def test_topology_apply_keeps_the_generation_that_it_finds(desk: Any) -> None:
    service = desk()
    first = f"{service.definition.name}.1.0"
    eventually(lambda: service.admin.waiting(first) == 0, what="the broker counts every few seconds")
    service.admin.remove(topology.Queue(first))
    for parts in topology.partition_parts(service.definition.name, topology.handled_types(service.definition), 2, 4):
        for part in parts:
            service.admin.declare(part)
    want = topology.wanted([service.definition], service.admin.found())
    ours = {queue.name for queue in want.queues if queue.name.startswith(f"{service.definition.name}.2.")}
    assert len(ours) == 4
    assert f"{service.definition.name}.1.0" not in {queue.name for queue in want.queues}


def test_two_replicas_come_to_share_the_partitions(desk: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(partitions, "_SHARE_S", 0.5)
    service = desk(handlers=TWO_TYPES)
    change(service, 2)
    first, second = service.start(), service.start()

    def active(process: Any) -> int:
        return sum(one.is_active for one in process._running["consumers"][0]._consumers)

    with under_load(service):
        eventually(lambda: (active(first), active(second)) == (1, 1), timeout_s=30)


def test_a_replica_whose_consumer_died_ends_and_says_why(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service = desk(handlers=TWO_TYPES)
    process = service.start()
    eventually(lambda: process.ready.problems() == {})

    def broken(self: QueueConsumer) -> None:
        raise ValueError("planted")

    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(QueueConsumer, "_handle_batch", broken)
    service.publish(request("S1", 1))
    assert process.failed.wait(10)


def test_a_broker_that_is_away_is_no_reason_to_be_killed(desk: Any) -> None:
    consumer = QueueConsumer("amqp://nobody:x@127.0.0.1:9/none", "none", lambda *_: ())
    thread = threading.Thread(target=consumer.run)
    thread.start()
    begun = consumer.last_seen
    try:
        eventually(lambda: consumer.last_seen > begun + 1)
    finally:
        consumer.stop()
        thread.join()
