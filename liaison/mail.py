"""`liaison mail`: what became of the mails that came into the mailbox."""

from __future__ import annotations

import click
from rich.table import Column, Table
from sqlalchemy import text

from eventkit.database import open_engine
from liaison.installation import Installation
from liaison.terminal import console

_BECAME = ("request", "comment", "ignored", "unreadable")


@click.group()
def mail() -> None:
    """Look at what came by mail."""


@mail.command(name="list")
@click.option("--became", type=click.Choice(_BECAME), help="Only those that became this.")
@click.option("--sender", help="Only from this address.")
@click.option("--limit", default=50, show_default=True)
def list_mails(became: str | None, sender: str | None, limit: int) -> None:
    """List mails, the newest first, with what became of each and why."""
    wanted = {"became": became, "sender": sender.lower() if sender else None}
    conditions = [f"{column} = :{column}" for column, value in wanted.items() if value]
    where = f"where {' and '.join(conditions)}" if conditions else ""
    engine = open_engine(Installation.load().database_uri("gateway"), name="liaison mail")
    try:
        with engine.connect() as connection:
            statement = f"select * from mail_in {where} order by arrived_at desc limit :limit"
            rows = connection.execute(text(statement), {**wanted, "limit": limit}).all()
    finally:
        engine.dispose()
    table = Table("arrived", "sender", "became", "ticket", Column("subject", overflow="fold"), "again", "why")
    for row in rows:
        moment = row.arrived_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        again = str(row.repeats or "")
        table.add_row(moment, row.sender, row.became, row.number or "", row.title, again, row.reason)
    console.print(table)
