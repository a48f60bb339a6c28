"""Anonymous feedback (T9): whoever looks through everything that is kept finds nobody."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from contracts.gateway import FeedbackSubmitted
from eventkit import broker, topology
from eventkit.database import open_engine
from eventkit.process import ProcessSettings, ServiceProcess
from eventkit.service import define, service_folder
from liaison.installation import Installation
from liaison.publishers import PublisherAccount
from services.tickets.service import TicketsService
from tests.eventkit.desk import admin_of, database_of, eventually
from tests.gateway.door import Door, attributes

SECRET = "E77401"
TOKEN_NAME = "token-of-e77401-zhang"
DEPARTMENT = "只有一人的部门"
TRACES = (SECRET, TOKEN_NAME, DEPARTMENT)
TEXT = "领导从不回复邮件"
_COLUMNS = (
    "select table_schema as place, table_name as name, column_name as field, data_type as kind"
    " from information_schema.columns"
    " join information_schema.tables using (table_schema, table_name)"
    " where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')"
)


class House:
    """A gateway and a tickets service, both real, and their databases."""

    def __init__(self, door: Door, engine: Engine) -> None:
        self.door = door
        self.tickets = engine

    def places_that_know(self, trace: str) -> set[str]:
        """Return every table of both databases in which a text stands, whatever the column's type."""
        found = set()
        for engine in (self.door.engine, self.tickets):
            with engine.connect() as connection:
                columns = connection.execute(text(_COLUMNS)).all()
                found |= {f"{one.place}.{one.name}" for one in columns if _knows(connection, one, trace)}
        return found

    def feedback(self) -> list[Any]:
        with self.tickets.connect() as connection:
            return list(connection.execute(text("select * from feedback order by id")).all())


def _knows(connection: Connection, column: Any, trace: str) -> bool:
    place = f'"{column.place}"."{column.name}"'
    # Bytes are compared as bytes: as text they would be escaped, and nothing would be found.
    is_bytes = column.kind == "bytea"
    value = f'"{column.field}"' if is_bytes else f"convert_to(\"{column.field}\"::text, 'UTF8')"
    statement = f"select exists (select 1 from {place} where position(convert_to(:trace, 'UTF8') in {value}) > 0)"
    return bool(connection.execute(text(statement), {"trace": trace}).scalar_one())


@pytest.fixture
def house(door: Door, installation: Installation) -> Iterator[House]:
    definition, folder = define(TicketsService, {}), service_folder(TicketsService)
    admin = admin_of(installation)
    for parts in topology.partition_parts("tickets", topology.handled_types(definition), 1, 1):
        for part in parts:
            admin.declare(part)
    admin.declare(topology.Queue(broker.rpc_queue("tickets"), quorum=False))
    admin.declare(topology.Binding(broker.RPC, broker.rpc_queue("tickets"), True, "tickets"))
    uri = database_of(installation, "gateway_tickets_real", folder)
    process = ServiceProcess(definition, ProcessSettings(installation.amqp_admin_uri, uri, 0), folder)
    process.start()
    engine = open_engine(uri, name="test")
    eventually(lambda: process.ready.problems() == {}, what="tickets ready")
    yield House(door, engine)
    process.stop(grace_s=5)
    engine.dispose()
    found = admin.found()
    for queue in found.queues:
        if queue.name.startswith("tickets."):
            admin._call("DELETE", f"/queues/{topology.VHOST}/{queue.name}", ok=(204, 404))
    for exchange in found.exchanges:
        if exchange.name.startswith("tickets."):
            admin.remove(exchange)
    admin.close()


@pytest.fixture
def token(door: Door) -> str:
    return door.token("requester", name=TOKEN_NAME, person=SECRET, department=DEPARTMENT, groups=[])


def test_who_submits_anonymously_is_nowhere(
    house: House, door: Door, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    # Given somebody whom nothing but their token knows
    assert [house.places_that_know(trace) for trace in TRACES] == [{"public.token"}] * 3
    # When they submit, twice with the same key and once without, read the status and add something
    body = {"text": TEXT, "anonymous": True}
    answers = [
        door.ask("POST", "/v1/feedback", token, body, **headers).json()
        for headers in ({"idempotency_key": "k1"}, {"idempotency_key": "k1"}, {})
    ]
    assert answers[0] == answers[1]
    code = answers[0]["receipt_code"]
    assert door.ask("POST", "/v1/feedback/status", None, {"code": code}).json()["status_text"] == "已受理"
    assert door.ask("POST", "/v1/feedback/information", None, {"code": code, "text": "上周又有一次"}).status_code == 200
    # Then there are two, and no table of any schema knows person, token or department
    assert len(house.feedback()) == 2
    assert house.places_that_know(TEXT) == {"public.feedback", "eventkit.outbox"}
    assert [house.places_that_know(trace) for trace in TRACES] == [{"public.token"}] * 3
    # Nor what went over the broker, which is what the journal keeps, nor any log
    told = door.emitted(2)
    assert [data["feedback_id"] for _, data in told] == [row.id for row in house.feedback()]
    logged = [str(vars(record)) for record in caplog.records]
    assert [one for one in [str(told), *logged] for trace in TRACES if trace in one] == []
    # And the code stands nowhere either
    assert house.places_that_know(code) == house.places_that_know(code.replace("-", "")) == set()


def test_the_search_finds_who_signs(house: House, door: Door, token: str) -> None:
    assert door.ask("POST", "/v1/feedback", token, {"text": TEXT}, idempotency_key="k1").status_code == 201
    assert house.places_that_know(SECRET) == {
        "public.token",
        "public.feedback",
        "public.feedback_change",
        "eventkit.outbox",
    }
    assert "eventkit.answer" in house.places_that_know(TOKEN_NAME)


@pytest.fixture
def box(door: Door) -> PublisherAccount:
    return door.add("box", FeedbackSubmitted.TYPE)


def test_an_event_without_an_author_names_nobody_although_its_publisher_does(
    house: House, door: Door, box: PublisherAccount
) -> None:
    given = attributes(source="/box", type=FeedbackSubmitted.TYPE, actor=SECRET, externalref="slip-1")
    assert door.post_structured(given, {"text": TEXT, "way": "paper_box"}, account=box).status_code == 202
    eventually(house.feedback)
    told = door.emitted(2)
    assert [headers["ce-type"].split(".")[2] for headers, _ in told] == ["submitted", "received"]
    assert SECRET not in str(told)
    assert house.places_that_know(SECRET) == set()


def test_an_event_with_an_author_keeps_who_sent_it(house: House, door: Door, box: PublisherAccount) -> None:
    given = attributes(source="/box", type=FeedbackSubmitted.TYPE, actor=SECRET, externalref="slip-1")
    assert door.post_structured(given, {"text": TEXT, "author": SECRET}, account=box).status_code == 202
    [row] = eventually(house.feedback)
    assert row.author == SECRET
    assert [headers["ce-actor"] for headers, _ in door.emitted(2)] == [SECRET, SECRET]
