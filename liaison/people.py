"""`liaison people`: what an installation keeps of a person, erased on request."""

from __future__ import annotations

import importlib
import os

import click
from sqlalchemy import text

from eventkit.blobs import store_at
from eventkit.database import open_engine
from eventkit.errors import Unavailable
from eventkit.forgetting import forget as forget_in
from liaison import services
from liaison.installation import Installation
from liaison.terminal import console

_FILES_OF_ONE = """
select sha256 from attachment join ticket using (number) group by sha256
having bool_and(coalesce(attachment.actor, '') = :number or coalesce(ticket.requester, '') = :number)
"""


@click.group()
def people() -> None:
    """What is kept of people."""


@people.command()
@click.argument("employee_number")
@click.confirmation_option(prompt="Names, addresses and written texts will be gone for good. Erase them?")
def forget(employee_number: str) -> None:
    """Erase a person everywhere: services, outboxes, held events, refusals, journal, attachments.

    Make sure that the system that publishes people has stopped sending this one. Numbers on tickets stay, since
    counts and deadlines rest on them.
    """
    changed = forget_person(Installation.load(), employee_number)
    for service, rows in changed.items():
        console.print(f"{service}: {rows} rows erased or emptied")


def forget_person(installation: Installation, employee_number: str) -> dict[str, int]:
    """Erase a person from every service's database and return how many rows changed in each.

    The bytes of their attachments go first: whatever ends this in between, doing it again finishes it.
    """
    address = _forget_files(installation, employee_number)
    changed = {}
    for service in services.ALL:
        statements = importlib.import_module(f"services.{service}.storage").FORGET
        engine = open_engine(installation.database_uri(service), name="liaison people")
        try:
            changed[service] = forget_in(engine, employee_number, statements, address=address)
        except Unavailable as error:
            raise click.ClickException(f"{service}: {error}") from None
        finally:
            engine.dispose()
    return changed


def _forget_files(installation: Installation, employee_number: str) -> str:
    """Remove the person's files that nobody else has as well, and return the address of their mails, perhaps empty."""
    blobs = store_at({"LIAISON_BLOBS": str(installation.blobs_folder), **os.environ})
    # It has a default.
    assert blobs is not None
    engine = open_engine(installation.database_uri("tickets"), name="liaison people")
    try:
        with engine.connect() as connection:
            values = {"number": employee_number}
            keys = connection.execute(text(_FILES_OF_ONE), values).scalars().all()
            address = connection.execute(text("select email from person where employee_number = :number"), values)
            found = address.scalar()
    finally:
        engine.dispose()
    for key in keys:
        blobs.delete_object(key)
    return found or ""
