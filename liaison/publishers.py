"""`liaison publishers`: other systems that may publish, each with a broker account, a reply queue and a token."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import click
from rich.table import Table
from sqlalchemy import Connection, Row, text

from contracts.gateway import TicketRequested
from eventkit import broker, topology
from eventkit.database import open_engine
from liaison.administration import broker_of
from liaison.installation import Installation, NoInstallation
from liaison.terminal import console
from liaison.tokens import new_token
from services.gateway import rules

#: How many verdicts a reply queue keeps for a publisher that does not fetch them; the newest, since a sender that is
#: wrong is wrong again. They are no events: every refusal is kept by the gateway too.
KEPT_VERDICTS = 10_000


class CannotAdd(Exception):
    """The publisher cannot be added, renewed or removed as asked: the message says why."""


@dataclass(frozen=True, slots=True)
class PublisherAccount:
    """What another system needs to publish; the secrets are shown once and kept nowhere."""

    name: str
    source: str
    amqp_uri: str
    token: str
    reply_queue: str
    example_type: str
    gateway_url: str

    def exports(self) -> str:
        """Return a line to copy that puts what is needed into a shell's environment."""
        values = {"LIAISON_URL": self.gateway_url, "LIAISON_TOKEN": self.token, "LIAISON_AMQP": self.amqp_uri}
        return " ".join(["export", *(f"{name}={shlex.quote(value)}" for name, value in values.items())])

    def curl(self) -> str:
        """Return a line to copy that publishes a first event over HTTP."""
        return (
            f"curl -i {self.gateway_url}/v1/events?dry_run=true -H 'Authorization: Bearer {self.token}'"
            " -H 'Content-Type: application/json' -H 'ce-specversion: 1.0'"
            f" -H 'ce-id: {self.name}-1' -H 'ce-source: {self.source}' -H 'ce-type: {self.example_type}'"
            ' -H "ce-time: $(date -u +%Y-%m-%dT%H:%M:%SZ)" -d \'{"title": "第一个事件"}\''
        )


def add_publisher(
    installation: Installation,
    name: str,
    may: Sequence[str],
    *,
    history: bool = False,
    source: str | None = None,
    shared: bool = False,
) -> PublisherAccount:
    """Create a publisher: its row, its token, its broker account and reply queue.

    shared: it may send what others send as well; by AMQP all of them must then set `user_id`.
    Raises CannotAdd when name, source or patterns are wrong or taken, and BrokenTopology when the broker refuses.
    """
    source = source or f"/{name}"
    if problem := rules.publisher_problem(name, source, may):
        raise CannotAdd(problem)
    with _database(installation) as connection:
        # Two that are added at once must see each other's patterns.
        connection.execute(text("lock table publisher in share row exclusive mode"))
        _must_be_free(connection, name, source, () if shared else may)
        connection.execute(
            text("insert into publisher (name, source, may, history) values (:name, :source, :may, :history)"),
            {"name": name, "source": source, "may": list(may), "history": history},
        )
        token = new_token(connection, name, str(rules.Role.PUBLISHER))
        password = _give_broker_account(installation, name, may)
    return _account(installation, name, source, may, password, token)


def rotate_publisher(installation: Installation, name: str) -> PublisherAccount:
    """Give a publisher a new password and a new token; the old ones are void at once. Raises CannotAdd if unknown."""
    with _database(installation) as connection:
        row = _locked(connection, name)
        _revoke_token(connection, name)
        token = new_token(connection, name, str(rules.Role.PUBLISHER))
        password = _give_broker_account(installation, name, row.may)
    return _account(installation, name, row.source, row.may, password, token)


def remove_publisher(installation: Installation, name: str) -> None:
    """Take a publisher's account, token, reply queue and row away; what it has sent stays, and what was refused, too.

    May be repeated after it was cut off. Raises CannotAdd if there is none of this name.
    """
    with _database(installation) as connection:
        _locked(connection, name)
        _revoke_token(connection, name)
        connection.execute(text("delete from publisher where name = :name"), {"name": name})
        with broker_of(installation) as admin:
            admin.revoke(name)
            admin.remove(topology.Queue(reply_queue(name), quorum=False), even_full=True)


def _locked(connection: Connection, name: str) -> Row[Any]:
    found = text("select * from publisher where name = :name for update")
    row = connection.execute(found, {"name": name}).one_or_none()
    if row is None:
        raise CannotAdd(f"there is no publisher {name!r}: see `liaison publishers list`")
    return row


def _revoke_token(connection: Connection, name: str) -> None:
    connection.execute(
        text("update token set revoked_at = now() where name = :name and revoked_at is null"), {"name": name}
    )


def _must_be_free(connection: Connection, name: str, source: str, may: Sequence[str]) -> None:
    for row in connection.execute(text("select name, source, may from publisher")):
        if row.name == name:
            raise CannotAdd(f"there is a publisher {name!r} already: `liaison publishers rotate {name}` renews it")
        if row.source == source:
            raise CannotAdd(f"{source!r} is the source of {row.name}")
        for one in may:
            if taken := [other for other in row.may if rules.overlap(one, other)]:
                # By AMQP a publisher is known by the routing key alone, unless it sets `user_id`.
                raise CannotAdd(
                    f"{one!r} overlaps with {taken[0]!r} of {row.name}. Add --shared to let both send it; by AMQP"
                    f" each must then set the message's user_id to its name, {row.name} too"
                )
    if connection.execute(text("select 1 from token where name = :name and revoked_at is null"), {"name": name}).all():
        raise CannotAdd(f"there is a token named {name!r} already")


def _give_broker_account(installation: Installation, name: str, may: Sequence[str]) -> str:
    password, queue = secrets.token_urlsafe(24), reply_queue(name)
    rights = topology.Rights(
        name,
        configure="^$",
        write=rf"\A{_escaped(broker.INTAKE)}\z",
        read=rf"\A{_escaped(queue)}\z",
        topic_writes={broker.INTAKE: rules.broker_pattern(may)},
    )
    with broker_of(installation) as admin:
        admin.declare(topology.Exchange(topology.VERDICTS, "direct"))
        admin.declare(topology.Exchange(broker.INTAKE, "topic"))
        admin.limit("reply queues", rf"^{_escaped(reply_queue(''))}", most=KEPT_VERDICTS)
        # A classic queue, since its reader may want to look in and take single messages (`basic.get`).
        admin.declare(topology.Queue(queue, quorum=False))
        admin.declare(topology.Binding(topology.VERDICTS, queue, True, name))
        admin.grant(rights, password)
        # Connections that were opened with the password of before would go on.
        admin.cut_off(name)
    return password


def reply_queue(name: str) -> str:
    """Return the name of the queue in which a publisher finds its refusals."""
    return f"verdicts.{name}"


def _escaped(name: str) -> str:
    return name.replace(".", r"\.")


def _account(
    installation: Installation, name: str, source: str, may: Sequence[str], password: str, token: str
) -> PublisherAccount:
    parts = urlsplit(installation.amqp_admin_uri)
    place = f"{quote(name, safe='')}:{quote(password, safe='')}@{parts.hostname}:{parts.port}"
    uri = urlunsplit(parts._replace(netloc=place))
    # The example's data are those of a request for a ticket.
    example = TicketRequested.TYPE if TicketRequested.TYPE in may else may[0].replace("*", "example")
    return PublisherAccount(name, source, uri, token, reply_queue(name), example, installation.gateway_url)


@contextmanager
def _database(installation: Installation) -> Iterator[Connection]:
    engine = open_engine(installation.database_uri("gateway"), name="liaison publishers")
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _installation() -> Installation:
    try:
        return Installation.load()
    except NoInstallation as error:
        raise click.ClickException(str(error)) from None


@click.group()
def publishers() -> None:
    """Let other systems publish."""


@publishers.command()
@click.argument("name")
@click.option(
    "--may",
    "patterns",
    multiple=True,
    required=True,
    help="A pattern of types that it may send; `*` at the end stands for one or more words. May be repeated.",
)
@click.option("--history", is_flag=True, help="It may send what happened elsewhere (imports).")
@click.option("--source", help="Its CloudEvents source. [default: /NAME]")
@click.option(
    "--shared", is_flag=True, help="Others may send these types too; by AMQP each of them must set `user_id` then."
)
def add(name: str, patterns: tuple[str, ...], history: bool, source: str | None, shared: bool) -> None:
    """Create publisher NAME and print, once, what it needs."""
    try:
        _show(add_publisher(_installation(), name, patterns, history=history, source=source, shared=shared))
    except CannotAdd as error:
        raise click.ClickException(str(error)) from None


@publishers.command()
@click.argument("name")
def rotate(name: str) -> None:
    """Give publisher NAME a new password and token; the old ones are void at once."""
    try:
        _show(rotate_publisher(_installation(), name))
    except CannotAdd as error:
        raise click.ClickException(str(error)) from None


@publishers.command()
@click.argument("name")
@click.confirmation_option(prompt="Its account, its token and its reply queue go at once. Remove it?")
def remove(name: str) -> None:
    """Let publisher NAME publish no more; what it has sent stays."""
    try:
        remove_publisher(_installation(), name)
    except CannotAdd as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{name} is removed")


@publishers.command(name="list")
def list_publishers() -> None:
    """Show who may publish what."""
    with _database(_installation()) as connection:
        rows = connection.execute(text("select * from publisher order by name")).all()
    table = Table("name", "source", "may send", "history", "reply queue", "since")
    for row in rows:
        since = row.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
        table.add_row(
            row.name, row.source, " ".join(row.may), "yes" if row.history else "", reply_queue(row.name), since
        )
    console.print(table)


def _show(account: PublisherAccount) -> None:
    for label, value in (
        ("name", account.name),
        ("source", account.source),
        ("AMQP", account.amqp_uri),
        ("exchange", broker.INTAKE),
        ("reply queue", account.reply_queue),
        ("token", account.token),
    ):
        click.echo(f"{label + ':':<13}{value}")
    click.echo("\nPassword and token are shown this once. Where README's examples look for them:\n")
    click.echo(account.exports())
    click.echo("\nA first try over HTTP, which changes nothing:\n")
    click.echo(account.curl())
