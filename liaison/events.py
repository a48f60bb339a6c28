"""Looking at events in the journal: one subject's whole life."""

from __future__ import annotations

import json

import click
from rich.table import Column, Table
from sqlalchemy import text

from eventkit.database import open_engine
from liaison.events_check import check
from liaison.installation import Installation
from liaison.terminal import console

_NEWEST = 50


@click.group()
def events() -> None:
    """Look at events."""


@events.command(name="list")
@click.option("--subject", help="Only of this subject, such as a ticket's number: its whole life, in order.")
@click.option("--type", "event_type", help="Only of this type.")
@click.option("--source", help="Only from this source.")
@click.option("--limit", type=int, show_default="50, or all of a subject")
def list_events(subject: str | None, event_type: str | None, source: str | None, limit: int | None) -> None:
    """List events from the journal: the newest, or one subject's life from the beginning."""
    conditions = [
        f"{column} = :{column}"
        for column, value in (("subject", subject), ("type", event_type), ("source", source))
        if value
    ]
    where = f"where {' and '.join(conditions)}" if conditions else ""
    order = "arrived_at, sequence" if subject else "arrived_at desc"
    most = _NEWEST if limit is None and subject is None else limit
    engine = open_engine(Installation.load().database_uri("metrics"), name="liaison events")
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select time, type, source, subject, sequence, history, id"
                f" from journal {where} order by {order} limit :limit"
            ),
            {"subject": subject, "type": event_type, "source": source, "limit": most},
        ).all()
    engine.dispose()
    table = Table("time", "type", "source", "subject", "no.", Column("id", overflow="fold"))
    for row in rows:
        moment = row.time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        short = row.type.removeprefix("liaison.").removesuffix(".v1")
        kind = f"{short} (history)" if row.history else short
        table.add_row(moment, kind, row.source, row.subject, str(row.sequence or ""), row.id)
    console.print(table)


@events.command()
@click.argument("event_id")
def show(event_id: str) -> None:
    """Show an event whole, from the journal."""
    engine = open_engine(Installation.load().database_uri("metrics"), name="liaison events")
    with engine.connect() as connection:
        rows = connection.execute(
            text("select headers, body from journal where id = :id order by arrived_at"), {"id": event_id}
        ).all()
    engine.dispose()
    if not rows:
        raise click.ClickException(f"no event {event_id} in the journal; has the door refused it? see `liaison dead`")
    for row in rows:
        console.print_json(json.dumps(row.headers, ensure_ascii=False))
        console.print_json(bytes(row.body).decode())


events.add_command(check)
