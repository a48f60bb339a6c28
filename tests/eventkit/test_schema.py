"""Migrations: what they make is what the code expects, once, and a service refuses anything else."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, MetaData, text

from eventkit import schema, tables
from eventkit.database import open_engine
from eventkit.errors import UnknownSchema
from liaison import services
from liaison.installation import Installation
from tests.eventkit.desk import database_of


@pytest.fixture
def empty(installation: Installation) -> Iterator[Engine]:
    uri = database_of(installation, "t_schema")
    engine = open_engine(uri, name="test")
    with engine.begin() as connection:
        connection.execute(text("drop schema eventkit cascade; drop table effect"))
    yield engine
    engine.dispose()


def differences(engine: Engine, metadata: MetaData, owned: str) -> list[object]:
    """Return how the database differs from the tables that the code declares, in one schema."""
    with engine.connect() as connection:
        known = {table.name for table in metadata.tables.values() if (table.schema or "public") == owned}
        options = {
            "include_schemas": True,
            "compare_type": True,
            "include_object": lambda item, name, kind, reflected, other: kind != "table" or name in known,
        }
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    # A comment and a server's way to write a default are told apart from a difference that matters.
    return [one for one in found if isinstance(one, tuple) and one[0] in ("add_table", "add_column", "remove_column")]


@pytest.mark.parametrize("service", services.ALL)
def test_the_migrations_make_the_tables_that_the_code_declares(empty: Engine, service: str) -> None:
    schema.migrate(empty, services.folder(service))
    assert differences(empty, tables.metadata, "eventkit") == []
    storage = importlib.import_module(f"services.{service}.storage")
    assert differences(empty, storage.metadata, "public") == []


def test_a_missing_column_would_be_seen(empty: Engine) -> None:
    schema.migrate(empty, services.folder("tickets"))
    with empty.begin() as connection:
        connection.execute(text("alter table ticket drop column solution"))
    storage = importlib.import_module("services.tickets.storage")
    assert differences(empty, storage.metadata, "public") != []


def test_a_second_run_does_nothing_and_two_at_once_wait_for_each_other(empty: Engine) -> None:
    taken: list[list[str]] = []
    folder = services.folder("tickets")
    runners = [threading.Thread(target=lambda: taken.append(schema.migrate(empty, folder))) for _ in range(3)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    nothing, still_nothing, everything = sorted(taken)
    assert (nothing, still_nothing, everything[0]) == ([], [], "e0001")
    assert len(everything) == len(set(everything)) > 2


def test_a_service_refuses_a_schema_that_it_does_not_know(empty: Engine) -> None:
    folder = services.folder("tickets")
    with pytest.raises(UnknownSchema, match="at revision None, this release needs e"):
        schema.check(empty, folder)
    schema.migrate(empty, folder)
    schema.check(empty, folder)
    with empty.begin() as connection:
        connection.execute(text("update alembic_version set version_num = 't9999'"))
    with pytest.raises(UnknownSchema, match="t9999"):
        schema.check(empty, folder)
