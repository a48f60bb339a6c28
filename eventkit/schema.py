"""Migrations: one runner for eventkit's tables and a service's own, under a lock; and the check at start."""

from __future__ import annotations

from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from eventkit.errors import UnknownSchema
from eventkit.tables import SCHEMA

_OWN = Path(__file__).parent / "migrations"
_LOCK = 0x11A1504


def migrate(engine: Engine, service_folder: Path | None) -> list[str]:
    """Bring a service's database to the newest revision and return the names of the steps taken.

    service_folder: the service's package, whose `migrations/versions` are run after eventkit's own; None for none.
    A second runner waits for the first. Everything happens in one transaction, or nothing does.
    """
    taken: list[str] = []
    with engine.begin() as connection:
        connection.execute(text("set local statement_timeout = 0"))
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        connection.execute(text(f"create schema if not exists {SCHEMA}"))
        for folder, schema in _branches(service_folder):
            script = ScriptDirectory(str(folder))
            context = _context(connection, schema, script)
            before = context.get_current_revision()
            with Operations.context(context):
                context.run_migrations()
            taken += [step.revision for step in script.iterate_revisions("head", before) if step.revision != before][
                ::-1
            ]
    return taken


def check(engine: Engine, service_folder: Path | None) -> None:
    """Raise UnknownSchema unless the database is at exactly the revisions that this release was written for."""
    with engine.connect() as connection:
        for folder, schema in _branches(service_folder):
            script = ScriptDirectory(str(folder))
            found, wanted = _context(connection, schema, script).get_current_revision(), script.get_current_head()
            if found != wanted:
                raise UnknownSchema(
                    f"{engine.url.database}, schema {schema}: at revision {found}, this release needs {wanted};"
                    " run `liaison migrate` with this release, or start the release that fits"
                )


def _branches(service_folder: Path | None) -> list[tuple[Path, str]]:
    branches = [(_OWN, SCHEMA)]
    if service_folder is not None and (service_folder / "migrations").is_dir():
        branches.append((service_folder / "migrations", "public"))
    return branches


def _context(connection: Connection, schema: str, script: ScriptDirectory) -> MigrationContext:
    return MigrationContext.configure(
        connection,
        opts={
            "version_table_schema": schema,
            "fn": lambda revision, context: script._upgrade_revs("head", revision),
        },
    )
