"""Events that could not be handled: look, replay, discard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.table import Table
from sqlalchemy import Engine

from eventkit import held
from eventkit.database import open_engine
from eventkit.errors import NotFound
from liaison import services
from liaison.installation import Installation
from liaison.terminal import console

_SERVICE = click.argument("service", type=click.Choice(list(services.HOSTED)))


@contextmanager
def database(service: str) -> Iterator[Engine]:
    """Give access to a service's database for a while."""
    engine = open_engine(Installation.load().database_uri(service), name="liaison dead")
    try:
        yield engine
    except NotFound as error:
        raise click.ClickException(str(error)) from None
    finally:
        engine.dispose()


@click.group()
def dead() -> None:
    """Settle events that could not be handled. They keep their subject held until then."""


@dead.command(name="list")
@click.option("--held", "with_held", is_flag=True, help="Also those that wait and are tried again by themselves.")
@click.option("--limit", default=100, show_default=True)
def list_events(with_held: bool, limit: int) -> None:
    """List dead events of all services, oldest first, with how many wait behind each."""
    table = Table("service", "number", "type", "source", "state", "since", "waiting", "reason")
    for service in services.HOSTED:
        with database(service) as engine, engine.connect() as connection:
            for one in held.listed(connection, state=None if with_held else "dead", limit=limit):
                since = one.arrived_at.astimezone().strftime("%m-%d %H:%M:%S")
                table.add_row(
                    service, str(one.position), one.type, one.source, one.state, since, str(one.waiting), one.reason
                )
    if table.row_count:
        console.print(table)
        console.print("liaison dead show SERVICE NUMBER, then replay or discard")
    else:
        console.print("no event waits for a person")


@dead.command()
@_SERVICE
@click.argument("number", type=int)
def show(service: str, number: int) -> None:
    """Show one event whole: headers, data, reason."""
    with database(service) as engine, engine.connect() as connection:
        one = held.shown(connection, number)
    console.print(f"[bold]{one.state}[/bold]: {one.reason}\ntries: {one.attempts}, waiting behind it: {one.waiting}")
    console.print_json(json.dumps(one.headers, ensure_ascii=False))
    click.echo(one.body.decode(errors="backslashreplace"))


@dead.command()
@_SERVICE
@click.argument("number", type=int)
def replay(service: str, number: int) -> None:
    """Try an event again, in its place; what waits behind it follows."""
    with database(service) as engine:
        held.replay(engine, number)
    console.print(f"{service} {number} is being tried again")


@dead.command()
@_SERVICE
@click.argument("number", type=int)
@click.confirmation_option(prompt="The event will never take effect. Discard it?")
def discard(service: str, number: int) -> None:
    """Give an event up; what waits behind it goes on."""
    with database(service) as engine:
        held.discard(engine, number)
    console.print(f"{service} {number} is discarded")
