"""Private servers start, keep what they promised through kill -9, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pika
import psycopg2
import pytest

from deploy.local import processes, rabbitmq
from deploy.local.accounts import AccountRights, provision_broker, provision_databases
from deploy.local.program import MARK
from deploy.local.servers import Servers
from liaison.installation import Installation, is_free

EVENTS = "liaison.events"
RIGHTS = [
    AccountRights("tickets", r"^tickets\.", rf"^(tickets\..*|{EVENTS})$", r"^tickets\.", {EVENTS: ("^ticket", "")}),
    AccountRights("notify", r"^notify\.", "", r"^notify\."),
]


@pytest.fixture(scope="module")
def installation(servers: Servers) -> Installation:
    # Twice, since every start of the platform repeats it.
    for _ in range(2):
        provision_databases(servers.installation)
        provision_broker(servers.installation, RIGHTS)
    with closing(connect(servers.installation.amqp_admin_uri)) as admin:
        admin.channel().exchange_declare(EVENTS, "topic", durable=True)
    return servers.installation


def connect(uri: str) -> pika.BlockingConnection:
    return pika.BlockingConnection(pika.URLParameters(uri))


def query(uri: str, sql: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(uri)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


def test_a_service_works_in_its_own_database(installation: Installation) -> None:
    query(installation.database_uri("tickets"), "create table mine (n int)")
    assert query(installation.database_uri("tickets"), "select current_user, count(*) from mine") == [("tickets", 0)]


@pytest.mark.parametrize("database", ["notify", "postgres", "template1"])
def test_a_service_is_refused_in_every_other_database(installation: Installation, database: str) -> None:
    uri = installation.database_uri("tickets").rpartition("/")[0]
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        query(f"{uri}/{database}", "select 1")


def test_a_wrong_password_is_refused_by_the_database(installation: Installation) -> None:
    uri = installation.database_uri("tickets").replace(":", ":wrong", 2).replace("postgresql:wrong", "postgresql:")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        query(uri, "select 1")


def test_the_database_keeps_its_promises_on_disk(installation: Installation) -> None:
    for setting, value in {"fsync": "on", "synchronous_commit": "on", "max_connections": "200"}.items():
        assert query(installation.postgres_admin_uri, f"show {setting}") == [(value,)]


def test_an_account_uses_only_its_own_names_and_routing_keys(installation: Installation) -> None:
    with closing(connect(installation.amqp_uri("tickets"))) as connection:
        channel = connection.channel()
        channel.queue_declare("tickets.in", durable=True, arguments={"x-queue-type": "quorum"})
        channel.basic_publish(EVENTS, "ticket.opened", b"")
        forbidden: Callable[[Any], Any]
        for forbidden in (
            lambda channel: channel.queue_declare("notify.in"),
            lambda channel: channel.exchange_declare("tickets", "topic"),
            lambda channel: channel.queue_bind("tickets.in", EVENTS, "#"),
        ):
            with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"):
                forbidden(connection.channel())


def test_an_account_may_not_publish_another_ones_events(installation: Installation) -> None:
    with closing(connect(installation.amqp_uri("tickets"))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="access to topic"):
            channel.basic_publish(EVENTS, "notification.accepted", b"")


def test_there_is_no_guest(installation: Installation) -> None:
    guest = installation.amqp_admin_uri.replace(f"admin:{installation.passwords['rabbitmq:admin']}", "guest:guest")
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        connect(guest)


def test_a_killed_broker_can_be_started_again_and_keeps_confirmed_messages(
    servers: Servers, installation: Installation
) -> None:
    with closing(connect(installation.amqp_admin_uri)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("tickets.kept", durable=True, arguments={"x-queue-type": "quorum"})
        channel.basic_publish("", "tickets.kept", b"kept", pika.BasicProperties(delivery_mode=2))
    # A quorum queue's name reaches the disk a second after its first messages do (see `kill9`).
    time.sleep(2.5)
    servers.kill9("rabbitmq")
    assert rabbitmq.unhealthy_because(installation) is not None
    servers.start("rabbitmq")
    with closing(connect(installation.amqp_uri("tickets"))) as connection:
        assert connection.channel().basic_get("tickets.kept")[2] == b"kept"


def test_a_killed_database_can_be_started_again_and_keeps_commits(servers: Servers, installation: Installation) -> None:
    uri = installation.database_uri("notify")
    query(uri, "create table kept as select 7 as n")
    servers.kill9("postgresql")
    with pytest.raises(psycopg2.OperationalError):
        query(uri, "select 1")
    servers.start("postgresql")
    assert query(uri, "select n from kept") == [(7,)]


def test_a_frozen_database_answers_nobody_until_it_is_resumed(servers: Servers, installation: Installation) -> None:
    uri = installation.database_uri("notify")
    with closing(psycopg2.connect(uri)) as connection, connection.cursor() as cursor:
        servers.pause("postgresql")
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(uri, connect_timeout=2)
        servers.resume("postgresql")
        cursor.execute("select 1")
        assert cursor.fetchall() == [(1,)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_the_test_run_is_ended(number: signal.Signals) -> None:
    # Given another run with a server, in a process of its own
    code = (
        "import signal, sys, time\nfrom deploy.local.servers import private_servers\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with private_servers(parts=['postgresql']) as it:\n    print(it.home, flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    ) as run:
        assert run.stdout is not None
        home = run.stdout.readline().strip()
        started = processes.marked(MARK, home)
        assert started
        # When it is ended, even without a chance to clean up
        os.kill(run.pid, number)
    # Then its processes and its folder go
    assert processes.wait_gone(started, 10) == []
    _wait_until_gone(Path(home))


def _wait_until_gone(folder: Path) -> None:
    while folder.exists():  # pytest's own timeout ends this
        time.sleep(0.02)


def test_no_epmd_broker_or_database_outlives_an_orderly_end() -> None:
    code = (
        "from deploy.local.servers import private_servers\n"
        "with private_servers() as it:\n    print(it.home, it.ports['rabbitmq_epmd'])\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    home, epmd_port = ended.stdout.split()
    assert is_free(int(epmd_port))
    assert processes.marked(MARK, home) == []
    assert not Path(home).exists()
