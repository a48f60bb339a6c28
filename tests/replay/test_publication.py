"""Publishing goes on through lost connections, and first occurrences arrive in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import amqp
import pytest

from eventkit import broker
from eventkit.topology import VHOST, Binding, Exchange, Queue
from liaison.administration import broker_of
from liaison.installation import Installation
from liaison.publication import CannotPublish
from liaison.replay import publication_of
from liaison.replay_account import ReplayAccount
from liaison.servicenow import LogEvent

QUEUE = "replaytest.intake"


@pytest.fixture
def account(installation: Installation) -> Iterator[ReplayAccount]:
    """An account that may publish, and a queue that keeps what it publishes."""
    with broker_of(installation) as admin:
        part: Exchange | Queue | Binding
        for part in (
            Exchange(broker.INTAKE, "topic"),
            Queue(QUEUE),
            Binding(broker.INTAKE, QUEUE, True, "servicenow.#"),
        ):
            admin.declare(part)
        yield ReplayAccount("admin", installation.amqp_admin_uri, "", "")
        admin._call("DELETE", f"/queues/{VHOST}/{QUEUE}", ok=(204, 404))


def events_of(count: int, at: datetime | None = None) -> list[LogEvent]:
    """Build events that are told apart by their ids."""
    moment = at or datetime(2016, 2, 29, tzinfo=UTC)
    return [LogEvent(str(number), "servicenow.incident.updated", "INC1", moment, b"{}") for number in range(count)]


def arrived(account: ReplayAccount) -> list[amqp.Message]:
    """Take everything out of the queue."""
    connection = broker.connect(account.amqp_uri, name="test")
    found: list[amqp.Message] = []
    connection.channel().basic_consume(QUEUE, callback=found.append, no_ack=True)
    while broker.drain(connection, 0.5):
        pass
    connection.close()
    return found


def ids_of(messages: list[amqp.Message]) -> list[int]:
    return [int(message.headers["ce-id"]) for message in messages]


def test_everything_arrives_once_and_in_order_with_its_envelope(account: ReplayAccount) -> None:
    publication = publication_of(account, events_of(1500), as_live=False)
    publication.run(lambda done: None)
    messages = arrived(account)
    assert ids_of(messages) == list(range(1500))
    assert (publication.confirmed, publication.resent, publication.connections) == (1500, 0, 1)
    assert messages[0].headers == {
        "ce-specversion": "1.0",
        "ce-id": "0",
        "ce-source": "/servicenow",
        "ce-type": "servicenow.incident.updated",
        "ce-subject": "INC1",
        "ce-time": "2016-02-29T00:00:00Z",
        "ce-history": "true",
    }
    assert messages[0].properties["message_id"] == "0"
    assert messages[0].properties["content_type"] == "application/json"


def test_after_lost_connections_first_occurrences_are_complete_and_in_order(
    account: ReplayAccount, installation: Installation
) -> None:
    publication = publication_of(account, events_of(20_000), as_live=False)
    thread = threading.Thread(target=publication.run, args=(lambda done: None,))
    thread.start()
    cuts = 0
    while thread.is_alive() and cuts < 3:
        if publication.confirmed > 3000 * (cuts + 1) and publication._connection is not None:
            # The socket is shut from below, as a broken network does: nobody says good-bye.
            publication._connection.transport.sock.shutdown(2)
            cuts += 1
        time.sleep(0.002)
    thread.join(60)
    seen = ids_of(arrived(account))
    assert list(dict.fromkeys(seen)) == list(range(20_000))
    assert publication.connections == cuts + 1 == 4
    assert publication.resent >= len(seen) - 20_000


def test_an_account_without_the_right_is_told_at_once(account: ReplayAccount) -> None:
    wrong = ReplayAccount("nobody", account.amqp_uri.replace("//admin:", "//nobody:"), "", "")
    with pytest.raises(CannotPublish, match="refuses the account"):
        publication_of(wrong, events_of(1), as_live=False).run(lambda done: None)


def test_todays_times_are_waited_for(account: ReplayAccount) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.6)
    publication = publication_of(account, events_of(1, at=soon), as_live=True)
    publication.run(lambda done: None)
    assert datetime.now(UTC) >= soon
    [message] = arrived(account)
    assert "ce-history" not in message.headers
