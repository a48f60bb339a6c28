"""The `liaison` command: one word for each thing an operator does."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any

import click

_COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("liaison.local:run", "Start the whole desk on this machine and show a sample day."),
    "status": ("liaison.local:status", "Show where each part is and whether it is healthy."),
    "serve": ("liaison.cli:serve", "Run one service until it is told to stop."),
    "migrate": ("liaison.administration:migrate", "Bring databases to this release's schema."),
    "topology": ("liaison.administration:topology", "Compare and change what lies on the broker."),
    "partitions": ("liaison.administration:partitions", "Change a service's number of partitions."),
    "events": ("liaison.events:events", "Look at events: list, show, check a file."),
    "dead": ("liaison.dead:dead", "Settle events that could not be handled."),
    "publishers": ("liaison.publishers:publishers", "Let other systems publish."),
    "tokens": ("liaison.tokens:tokens", "Let people and programs use the HTTP door."),
    "metrics": ("liaison.metrics_rebuild:metrics", "Count again from the journal."),
    "knowledge": (
        "liaison.knowledge:knowledge",
        "Search, what is missing, the index: how it stands, rebuild it, measure it.",
    ),
    "mail": ("liaison.mail:mail", "Look at what became of mails."),
    "people": ("liaison.people:people", "What is kept of people: erase it on request."),
    "duty": ("liaison.duty:duty", "Load and show the duty roster."),
    "sla": ("liaison.sla:sla", "Reckon service levels: due moments and open time."),
    "replay": ("liaison.replay:replay", "Import another desk's log as events."),
}


class _LazyGroup(click.Group):
    """Imports a command when it is used, so that `liaison --help` answers at once."""

    def invoke(self, ctx: click.Context) -> Any:
        import httpx
        from sqlalchemy.exc import OperationalError

        from eventkit.errors import LiaisonError
        from liaison.installation import NoInstallation

        try:
            return super().invoke(ctx)
        except (NoInstallation, LiaisonError) as refusal:
            raise click.ClickException(str(refusal)) from None
        except (httpx.TransportError, OperationalError) as error:
            first = str(getattr(error, "orig", error)).strip().partition("\n")[0]
            raise click.ClickException(f"{first}\nIs it running? `liaison status` shows every part.") from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(cls=_LazyGroup)
@click.version_option(package_name="liaison")
def main() -> None:
    """联络台 Liaison: the support and training desk of an enterprise."""


@click.command()
@click.argument("name")
def serve(name: str) -> None:
    """Run one service until SIGTERM: gateway, tickets, training, knowledge, notify or metrics.

    Settings come from the environment: AMQP_URI, DATABASE_URI, PAGE_PORT and the service's own.
    """
    from liaison.services import ALL, GATEWAY

    if name not in ALL:
        raise click.BadParameter(f"{name!r} is not one of {', '.join(ALL)}", param_hint="NAME")
    if name == GATEWAY:
        gateway = importlib.import_module("services.gateway.service")
        sys.exit(gateway.run(os.environ))
    # The patch must come before anything imports sockets or threads.
    from eventkit.green import patch

    patch()
    from eventkit.runner import run
    from liaison.services import service_class

    sys.exit(run(service_class(name)))
