"""What is wrong with services of the watched system, so that the platform's gauges have more to show than 0."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

import amqp

from eventkit import broker
from tests.system import System

#: Service whose relay is kept from leading, so that what lies in its outbox stays there.
MUTE = "tickets"
_HELD = (
    "insert into eventkit.held_event (source, id, type, partitionkey, state, reason, headers, body, arrived_at)"
    " values ('/erp', :id, 'liaison.ticket.requested.v1', :id, :state, 'a test', '{}', '',"
    " now() - make_interval(secs => :age_s))"
)
_SUBJECT = (
    "insert into eventkit.held_subject (partitionkey, reason, due_at) values (:id, 'a test',"
    " case when :state = 'held' then now() + interval '1 day' end)"
)
_UNSENT = (
    "insert into eventkit.outbox (id, aggregatetype, aggregateid, type, headers, payload, emitted_at)"
    " select 'test-' || n, '/liaison/tickets', 'T-1', 'liaison.ticket.closed.v1', '{}', '',"
    " now() - make_interval(secs => 500 + n)"
    " from generate_series(1, 4) as n"
)
# Of a kind that nobody calls, so that nobody takes it up.
_OVERDUE = (
    "insert into eventkit.timer (kind, key, subject, due_at, payload, is_job)"
    " values ('of_a_test', 'x', 'x', now() - interval '700 seconds', '{}', true)"
)
_OPEN_DELIVERIES = (
    "insert into delivery (id, source, event_id, recipient, medium, rule, template, priority, after_crash, about_type,"
    " about_subject, about_data, state, reason, code, attempts, unclear_attempts, by_desk, arrived_at, created_at)"
    " select 'test-' || n, '/x', 'e' || n, 'E1', 'mail', 'task', 'task', 2, 'repeat', 'x', 'x', '{}',"
    " case when n = 1 then 'pending' else 'waiting_contact' end, '', 0, 0, 0, false, now(), now()"
    " from generate_series(1, 3) as n"
)


@contextmanager
def muted(system: System) -> Iterator[None]:
    """Keep the relay of one service from leading: it must not run yet when this begins."""
    parts = urlsplit(system.installation.amqp_admin_uri)
    connection = amqp.Connection(
        host=f"{parts.hostname}:{parts.port}",
        userid=unquote(str(parts.username)),
        password=unquote(str(parts.password)),
        virtual_host=unquote(parts.path[1:]),
        heartbeat=0,
    )
    connection.connect()
    try:
        connection.channel().queue_declare(broker.relay_lock(MUTE), exclusive=True, auto_delete=True)
        yield
    finally:
        broker.close_quietly(connection)


def make_unwell(system: System) -> None:
    """Leave events that wait and that nobody can handle, events that do not leave, an overdue job, open messages."""
    for service, state, count, age_s in (
        ("tickets", "held", 2, 300),
        ("tickets", "dead", 3, 400),
        ("knowledge", "dead", 1, 200),
    ):
        for number in range(count):
            about = {"id": f"{state}-{number}", "state": state}
            system.change(service, _SUBJECT, **about)
            system.change(service, _HELD, **about, age_s=age_s + number)
    system.change(MUTE, _UNSENT)
    system.change("notify", _OVERDUE)
    system.change("notify", _OPEN_DELIVERIES)
    # A change that the search server, which is not there, has not got; no job is made for it.
    system.change(
        "knowledge",
        "insert into index_entry (id, kind, version, indexed_version, behind_since)"
        " values ('A-1', 'article', 1, 0, now() - interval '600 seconds')",
    )
