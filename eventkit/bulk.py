"""Many rows in one statement, and many statements in one message.

The rows travel as one JSON parameter, and PostgreSQL types them as the table's own. A statement of a table and its
columns has the same shape for any number of rows, so that neither side builds it anew; that takes half the time of a
parameter for each field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    Compiled,
    Connection,
    Dialect,
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


class Script:
    """Statements that change rows and return none, sent to PostgreSQL in one message.

    They run in order, each as if it were sent alone. An error ends the transaction, and names its table and constraint
    like any other. A transaction that writes six tables waits once for the database instead of six times.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._statements: list[str] = []

    def add(self, statement: ClauseElement, parameters: Mapping[str, Any]) -> None:
        """Add a statement, which must live as long as the process: what it compiles to is kept."""
        compiled = _compiled(statement, self._connection.dialect)
        cursor = self._connection.connection.cursor()
        filled = cursor.mogrify(str(compiled), compiled.construct_params(dict(parameters)))
        self._statements.append(filled.decode())

    def run(self) -> None:
        """Send what was added."""
        if self._statements:
            script = ";\n".join(self._statements)
            self._connection.exec_driver_sql(script, execution_options={"no_parameters": True})
            self._statements = []


@cache
def _compiled(statement: ClauseElement, dialect: Dialect) -> Compiled:
    return statement.compile(dialect=dialect)


def insert_rows(script: Script, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows; each is written with the columns that it names."""
    for names, listed in _by_names(rows).items():
        script.add(inserting(table, names), {"rows": written(table, listed)})


def update_rows(script: Script, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Set the named columns of rows that are known by their primary key, which each must hold."""
    for names, listed in _by_names(rows).items():
        script.add(_updating(table, names), {"rows": written(table, listed)})


def delete_rows(script: Script, table: Table, keys: Iterable[Mapping[str, Any]]) -> None:
    """Delete rows by their primary keys."""
    script.add(_deleting(table), {"rows": written(table, list(keys))})


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
