"""Counting the numbers again from the journal."""

from __future__ import annotations

import click

from eventkit.database import open_engine
from eventkit.errors import BadMessage
from liaison.installation import Installation
from services.metrics.recount import Recount, recount


@click.group()
def metrics() -> None:
    """The numbers."""


@metrics.command()
def rebuild() -> None:
    """Count again from the journal and put right what is wrong.

    The service may run: it waits for a moment at the end, and the page shows the old numbers until then.
    """
    engine = open_engine(Installation.load().database_uri("metrics"), name="liaison metrics rebuild")
    try:
        with click.progressbar(length=1, label="events", show_pos=True) as bar:

            def show(done: int, total: int) -> None:
                bar.length = total
                bar.update(done - bar.pos)

            found = recount(engine, show)
    except BadMessage as problem:
        raise click.ClickException(f"{problem}; nothing was changed") from problem
    finally:
        engine.dispose()
    click.echo(_told(found))


def _told(found: Recount) -> str:
    if not found.corrected:
        return f"{found.events} events counted again: every number was right"
    return f"{found.events} events counted again: {found.corrected} rows corrected"
