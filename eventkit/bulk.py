"""Many rows in one statement: the rows travel as one JSON parameter, and PostgreSQL types them as the table's own.

A statement of a table and its columns has the same shape for any number of rows, so that neither side builds or
plans it anew; that takes half the time of a parameter for each field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Table,
    TableValuedAlias,
    Text,
    bindparam,
    cast,
    column,
    delete,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert

Names = tuple[str, ...]


def insert_rows(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows; each is written with the columns that it names."""
    for names, listed in _by_names(rows).items():
        connection.execute(inserting(table, names), {"rows": written(table, listed)})


def update_rows(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Set the named columns of rows that are known by their primary key, which each must hold."""
    for names, listed in _by_names(rows).items():
        connection.execute(_updating(table, names), {"rows": written(table, listed)})


def delete_rows(connection: Connection, table: Table, keys: Iterable[Mapping[str, Any]]) -> None:
    """Delete rows by their primary keys."""
    connection.execute(_deleting(table), {"rows": written(table, list(keys))})


def _by_names(rows: Iterable[Mapping[str, Any]]) -> dict[Names, list[Mapping[str, Any]]]:
    groups: dict[Names, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(sorted(row)), []).append(row)
    return groups


@cache
def inserting(table: Table, names: Names) -> Insert:
    """Return the statement that inserts the rows of its parameter `rows`, in their order."""
    new = _rows_of(table)
    listed = select(*(new.c[name] for name in names)).order_by(new.c.ordinality)
    return insert(table).from_select(list(names), listed)


@cache
def _updating(table: Table, names: Names) -> Any:
    new, keys = _rows_of(table), [key.name for key in table.primary_key]
    values = {name: new.c[name] for name in names if name not in keys}
    return update(table).values(values).where(*(table.c[key] == new.c[key] for key in keys))


@cache
def _deleting(table: Table) -> Any:
    new = _rows_of(table)
    return delete(table).where(*(table.c[key.name] == new.c[key.name] for key in table.primary_key))


def _rows_of(table: Table) -> TableValuedAlias:
    row_type: ColumnElement[Any] = literal_column(f"cast(null as {table.schema or 'public'}.{table.name})")
    rows = cast(bindparam("rows", type_=Text), JSONB)
    columns = [column(each.name, each.type) for each in table.columns]
    return func.jsonb_populate_recordset(row_type, rows).table_valued(
        *columns, with_ordinality="ordinality", name="new"
    )


def written(table: Table, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as the statement's parameter."""
    if binary := [each.name for each in table.columns if isinstance(each.type, LargeBinary)]:
        rows = [{**row, **{name: _hex(row.get(name)) for name in binary if name in row}} for row in rows]
    return msgspec.json.encode(rows).decode()


def _hex(value: bytes | None) -> str | None:
    return None if value is None else "\\x" + value.hex()
