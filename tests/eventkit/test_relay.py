"""Promise 2: what is committed leaves, in order, and nothing else does."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from sqlalchemy import text

from contracts.tickets import TicketOpened
from contracts.words import Channel, TicketState
from eventkit import broker
from eventkit.work import Work
from tests.eventkit.desk import eventually, record_and_tell, request
from tests.eventkit.test_timers import write


def received(service: Any, queue: str, count: int) -> list[dict[str, str]]:
    """Take messages from a queue until there are `count`, and return their headers."""
    connection = broker.connect(service.uri, name="tap")
    channel = connection.channel()
    taken: list[dict[str, str]] = []

    def look() -> bool:
        while (message := channel.basic_get(queue, no_ack=True)) is not None:
            taken.append(message.headers)
        return len(taken) >= count

    eventually(look, what=f"{count} events on the wire")
    broker.close_quietly(connection)
    return taken


def test_events_leave_in_the_order_of_their_commits_numbered_per_subject(desk: Any) -> None:
    service = desk(handle=record_and_tell)
    tap = service.open_tap()
    service.publish(*[request(f"S{n % 3}", n, source="/x") for n in range(600)])
    service.start()
    headers = [one for one in received(service, tap, 600) if one["ce-source"] == f"/liaison/{service.definition.name}"]
    for subject in ("S0", "S1", "S2"):
        numbers = [int(one["ce-sequence"]) for one in headers if one["ce-subject"] == subject]
        assert numbers == list(range(1, 201))


def test_a_change_that_is_rolled_back_tells_nothing(desk: Any) -> None:
    service = desk()
    tap = service.open_tap()
    service.start()

    def tell(work: Work, title: str) -> None:
        fact = TicketOpened(
            number=title, title=title, state=TicketState.NEW, priority=3, channel=Channel.WEB, opened_at=work.now
        )
        work.emit(fact, subject=title)

    with service.engine.connect() as connection:
        work = Work(connection, source="/test", now=connection.execute(text("select now()")).scalar_one())
        tell(work, "rolled back")
        work.flush()
        connection.rollback()
    write(service, lambda work: tell(work, "committed"))
    assert [one["ce-subject"] for one in received(service, tap, 1)] == ["committed"]


def test_rows_that_the_broker_has_are_marked_together(desk: Any) -> None:
    service = desk(handle=record_and_tell)
    service.open_tap()
    service.start()

    def are_told(number: int) -> bool:
        return bool(service.one("select count(*) from eventkit.outbox") == number)

    began = time.monotonic()
    for number in range(1, 41):
        service.publish(request("A", number))
        eventually(partial(are_told, number))
    eventually(lambda: service.one("select count(*) from eventkit.outbox where sent_at is null") == 0)
    marks = service.one("select count(distinct sent_at) from eventkit.outbox")
    # Marks are a tenth of a second apart, however the forty events came.
    assert marks <= (time.monotonic() - began) / 0.1 + 1


def test_two_relays_of_a_service_have_one_leader_and_the_other_takes_over(desk: Any) -> None:
    service = desk(handle=record_and_tell)
    service.open_tap()
    first, second = service.start(), service.start()
    eventually(lambda: first.relay.leads or second.relay.leads)
    leader, follower = (first, second) if first.relay.leads else (second, first)
    assert not follower.relay.leads
    leader.relay.stop()
    eventually(lambda: follower.relay.leads)
    service.publish(request("A", 1))
    eventually(lambda: service.one("select count(*) from eventkit.outbox where sent_at is not null") == 1)


def test_an_event_for_which_nothing_is_bound_stops_the_relay_and_readiness(desk: Any) -> None:
    service = desk(handle=record_and_tell)
    process = service.start()
    service.publish(request("A", 1))
    eventually(lambda: "returned" in process.ready.problems().get("relay", ""))
    assert service.one("select count(*) from eventkit.outbox where sent_at is not null") == 0
    service.open_tap()
    eventually(lambda: service.one("select count(*) from eventkit.outbox where sent_at is not null") == 1)
    eventually(lambda: "relay" not in process.ready.problems())
