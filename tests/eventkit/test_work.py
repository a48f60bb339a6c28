"""The unit of work: what is collected is written together, and one event's part can be taken back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Column, Identity, Integer, MetaData, Table, Text, event, text

from eventkit.work import Row, Rows, Work

metadata = MetaData()
thing = Table("thing", metadata, Column("name", Text, primary_key=True), Column("tag", Text), Column("size", Integer))
line = Table("line", metadata, Column("id", Integer, Identity(always=True), primary_key=True), Column("body", Text))
NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def service(desk: Any) -> Any:
    service = desk()
    metadata.create_all(service.engine)
    with service.engine.begin() as connection:
        connection.execute(text("insert into thing values ('a', 't-a', 1), ('b', 't-b', 2)"))
    return service


@pytest.fixture
def work(service: Any) -> Iterator[Work]:
    with service.engine.connect() as connection:
        yield Work(connection, source="/test", now=NOW)
        connection.rollback()


def stored(work: Work) -> list[tuple[str, str, int]]:
    return [tuple(row) for row in work.connection.execute(text("select * from thing order by name"))]


def known(rows: Rows, value: str, column: str | None = None) -> Row:
    """Return a row that is there."""
    row = rows.get(value, column=column)
    assert row is not None
    return row


def test_added_changed_and_removed_rows_are_written_together(work: Work) -> None:
    rows = work.rows(thing)
    rows.add(name="c", tag="t-c", size=3)
    rows.change(known(rows, "a"), size=10)
    rows.remove(known(rows, "b"))
    assert stored(work) == [("a", "t-a", 1), ("b", "t-b", 2)]
    work.flush()
    assert stored(work) == [("a", "t-a", 10), ("c", "t-c", 3)]


def test_what_was_added_is_found_again_before_it_is_written(work: Work) -> None:
    rows = work.rows(thing)
    assert rows.get("t-c", column="tag") is None
    rows.add(name="c", tag="t-c", size=3)
    found = rows.get("t-c", column="tag")
    assert found is not None
    assert found["name"] == "c"


def test_a_changed_row_is_found_by_what_it_has_now_and_by_what_it_had_again_when_that_is_undone(work: Work) -> None:
    rows = work.rows(thing)
    first = known(rows, "t-a", "tag")
    assert rows.get("t-new", column="tag") is None
    mark = work.mark()
    rows.change(first, tag="t-new")
    assert rows.get("t-a", column="tag") is None
    assert rows.get("t-new", column="tag") == {"name": "a", "tag": "t-new", "size": 1}
    work.undo(mark)
    assert rows.get("t-new", column="tag") is None
    assert rows.get("t-a", column="tag") == first


def test_a_new_row_may_have_what_another_gave_up_in_the_same_transaction(work: Work) -> None:
    work.connection.execute(text("create unique index on thing (tag)"))
    rows = work.rows(thing)
    rows.change(known(rows, "t-a", "tag"), tag=None)
    rows.add(name="c", tag="t-a", size=3)
    work.flush()
    assert ("c", "t-a", 3) in stored(work)


def test_undo_takes_back_what_came_after_the_mark_and_nothing_before_it(work: Work) -> None:
    rows, lines = work.rows(thing), work.rows(line)
    rows.change(known(rows, "a"), size=5)
    lines.append(body="kept")
    mark = work.mark()
    rows.change(known(rows, "a"), size=6, tag="changed")
    rows.change(known(rows, "b"), size=7)
    rows.add(name="c", tag="t-c", size=3)
    rows.remove(known(rows, "b"))
    lines.append(body="taken back")
    work.arm("ring", key="k", subject="s", due_at=NOW, payload={})
    work.undo(mark)
    work.flush()
    assert stored(work) == [("a", "t-a", 5), ("b", "t-b", 2)]
    assert [row.body for row in work.connection.execute(text("select body from line"))] == ["kept"]
    assert work.connection.execute(text("select count(*) from eventkit.timer")).scalar_one() == 0
    assert rows.get("t-c", column="tag") is None


def test_a_row_that_is_there_cannot_be_added_again(work: Work) -> None:
    rows = work.rows(thing)
    rows.preload(["a"])
    with pytest.raises(ValueError, match="has \\('a',\\) already"):
        rows.add(name="a", tag="x", size=1)


def test_the_last_word_on_a_timer_counts(work: Work) -> None:
    work.arm("ring", key="k", subject="s", due_at=NOW, payload={})
    work.cancel("ring", key="k")
    work.cancel("ring", key="j")
    work.arm("ring", key="j", subject="s", due_at=NOW, payload={})
    work.flush()
    armed = [row.key for row in work.connection.execute(text("select key from eventkit.timer"))]
    assert armed == ["j"]


def test_a_batch_of_any_size_reads_its_rows_in_one_statement(work: Work) -> None:
    statements: list[str] = []
    event.listen(work.connection, "before_cursor_execute", lambda *call: statements.append(call[2]))
    rows = work.rows(thing)
    rows.preload(["a", "b", "nothing"])
    assert [rows.get(name) is not None for name in ("a", "b", "nothing")] == [True, True, False]
    assert len(statements) == 1
