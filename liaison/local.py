"""Liaison on one machine: `liaison run` and `liaison status`."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Sequence

import click
from rich.table import Table

from deploy.local import accounts
from deploy.local.refusals import CannotRun
from deploy.local.run import ServiceProcess
from deploy.local.run import run as run_everything
from deploy.local.status import parts
from liaison import services
from liaison.administration import apply_topology, migrate_all
from liaison.installation import Installation, NoInstallation
from liaison.sample_day import play
from liaison.terminal import console
from liaison.tokens import let_alertmanager_in

#: What a service on this machine is told by whoever starts it: files in the place of those shipped, and a mailbox.
_TOLD = {
    "tickets": ("LIAISON_TICKETS_POLICY", "LIAISON_CALENDARS", "LIAISON_FEEDBACK_OWNERS"),
    "notify": ("LIAISON_NOTIFY_RULES",),
    "gateway": (
        "LIAISON_MAPPINGS",
        "LIAISON_BLOBS",
        "LIAISON_MAX_FILE_BYTES",
        "LIAISON_MAILBOX",
        "LIAISON_MAILBOX_PASSWORD",
        "LIAISON_MAILBOX_PASSWORD_FILE",
        "LIAISON_MAILBOX_ADDRESSES",
        "LIAISON_MAILBOX_POLL_S",
        "LIAISON_MAILS_PER_HOUR",
        "LIAISON_MAIL_CHECKED_BY",
    ),
}


def environment(installation: Installation, name: str) -> dict[str, str]:
    """Return the settings of one service on this machine."""
    common = {
        "AMQP_URI": installation.amqp_uri(name),
        "DATABASE_URI": installation.database_uri(name),
        "PAGE_PORT": str(installation.page_port(name)),
    }
    links = {"LIAISON_LINK_KEYS": installation.passwords["liaison:links"]}
    own = {
        "gateway": {
            "HTTP_PORT": str(installation.ports["gateway"]),
            "LIAISON_BLOBS": str(installation.blobs_folder),
            **links,
        },
        "notify": {
            "SMTP_URI": installation.smtp_uri,
            "LIAISON_MAIL_FROM": "联络台 <liaison@example.invalid>",
            "LIAISON_DESK_MAIL": "desk@example.invalid",
            "LIAISON_URL": installation.gateway_url,
            **links,
        },
        "knowledge": {
            "ELASTICSEARCH_URL": installation.search_url("knowledge"),
            "LIAISON_URL": installation.gateway_url,
        },
    }
    told = {key: os.environ[key] for key in _TOLD.get(name, ()) if os.environ.get(key)}
    return common | own.get(name, {}) | told


def processes(installation: Installation) -> Sequence[ServiceProcess]:
    """Return the processes of our own that run on this machine."""
    command = [sys.executable, "-m", "liaison", "serve"]
    return [ServiceProcess(name, [*command, name], environment(installation, name)) for name in services.ALL]


def prepare(installation: Installation) -> None:
    """Bring databases, broker and accounts to what this release needs."""
    accounts.provision_databases(installation, services.ALL)
    with console.status("databases"):
        for name, steps in migrate_all(installation).items():
            if steps:
                console.print(f"{name}: database at {steps[-1]}")
    let_alertmanager_in(installation)
    with console.status("broker"):
        create, remove = apply_topology(installation)
    if create or remove:
        console.print(f"broker: {len(create)} parts created, {len(remove)} removed")


@click.command()
@click.option("--no-sample", is_flag=True, help="Start everything without playing the sample day.")
def run(no_sample: bool) -> None:
    """Start the whole desk on this machine, play a sample day, and stay until Ctrl-C."""
    try:
        run_everything(processes, prepare, (lambda installation: None) if no_sample else play)
    except CannotRun as refusal:
        raise click.ClickException(str(refusal)) from None


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(as_json: bool) -> None:
    """Show where each part is and whether it is healthy. Exits with 1 when one is not."""
    try:
        found = parts(Installation.load())
    except NoInstallation as refusal:
        raise click.ClickException(str(refusal)) from None
    if as_json:
        shown = [{key: value for key, value in dataclasses.asdict(part).items() if key != "reason"} for part in found]
        click.echo(json.dumps({"parts": shown}))
    else:
        table = Table("part", "address", "healthy")
        for part in found:
            table.add_row(part.name, part.url, "[green]yes[/green]" if part.healthy else f"[red]{part.reason}[/red]")
        console.print(table)
    sys.exit(0 if all(part.healthy for part in found) else 1)
