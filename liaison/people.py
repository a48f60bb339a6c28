"""`liaison people`: what an installation keeps of a person, erased on request."""

from __future__ import annotations

import importlib

import click

from eventkit.database import open_engine
from eventkit.errors import Unavailable
from eventkit.forgetting import forget as forget_in
from liaison import services
from liaison.installation import Installation
from liaison.terminal import console


@click.group()
def people() -> None:
    """What is kept of people."""


@people.command()
@click.argument("employee_number")
@click.confirmation_option(prompt="Names, addresses and written texts will be gone for good. Erase them?")
def forget(employee_number: str) -> None:
    """Erase a person everywhere: services, outboxes, held events, refusals, journal.

    Make sure that the system that publishes people has stopped sending this one. Numbers on tickets stay, since
    counts and deadlines rest on them.
    """
    changed = forget_person(Installation.load(), employee_number)
    for service, rows in changed.items():
        console.print(f"{service}: {rows} rows erased or emptied")


def forget_person(installation: Installation, employee_number: str) -> dict[str, int]:
    """Erase a person from every service's database and return how many rows changed in each."""
    changed = {}
    for service in services.ALL:
        statements = importlib.import_module(f"services.{service}.storage").FORGET
        engine = open_engine(installation.database_uri(service), name="liaison people")
        try:
            changed[service] = forget_in(engine, employee_number, statements)
        except Unavailable as error:
            raise click.ClickException(f"{service}: {error}") from None
        finally:
            engine.dispose()
    return changed
