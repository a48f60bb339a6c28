"""A person is erased from everywhere, and the numbers stay the same."""

from __future__ import annotations

import httpx
import pytest

from eventkit.database import open_engine
from liaison import services
from liaison.metrics_rebuild import metrics as metrics_command
from liaison.people import forget_person
from liaison.publishers import PublisherAccount, add_publisher
from liaison.tokens import new_token
from tests.eventkit.desk import eventually
from tests.flows.test_from_door_to_effect import person, post
from tests.system import System

SECRET = "龙傲天"
MAIL = "longaotian@example.invalid"


@pytest.fixture(scope="module")
def erp(system: System) -> PublisherAccount:
    may = ["liaison.ticket.requested.v1", "liaison.person.changed.v1", "liaison.feedback.submitted.v1"]
    return add_publisher(system.installation, "erp", may)


def places_that_know(system: System) -> list[str]:
    """Return every table of every database in which the name or the address still stands."""
    found = []
    for service in services.ALL:
        tables = system.rows(
            service,
            "select table_schema || '.' || table_name as name from information_schema.tables"
            " where table_schema in ('public', 'eventkit') and table_type = 'BASE TABLE'",
        )
        for table in tables:
            binary = _columns(system, service, table.name, "bytea")
            in_bytes = [
                f"position(convert_to(:{what}, 'UTF8') in {c}) > 0" for c in binary for what in ("name", "mail")
            ]
            in_text = [f"position(:{what} in to_jsonb(t)::text) > 0" for what in ("name", "mail")]
            statement = f"select count(*) from {table.name} t where {' or '.join(in_text + in_bytes)}"
            if system.one(service, statement, name=SECRET, mail=MAIL):
                found.append(f"{service}: {table.name}")
    return found


def _columns(system: System, service: str, table: str, data_type: str) -> list[str]:
    schema, _, name = table.partition(".")
    rows = system.rows(
        service,
        "select column_name from information_schema.columns where table_schema = :s and table_name = :t"
        " and data_type = :d",
        s=schema,
        t=name,
        d=data_type,
    )
    return [row.column_name for row in rows]


def write_as(system: System, number: str, ticket: str, body: str) -> None:
    engine = open_engine(system.installation.database_uri("gateway"), name="test")
    with engine.begin() as connection:
        token = new_token(connection, "处理人", "admin", person=number)
    engine.dispose()
    url = f"{system.installation.gateway_url}/v1/tickets/{ticket}/comments"
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.post(url, json={"body": body}, headers=headers, timeout=10).status_code == 201


def test_a_forgotten_person_is_nowhere_and_the_counts_stay(system: System, erp: PublisherAccount) -> None:
    # Given a person who is known everywhere, asked for something and said what they think
    post(system, erp, "person.changed", "p-E9001", person("E9001", SECRET, email=MAIL))
    post(
        system, erp, "ticket.requested", "t-9", {"title": "帮忙", "description": f"我是 {SECRET}", "requester": "E9001"}
    )
    post(system, erp, "feedback.submitted", "f-9", {"text": f"{SECRET} 说食堂太远", "author": "E9001"})
    # And wrote on the ticket of somebody else
    post(system, erp, "person.changed", "p-E2009", person("E2009", "别人"))
    post(system, erp, "ticket.requested", "t-10", {"title": "别人的", "requester": "E2009"})
    [other] = eventually(lambda: system.rows("tickets", "select number from ticket where title = '别人的'"))
    write_as(system, "E9001", other.number, f"{SECRET} 看过了")
    system.settle()
    missing = "select count(*) from missing_answer where kind = 'feedback'"
    eventually(lambda: system.one("knowledge", missing) == 1, what="an answer to it is missing")
    known = places_that_know(system)
    assert {one.partition(":")[0] for one in known} == {"gateway", "tickets", "knowledge", "notify", "metrics"}
    # And in bytes as well as in text
    assert {"notify: public.person", "metrics: public.journal", "gateway: eventkit.outbox"} <= set(known)
    url = f"http://127.0.0.1:{system.installation.page_port('metrics')}/facts"
    # When the person is erased, and the numbers are counted again
    changed = forget_person(system.installation, "E9001")
    # Then no table knows the name or the address
    assert changed["metrics"] >= 1
    assert places_that_know(system) == []
    assert metrics_command is not None
    assert httpx.get(url).status_code == 200
