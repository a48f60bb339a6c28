"""`liaison tokens`: bearer tokens for people and programs at the HTTP door. A token is shown once; its hash is kept."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256

import click
from rich.table import Table
from sqlalchemy import Connection, text

from eventkit.database import open_engine
from liaison.installation import ALERTMANAGER_TOKEN, Installation, NoInstallation
from liaison.terminal import console
from services.gateway import rules
from services.gateway.rules import Role, Scope

_PEOPLE = [str(role) for role in Role if role is not Role.PUBLISHER]


def new_token(
    connection: Connection,
    name: str,
    role: str,
    *,
    person: str | None = None,
    groups: Sequence[str] = (),
    department: str | None = None,
) -> str:
    """Make a token, record its hash and return it. name: free among the tokens in use."""
    token = f"liaison_{secrets.token_urlsafe(32)}"
    connection.execute(
        text(
            "insert into token (hash, name, role, person, groups, department)"
            " values (:hash, :name, :role, :person, :groups, :department)"
        ),
        {
            "hash": sha256(token.encode()).digest(),
            "name": name,
            "role": role,
            "person": person,
            "groups": list(groups),
            "department": department,
        },
    )
    return token


def let_alertmanager_in(installation: Installation) -> None:
    """Have the gateway know the token of this installation's own Alertmanager, and no other of its name.

    May be repeated; a token that was renewed in `installation.json` takes the place of the one before.
    """
    digest = sha256(installation.passwords[ALERTMANAGER_TOKEN].encode()).digest()
    engine = open_engine(installation.database_uri("gateway"), name="liaison tokens")
    with engine.begin() as connection:
        connection.execute(
            text("update token set revoked_at = now() where name = :name and hash <> :hash and revoked_at is null"),
            {"name": "alertmanager", "hash": digest},
        )
        connection.execute(
            text(
                "insert into token (hash, name, role, groups) values (:hash, :name, :role, '{}')"
                " on conflict (hash) do update set revoked_at = null"
            ),
            {"name": "alertmanager", "hash": digest, "role": str(Role.MONITOR)},
        )
    engine.dispose()


def token_problem(role: str, *, person: str | None, groups: Sequence[str], department: str | None) -> str | None:
    """Return what a token of this role lacks for its scopes to mean anything, or None."""
    scopes = {rules.scope_of(Role(role), action) for action in rules.TABLE} - {Scope.NONE}
    for scope in sorted(scopes):
        if lacking := rules.missing_for(scope, person=person, groups=groups, department=department):
            return f"a token of role {role} needs --{lacking}"
    return None


@contextmanager
def _database() -> Iterator[Connection]:
    try:
        installation = Installation.load()
    except NoInstallation as error:
        raise click.ClickException(str(error)) from None
    engine = open_engine(installation.database_uri("gateway"), name="liaison tokens")
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@click.group()
def tokens() -> None:
    """Let people and programs use the HTTP door."""


@tokens.command()
@click.argument("name")
@click.option("--role", type=click.Choice(_PEOPLE), required=True, help="What the holder is to the desk.")
@click.option("--person", help="The holder's employee number.")
@click.option("--group", "groups", multiple=True, help="A group that the holder works in. May be repeated.")
@click.option("--department", help="The department that a manager answers for.")
def add(name: str, role: str, person: str | None, groups: tuple[str, ...], department: str | None) -> None:
    """Make a token called NAME and print it, once."""
    if problem := token_problem(role, person=person, groups=groups, department=department):
        raise click.UsageError(problem)
    with _database() as connection:
        taken = connection.execute(
            text(
                "select 1 from token where name = :name and revoked_at is null"
                " union all select 1 from publisher where name = :name"
            ),
            {"name": name},
        ).all()
        if taken:
            raise click.ClickException(f"the name {name!r} is taken; revoke that token first or choose another name")
        token = new_token(connection, name, role, person=person, groups=groups, department=department)
    click.echo(token)


@tokens.command(name="list")
def list_tokens() -> None:
    """Show the tokens in use and those revoked lately; the tokens themselves are kept nowhere."""
    with _database() as connection:
        rows = connection.execute(text("select * from token order by name, created_at")).all()
    table = Table("name", "role", "person", "groups", "department", "since", "revoked")
    for row in rows:
        since, revoked = (
            moment.astimezone().strftime("%Y-%m-%d %H:%M") if moment else ""
            for moment in (row.created_at, row.revoked_at)
        )
        table.add_row(row.name, row.role, row.person or "", " ".join(row.groups), row.department or "", since, revoked)
    console.print(table)


@tokens.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Make the token called NAME void at once."""
    with _database() as connection:
        done = connection.execute(
            text("update token set revoked_at = now() where name = :name and revoked_at is null"), {"name": name}
        ).rowcount
    if not done:
        raise click.ClickException(f"no token named {name!r} is in use")
    click.echo(f"{name} is revoked")
