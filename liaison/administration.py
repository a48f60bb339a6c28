"""What an administrator does to the broker and the databases: migrate, topology, partitions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.table import Table

from eventkit import partitions as partitioning
from eventkit import schema
from eventkit import topology as broker_topology
from eventkit.broker import queue_name
from eventkit.database import open_engine
from eventkit.errors import BrokenTopology
from liaison import services
from liaison.installation import Installation
from liaison.terminal import console


@contextmanager
def broker_of(installation: Installation) -> Iterator[broker_topology.Administration]:
    """Give access to the broker's management API for a while."""
    admin = broker_topology.Administration(installation.management_url, *installation.management_auth)
    try:
        yield admin
    finally:
        admin.close()


def migrate_all(installation: Installation, names: Sequence[str] = services.ALL) -> dict[str, list[str]]:
    """Bring the services' databases to this release's schema and return the steps taken by each."""
    taken = {}
    for name in names:
        engine = open_engine(installation.database_uri(name), name="liaison migrate")
        taken[name] = schema.migrate(engine, services.folder(name))
        engine.dispose()
    return taken


def apply_topology(installation: Installation) -> tuple[list[Any], list[Any]]:
    """Make the broker hold what the services need, and give each service its least rights."""
    definitions = [services.definition(name) for name in services.ALL]
    with broker_of(installation) as admin:
        for definition in definitions:
            admin.grant(broker_topology.rights_of(definition), installation.passwords[f"rabbitmq:{definition.name}"])
        return broker_topology.apply(admin, definitions)


@click.command()
@click.argument("names", nargs=-1)
def migrate(names: tuple[str, ...]) -> None:
    """Bring the databases of the named services (default: all) to this release's schema."""
    for name, steps in migrate_all(Installation.load(), names or services.ALL).items():
        console.print(f"{name}: {', '.join(steps) if steps else 'up to date'}")


@click.group()
def topology() -> None:
    """Compare what lies on the broker with what the services need, and change it."""


@topology.command()
def diff() -> None:
    """Show what `apply` would create and remove. Exits with 1 when there is a difference."""
    with broker_of(Installation.load()) as admin:
        have = admin.found()
        want = broker_topology.wanted([services.definition(name) for name in services.ALL], have)
        create, remove = broker_topology.difference(want, have)
    _print_parts(create, remove)
    raise SystemExit(1 if create or remove else 0)


@topology.command()
def apply() -> None:
    """Create what is missing and remove what nothing needs any more; queues only when they are empty."""
    _print_parts(*apply_topology(Installation.load()))


def _print_parts(create: Sequence[Any], remove: Sequence[Any]) -> None:
    if not create and not remove:
        console.print("nothing differs")
        return
    table = Table("", "part", "name")
    for sign, parts in (("[green]+", create), ("[red]-", remove)):
        for part in parts:
            name = f"{part.source} → {part.target} ({part.key})" if hasattr(part, "target") else part.name
            table.add_row(sign, type(part).__name__.lower(), name)
    console.print(table)


@click.group()
def partitions() -> None:
    """How many queues a service's events are spread over."""


@partitions.command(name="set")
@click.argument("service")
@click.argument("count", type=click.IntRange(1, 64))
def set_partitions(service: str, count: int) -> None:
    """Spread SERVICE's events over COUNT queues, while it runs; the order of each subject holds."""
    if service not in services.HOSTED:
        raise click.BadParameter(f"{service!r} is not one of {', '.join(services.HOSTED)}", param_hint="SERVICE")
    installation = Installation.load()
    with console.status("moving the bindings"):
        change_partitions(installation, service, count, say=console.print)


def change_partitions(
    installation: Installation,
    service: str,
    count: int,
    *,
    say: Any = lambda line: None,
    database_uri: str | None = None,
    definition: Any = None,
) -> None:
    """Move a service to a new generation of queues, step by step; a run that was cut off is finished by the next.

    New events go to both generations while the bindings move; the old queues are emptied before the service turns
    to the new ones, where what came twice is dropped as a repeat.
    """
    definition = definition or services.definition(service)
    types = broker_topology.handled_types(definition)
    engine = open_engine(database_uri or installation.database_uri(service), name="liaison partitions")
    with engine.connect() as connection:
        old, old_count = partitioning.current(connection)
    new = old + 1
    with broker_of(installation) as admin:
        _check_interrupted(service, new, count, admin)
        _remove_left_over(service, old, admin)
        fresh = broker_topology.partition_parts(service, types, new, count)
        _each(admin.declare, *fresh)
        say(f"{service}: {count} queues of generation {new} receive; generation {old} is being emptied")
        exchanges, queues, _ = broker_topology.partition_parts(service, types, old, old_count)
        # All types at once: with a binding for each, one type of a subject would be in the new queue only, another
        # still in the old one, which is handled first.
        _each(admin.remove, exchanges)
        _wait_until_empty(admin, [queue.name for queue in queues], say)
        with engine.begin() as connection:
            partitioning.advance(connection, new, count)
        time.sleep(2 * partitioning.LOOK_S)
        _each(admin.remove, queues)
    engine.dispose()
    say(f"{service} consumes {queue_name(service, new, 0)} … {queue_name(service, new, count - 1)}")


def _check_interrupted(service: str, generation: int, count: int, admin: broker_topology.Administration) -> None:
    """Raise BrokenTopology when an earlier run for another number was cut off: its queues may hold events already."""
    found = broker_topology.generations_of(service, admin.found()).get(generation, count)
    if found != count:
        raise BrokenTopology(
            f"an earlier run that was cut off has made {found} queues of generation {generation}: "
            f"run `liaison partitions set {service} {found}` first"
        )


def _remove_left_over(service: str, generation: int, admin: broker_topology.Administration) -> None:
    """Remove what a run that was cut off at its very end has left of generations before the one in use."""
    found = admin.found()
    for number in broker_topology.generations_of(service, found):
        if number < generation:
            exchanges, _, _ = broker_topology.partition_parts(service, (), number, 0)
            # By the names that are there: it may have been cut off between two queues.
            left = [queue for queue in found.queues if queue.name.startswith(f"{exchanges[0].name}.")]
            _each(admin.remove, exchanges, left)


def _wait_until_empty(admin: broker_topology.Administration, queues: Sequence[str], say: Any) -> None:
    """Return when the queues have been empty for longer than the broker's counts may be old (5 s)."""
    empty_since = time.monotonic()
    while time.monotonic() - empty_since < 6.0:
        if left := sum(admin.waiting(queue) for queue in queues):
            say(f"{left} events wait in the old queues")
            empty_since = time.monotonic()
        time.sleep(0.5)


def _each(do: Callable[[Any], None], *groups: Sequence[Any]) -> None:
    for group in groups:
        for part in group:
            do(part)
