"""What lies on the broker is what the services need, and each account may do only its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import amqp
import pytest

from contracts.fact import Fact
from contracts.gateway import TicketRequested
from contracts.tickets import TicketOpened
from eventkit import broker, topology
from eventkit.definition import Handler, ServiceDefinition
from eventkit.envelope import encode_data, to_headers
from eventkit.errors import BrokenTopology
from eventkit.topology import Administration, Binding, Exchange, Queue, Topology
from liaison.installation import Installation
from tests.eventkit.desk import admin_of, eventually, request

EMPTY = Topology(frozenset(), frozenset(), frozenset())
PASSWORD = "only for this test"


def handling(name: str, *facts: type[Fact]) -> ServiceDefinition:
    return ServiceDefinition(name, {fact.TYPE: Handler(fact, lambda work, event: None) for fact in facts})


@pytest.fixture
def admin(installation: Installation) -> Iterator[Administration]:
    admin = admin_of(installation)
    yield admin
    admin.close()


def test_a_type_that_is_handled_no_more_loses_its_binding() -> None:
    before = topology.wanted([handling("thanks", TicketRequested, TicketOpened)], EMPTY)
    after = topology.wanted([handling("thanks", TicketOpened)], before)
    create, remove = topology.difference(after, before)
    assert create == []
    assert remove == [Binding(broker.EVENTS, "thanks.1", False, TicketRequested.TYPE)]


def test_a_new_type_gains_one() -> None:
    before = topology.wanted([handling("thanks", TicketOpened)], EMPTY)
    after = topology.wanted([handling("thanks", TicketRequested, TicketOpened)], before)
    create, remove = topology.difference(after, before)
    assert (create, remove) == ([Binding(broker.EVENTS, "thanks.1", False, TicketRequested.TYPE)], [])


def test_what_other_people_have_on_the_broker_is_left_alone() -> None:
    want = topology.wanted([handling("thanks", TicketOpened)], EMPTY)
    have = Topology(want.exchanges, want.queues | {Queue("somebody.elses")}, want.bindings)
    assert topology.difference(want, have) == ([], [])


def test_a_queue_that_still_holds_events_is_not_removed(admin: Administration, installation: Installation) -> None:
    admin.declare(Queue("t_full.1.0", quorum=False))
    connection = broker.connect(installation.amqp_admin_uri, name="test")
    channel = connection.channel()
    channel.confirm_select()
    channel.basic_publish_confirm(amqp.Message("x"), exchange="", routing_key="t_full.1.0")
    try:
        eventually(lambda: admin.waiting("t_full.1.0") == 1, what="the broker counts every few seconds")
        with pytest.raises(BrokenTopology, match="still holds"):
            admin.remove(Queue("t_full.1.0"))
    finally:
        channel.queue_delete("t_full.1.0")
        connection.close()


@pytest.fixture
def account(admin: Administration, installation: Installation) -> Iterator[Any]:
    """A connection with the rights of the service `tickets`, under another name."""
    for name, kind in ((broker.EVENTS, "topic"), (broker.INTAKE, "topic"), (broker.REPLIES, "direct")):
        admin.declare(Exchange(name, kind))
    admin.grant(topology.rights_of(ServiceDefinition("tickets")), PASSWORD)
    uri = installation.amqp_uri("tickets")
    secret = installation.passwords["rabbitmq:tickets"]
    connection = broker.connect(uri.replace(secret, "only%20for%20this%20test"), name="test")
    yield connection
    broker.close_quietly(connection)


def publish(connection: Any, exchange: str, key: str) -> None:
    channel = connection.channel()
    channel.confirm_select()
    channel.basic_publish_confirm(amqp.Message("{}"), exchange=exchange, routing_key=key, timeout=5)


def test_a_service_may_emit_its_own_types(account: Any) -> None:
    publish(account, broker.EVENTS, TicketOpened.TYPE)


@pytest.mark.parametrize(
    ("exchange", "key"),
    [
        pytest.param(broker.EVENTS, TicketRequested.TYPE, id="another service's type"),
        pytest.param(broker.INTAKE, "erp.user.locked_out", id="the door of other systems"),
        pytest.param("", "notify.1.0", id="another service's queue, past the exchange"),
    ],
)
def test_a_service_may_write_nothing_else(account: Any, exchange: str, key: str) -> None:
    with pytest.raises(amqp.exceptions.AccessRefused):
        publish(account, exchange, key)


def test_a_service_may_neither_read_nor_make_queues_of_others(account: Any) -> None:
    with pytest.raises(amqp.exceptions.AccessRefused):
        account.channel().queue_declare("notify.1.0")
    with pytest.raises((amqp.exceptions.AccessRefused, amqp.exceptions.NotFound)):
        account.channel().basic_consume("notify.1.0")


def test_events_of_a_subject_go_to_one_queue_and_subjects_spread(desk: Any) -> None:
    service = desk()
    front = Exchange(f"{service.definition.name}.2", "x-consistent-hash", "ce-partitionkey")
    queues = [Queue(f"{service.definition.name}.2.{number}", quorum=False) for number in range(4)]
    for part in (front, *queues, *(Binding(front.name, queue.name, True, "1") for queue in queues)):
        service.admin.declare(part)
    connection = broker.connect(service.uri, name="test")
    channel = connection.channel()
    channel.confirm_select()
    for subject in range(40):
        for number in range(3):
            event = request(f"S{subject}", number)
            message = amqp.Message(encode_data(event.data), application_headers=to_headers(event))
            channel.basic_publish_confirm(message, exchange=front.name, routing_key="x")
    homes: dict[str, set[str]] = {}
    for queue in queues:
        while (message := channel.basic_get(queue.name, no_ack=True)) is not None:
            homes.setdefault(message.headers["ce-subject"], set()).add(queue.name)
    connection.close()
    assert len(homes) == 40
    assert all(len(places) == 1 for places in homes.values())
    assert len(set.union(*homes.values())) > 1
