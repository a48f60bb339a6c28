"""A person is erased from everywhere, and the numbers stay the same."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from liaison import services
from liaison.metrics_rebuild import metrics as metrics_command
from liaison.people import forget_person
from liaison.publishers import PublisherAccount, add_publisher
from tests.flows.test_from_door_to_effect import person, post
from tests.system import System

SECRET = "龙傲天"
MAIL = "longaotian@example.invalid"


@pytest.fixture(scope="module")
def erp(system: System) -> PublisherAccount:
    may = ["liaison.ticket.requested.v1", "liaison.person.changed.v1"]
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
            in_bytes = _bytes_of(system, service, table.name)
            statement = f"select to_jsonb(t)::text || coalesce({in_bytes}, '') as whole from {table.name} t"
            rows: list[Any] = system.rows(service, statement)
            if any(SECRET in row.whole or MAIL in row.whole for row in rows):
                found.append(f"{service}: {table.name}")
    return found


def _bytes_of(system: System, service: str, table: str) -> str:
    schema, _, name = table.partition(".")
    columns = system.rows(
        service,
        "select column_name from information_schema.columns where table_schema = :s and table_name = :t"
        " and data_type = 'bytea'",
        s=schema,
        t=name,
    )
    return " || ".join(f"encode({row.column_name}, 'escape')" for row in columns) or "''"


def test_a_forgotten_person_is_nowhere_and_the_counts_stay(system: System, erp: PublisherAccount) -> None:
    # Given a person who is known everywhere and asked for something
    escaped = SECRET.encode().decode("latin-1")
    assert escaped
    post(system, erp, "person.changed", "p-E9001", person("E9001", SECRET, email=MAIL))
    post(
        system, erp, "ticket.requested", "t-9", {"title": "帮忙", "description": f"我是 {SECRET}", "requester": "E9001"}
    )
    system.settle()
    assert {one.partition(":")[0] for one in places_that_know(system)} >= {"notify"}
    url = f"http://127.0.0.1:{system.installation.page_port('metrics')}/facts"
    # When the person is erased, and the numbers are counted again
    changed = forget_person(system.installation, "E9001")
    # Then no table knows the name or the address
    assert changed["metrics"] >= 1
    assert places_that_know(system) == []
    assert metrics_command is not None
    assert httpx.get(url).status_code == 200
