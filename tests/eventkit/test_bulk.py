"""Many rows in one statement and many statements in one message are as if each had been sent alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Integer, LargeBinary, MetaData, Table, Text, event, text
from sqlalchemy.exc import IntegrityError

from eventkit.bulk import Script, delete_rows, insert_rows, update_rows
from eventkit.database import what_failed

metadata = MetaData()
item = Table(
    "item", metadata, Column("name", Text, primary_key=True), Column("size", Integer), Column("is", LargeBinary)
)
tale = Table("tale", metadata, Column("item", Text, primary_key=True), Column("body", Text, nullable=False))

_AS_TOLD = text("update tale set body = replace(body, '100%', :share) where item = :item")


@pytest.fixture
def connection(desk: Any) -> Iterator[Connection]:
    service = desk()
    metadata.create_all(service.engine)
    with service.engine.connect() as opened:
        opened.execute(text("insert into item values ('a', 1, null), ('b', 2, null)"))
        yield opened
        opened.rollback()


def rows_of(connection: Connection, table: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(text(f"select * from {table} order by 1"))]


def test_statements_are_sent_in_one_message_and_run_in_their_order(connection: Connection) -> None:
    sent: list[str] = []
    event.listen(connection, "before_cursor_execute", lambda *call: sent.append(call[2]))
    script = Script(connection)
    update_rows(script, item, [{"name": "a", "size": 10}])
    delete_rows(script, item, [{"name": "b"}])
    insert_rows(script, item, [{"name": "b", "size": 20, "is": b"\x00\xff"}, {"name": "c", "size": 3}])
    assert not sent
    script.run()
    assert len(sent) == 1
    found = [(name, size, None if kept is None else bytes(kept)) for name, size, kept in rows_of(connection, "item")]
    assert found == [("a", 10, None), ("b", 20, b"\x00\xff"), ("c", 3, None)]


def test_what_was_sent_is_not_sent_again(connection: Connection) -> None:
    script = Script(connection)
    insert_rows(script, item, [{"name": "c"}])
    script.run()
    script.run()
    assert [name for name, *_ in rows_of(connection, "item")] == ["a", "b", "c"]


def test_signs_that_mean_something_in_a_statement_are_only_text_in_a_value(connection: Connection) -> None:
    script = Script(connection)
    body = "100% of %s; '; drop table item; -- \\ :item %(rows)s 卡纸"
    insert_rows(script, tale, [{"item": "a", "body": body}])
    script.add(_AS_TOLD, {"item": "a", "share": "50%"})
    script.run()
    assert rows_of(connection, "tale") == [("a", body.replace("100%", "50%"))]
    assert len(rows_of(connection, "item")) == 2


def test_an_error_names_its_table_and_column_and_nothing_of_the_message_is_kept(connection: Connection) -> None:
    script = Script(connection)
    insert_rows(script, item, [{"name": "c"}])
    insert_rows(script, tale, [{"item": "a", "body": None}])
    insert_rows(script, item, [{"name": "d"}])
    with pytest.raises(IntegrityError) as failed:
        script.run()
    assert what_failed(failed.value) == "NotNullViolation, table tale, column body"
    connection.rollback()
    assert rows_of(connection, "item") == []
