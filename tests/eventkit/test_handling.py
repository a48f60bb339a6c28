"""Promises 1, 3 and 4 at one consumer: once, in order, nothing vanishes."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from time import sleep
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, text
from sqlalchemy.exc import DBAPIError, OperationalError

from contracts.gateway import TicketRequested
from eventkit import held
from eventkit.database import open_engine
from eventkit.envelope import Event, encode_data, to_headers
from eventkit.errors import RuleBroken, TryLater
from eventkit.handling import EventHandling
from eventkit.inbox import receive
from eventkit.telemetry import JsonFormatter, ServiceMetrics
from eventkit.work import Work
from liaison.installation import Installation
from tests.eventkit.desk import definition, eventually, record_and_tell, record_effect, request

EFFECT = Table("effect", MetaData(), Column("position", BigInteger, primary_key=True), Column("title", Text))


def test_an_event_published_twice_has_one_effect(desk: Any) -> None:
    service = desk(handle=record_and_tell)
    event = request("INC1", 1)
    service.publish(event, event)
    service.start()
    service.publish(event)
    service.publish(request("INC2", 1))
    eventually(lambda: len(service.effects()) == 2)
    assert [subject for subject, _ in service.effects()] == ["INC1", "INC2"]
    assert service.one("select count(*) from eventkit.outbox") == 2


def test_events_of_a_subject_are_handled_in_order(desk: Any) -> None:
    service = desk()
    service.publish(*[request(f"INC{n % 5}", n) for n in range(1000)])
    service.start()
    eventually(lambda: len(service.effects()) == 1000)
    inversions = service.one(
        "select count(*) from (select sequence < lag(sequence) over (partition by subject order by position) as back"
        " from effect) as e where back"
    )
    assert inversions == 0


def refuse_bad(work: Work, event: Event[TicketRequested]) -> None:
    """Refuse before anything is written, as use cases do that only collect rows."""
    if event.data.title == "bad":
        raise RuleBroken("bad title")
    record_effect(work, event)


def test_an_event_that_breaks_a_rule_is_dead_and_holds_only_its_own_subject(desk: Any) -> None:
    service = desk(handle=refuse_bad)
    service.publish(request("A", 1), request("A", 2, "bad"), request("B", 1), request("A", 3), request("B", 2))
    service.start()
    eventually(lambda: service.one("select count(*) from eventkit.inbox") == 5)
    assert service.effects() == [("A", "打印机坏了"), ("B", "打印机坏了"), ("B", "打印机坏了")]
    with service.engine.connect() as connection:
        [dead] = held.listed(connection, state="dead")
        assert dead.reason == "RuleBroken: bad title"
        assert dead.waiting == 1


def test_a_discarded_dead_event_lets_the_subject_go_on(desk: Any) -> None:
    service = desk(handle=refuse_bad)
    service.publish(request("A", 1, "bad"), request("A", 2, "second"), request("A", 3, "third"))
    service.start()
    eventually(lambda: service.one("select count(*) from eventkit.held_event") == 3)
    position = service.one("select position from eventkit.held_event where state = 'dead'")
    held.discard(service.engine, position)
    eventually(lambda: service.effects() == [("A", "second"), ("A", "third")])
    eventually(lambda: service.one("select count(*) from eventkit.held_subject") == 0)
    assert service.one("select state from eventkit.inbox where id not in (select event_id from effect)") == "discarded"


def test_a_replayed_dead_event_is_handled_in_its_place(desk: Any) -> None:
    forgiving: list[bool] = []

    def handle(work: Work, event: Event[TicketRequested]) -> None:
        if event.data.title == "bad" and not forgiving:
            raise RuleBroken("not yet")
        record_effect(work, event)

    service = desk(handle=handle)
    service.publish(request("A", 1, "bad"), request("A", 2, "second"))
    service.start()
    eventually(lambda: service.one("select count(*) from eventkit.held_event") == 2)
    forgiving.append(True)
    held.replay(service.engine, service.one("select min(position) from eventkit.held_event"))
    eventually(lambda: service.effects() == [("A", "bad"), ("A", "second")])


def test_an_event_that_must_wait_is_tried_again_and_later_ones_wait_behind_it(desk: Any) -> None:
    tries: list[str] = []

    def handle(work: Work, event: Event[TicketRequested]) -> None:
        tries.append(event.data.title)
        if event.data.title == "early" and tries.count("early") < 3:
            raise TryLater("the other side is not there yet", delay_s=0.1)
        record_effect(work, event)

    service = desk(handle=handle)
    service.publish(request("A", 1, "early"), request("A", 2, "late"), request("B", 1, "other"))
    service.start()
    eventually(lambda: len(service.effects()) == 3)
    assert [title for subject, title in service.effects() if subject == "A"] == ["early", "late"]
    eventually(lambda: service.one("select count(*) from eventkit.held_subject") == 0)


def test_what_cannot_be_read_is_kept_with_its_bytes_and_the_reason(desk: Any) -> None:
    service = desk()
    good = request("A", 1)
    headers, other = to_headers(request("B", 1)), to_headers(request("C", 1))
    service.publish_raw((headers, b"\xff not json"), (other | {"ce-time": "yesterday"}, b"{}"))
    service.publish(good)
    service.start()
    eventually(lambda: service.effects() == [("A", "打印机坏了")])
    with service.engine.connect() as connection:
        reasons = {one.body: one.reason for one in held.listed(connection)}
    assert "not JSON" in reasons[b"\xff not json"]
    assert "yesterday" in reasons[b"{}"]


def test_a_handler_that_breaks_the_transaction_takes_nobody_along(desk: Any) -> None:
    def handle(work: Work, event: Event[TicketRequested]) -> None:
        record_effect(work, event)
        if event.data.title == "bad":
            work.connection.execute(text("select 1 / 0"))

    service = desk(handle=handle)
    service.publish(*[request(f"S{n}", 1, "bad" if n == 50 else "good") for n in range(100)])
    service.start()
    eventually(lambda: len(service.effects()) == 99)
    with service.engine.connect() as connection:
        [dead] = held.listed(connection)
    assert dead.reason == "DivisionByZero"


def test_no_event_is_blamed_for_what_goes_wrong_inside_the_database(desk: Any) -> None:
    is_well: list[bool] = []

    def handle(work: Work, event: Event[TicketRequested]) -> None:
        if not is_well:
            failing = "do $$ begin raise exception 'could not extend file: Disk quota exceeded'"
            work.connection.execute(text(f"{failing} using errcode = 'XX000'; end $$"))
        record_effect(work, event)

    service = desk(handle=handle)
    service.publish(*[request(f"S{n}", 1) for n in range(20)])
    process = service.start()
    eventually(lambda: "database" in process.ready.problems().get("consumers", ""))
    is_well.append(True)
    eventually(lambda: len(service.effects()) == 20)
    assert service.one("select count(*) from eventkit.held_event") == 0


def test_an_event_of_a_type_that_nobody_handles_is_acknowledged_and_counted(desk: Any) -> None:
    service = desk()
    stray = request("A", 1)
    headers = to_headers(stray) | {"ce-type": "liaison.unknown.happened.v1"}
    process = service.start()
    service.publish_raw((headers, encode_data(stray.data)))
    eventually(lambda: process.metrics.unhandled._value.get() == 1)
    assert service.one("select count(*) from eventkit.inbox") == 0


def test_text_that_no_database_can_hold_is_dead_and_takes_nobody_along(desk: Any) -> None:
    service = desk()
    headers, nul = to_headers(request("A", 1)), to_headers(request("B", 1))
    service.publish_raw((headers, b'{"title": "a\\u0000b"}'), (nul | {"ce-id": "x\x00y"}, b'{"title": "z"}'))
    service.publish(request("C", 1, r"a literal \u0000 is fine"))
    service.start()
    eventually(lambda: service.effects() == [("C", r"a literal \u0000 is fine")])
    reasons = [row.reason for row in service.rows("select reason from eventkit.held_event where state = 'dead'")]
    assert len(reasons) == 2
    assert all("U+0000" in reason for reason in reasons)


def test_a_row_that_cannot_be_written_is_blamed_on_its_event(desk: Any) -> None:
    def handle(work: Work, event: Event[TicketRequested]) -> None:
        record_effect(work, event)
        if event.data.title == "bad":
            work.on_undo(lambda: None)
            work._events.append(object())  # type: ignore[arg-type]

    service = desk(handle=handle)
    service.publish(*[request(f"S{n}", 1, "bad" if n == 3 else "good") for n in range(10)])
    service.start()
    eventually(lambda: len(service.effects()) == 9)
    assert service.one("select count(*) from eventkit.held_event where state = 'dead'") == 1


def test_a_row_that_another_process_wrote_first_is_found_at_the_second_try(desk: Any) -> None:
    runs: list[str] = []

    def handle(work: Work, event: Event[TicketRequested]) -> None:
        found = work.rows(EFFECT).get(7)
        runs.append("found" if found else "absent")
        if found is None:
            with service.engine.begin() as other:
                other.execute(text("insert into effect (position, title) values (7, 'theirs')"))
            work.rows(EFFECT).add(position=7, title="ours")
        else:
            work.rows(EFFECT).change(found, title="ours")

    service = desk(handle=handle)
    service.publish(request("A", 1))
    service.start()
    eventually(lambda: service.one("select count(*) from eventkit.inbox where state = 'handled'"))
    assert runs == ["absent", "found"]
    assert service.one("select title from effect where position = 7") == "ours"


def test_a_try_that_fails_while_the_process_lives_does_not_count_as_a_death(desk: Any) -> None:
    service = desk()
    process_metrics = ServiceMetrics("test")
    failing = [True]

    def handle(work: Work, event: Event[TicketRequested]) -> None:
        if failing[0]:
            raise OperationalError("select 1", {}, Exception("the database is away"))
        record_effect(work, event)

    handling = EventHandling(definition(service.definition.name, handle), service.engine, process_metrics)
    event = request("A", 1)
    batch = [receive(to_headers(event), encode_data(event.data))]
    for _ in range(10):
        with pytest.raises(OperationalError):
            handling.handle(batch, redelivered=True)
    failing[0] = False
    handling.handle(batch, redelivered=True)
    assert len(service.effects()) == 1
    assert service.one("select count(*) from eventkit.attempt") == 0


def test_where_a_service_gathers_events_those_that_come_soon_after_share_a_transaction(desk: Any) -> None:
    service = desk(gather_s=2.0)
    service.start()
    service.publish(request("A", 1))
    sleep(0.5)
    service.publish(request("B", 1))
    eventually(lambda: len(service.effects()) == 2)
    assert service.one("select count(distinct cast(xmin as text)) from effect") == 1


def test_why_an_event_is_dead_names_no_value_of_it(desk: Any) -> None:
    def store_badly(work: Work, event: Event[TicketRequested]) -> None:
        statement = {
            "type": "insert into effect (sequence) values (cast(:title as bigint))",
            "detail": "insert into effect (position, title) values (1, :title), (1, :title)",
        }[event.subject or ""]
        work.connection.execute(text(statement), {"title": event.data.title})

    service = desk(handle=store_badly)
    service.publish(request("type", 1, "张三的工资"), request("detail", 1, "张三的工资"))
    service.start()
    eventually(lambda: service.one("select count(*) from eventkit.held_event") == 2)
    assert [row.reason for row in service.rows("select reason from eventkit.held_event order by position")] == [
        "InvalidTextRepresentation",
        "UniqueViolation, table effect, constraint effect_pkey",
    ]


def test_a_stack_trace_in_the_log_holds_no_value_of_a_row(installation: Installation) -> None:
    engine = open_engine(installation.postgres_admin_uri, name="test")
    for statement in ("select cast(:t as bigint)", "select cast('{' || :t as json)", "select cast(:t || '!' as date)"):
        try:
            with engine.connect() as connection:
                connection.execute(text(statement), {"t": "张三"})
        except DBAPIError:
            record = logging.LogRecord("liaison", logging.ERROR, "", 0, "loop failed", (), sys.exc_info())
        line = JsonFormatter().format(record)
        assert "psycopg2.errors" in line
        assert "张三" not in line
    engine.dispose()


def test_a_commit_that_fails_is_not_taken_for_a_process_that_died(desk: Any) -> None:
    service = desk()
    with service.engine.begin() as connection:
        connection.execute(text("create sequence failed_commits"))
        connection.execute(
            text(
                "create function fail() returns trigger language plpgsql as $$ begin"
                " if nextval('failed_commits') < 8 then perform pg_terminate_backend(pg_backend_pid()); end if;"
                " return null; end $$"
            )
        )
        connection.execute(
            text(
                "create constraint trigger fail_commit after insert on effect deferrable initially deferred"
                " for each row execute function fail()"
            )
        )
    # Given an event that was delivered again, so that it might be one that kills the process
    handling = EventHandling(service.definition, service.engine, ServiceMetrics(service.definition.name))
    event = request("A", 1)
    received = receive(to_headers(event), encode_data(event.data))
    while not service.effects():
        with suppress(DBAPIError):
            handling.handle([received], redelivered=True)
    assert service.one("select state from eventkit.inbox") == "handled"
