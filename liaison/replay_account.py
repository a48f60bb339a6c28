"""The replayed system's account: made when it is first needed, as `liaison publishers add` would, and kept."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import text

from eventkit import broker
from eventkit.database import open_engine
from liaison.installation import Installation
from liaison.publishers import CannotAdd, PublisherAccount, add_publisher, rotate_publisher

NAME = "servicenow"
MAY = ("servicenow.*",)


class NoAccount(Exception):
    """There is no account to publish with: the message says what to do."""


@dataclass(frozen=True, slots=True)
class ReplayAccount:
    """What a publisher is given. reply_queue: where the door says what it refused."""

    name: str
    amqp_uri: str = field(repr=False)
    token: str = field(repr=False)
    reply_queue: str


def open_account(installation: Installation, *, history: bool, renew: bool = False) -> ReplayAccount:
    """Return the account, made anew when it is not there or when what is kept of it does not open the doors any more.

    history: it must have the right to send history. renew: also when a publisher of this name is there whose secrets
    are not kept here; whoever uses it is then locked out.
    Raises: NoAccount.
    """
    path = installation.home / "publishers" / f"{NAME}.json"
    kept = _kept(path, installation)
    row, token_is_good = _found(installation, kept)
    try:
        if row is None:
            return _keep(path, installation, add_publisher(installation, NAME, MAY, history=True))
        if history and not row.history:
            raise NoAccount(f"publisher {NAME!r} has no right to send history: it was added without --history")
        if kept is not None and token_is_good and _opens_the_broker(kept):
            return kept
        if kept is None and not renew:
            raise NoAccount(
                f"there is a publisher {NAME!r} whose password is not kept in {path}; --renew gives it a new one,"
                " which locks out whoever uses it now"
            )
        return _keep(path, installation, rotate_publisher(installation, NAME))
    except CannotAdd as error:
        raise NoAccount(str(error)) from None


def _kept(path: Path, installation: Installation) -> ReplayAccount | None:
    """Return what was kept, at the address where the broker is now."""
    try:
        kept = json.loads(path.read_text("utf-8"))
        user = urlsplit(kept["amqp_uri"]).netloc.rpartition("@")[0]
        place = urlsplit(installation.amqp_admin_uri)
        uri = place._replace(netloc=f"{user}@{place.hostname}:{place.port}").geturl()
        return ReplayAccount(kept["name"], uri, kept["token"], kept["reply_queue"])
    except (FileNotFoundError, ValueError, KeyError):
        return None


def _found(installation: Installation, kept: ReplayAccount | None) -> tuple[Any, bool]:
    """Return the publisher as the gateway knows it, and whether the kept token is one that it takes."""
    engine = open_engine(installation.database_uri("gateway"), name="liaison replay")
    try:
        with engine.connect() as connection:
            row = connection.execute(
                text("select history from publisher where name = :name"), {"name": NAME}
            ).one_or_none()
            digest = sha256(kept.token.encode()).digest() if kept else b""
            good = text("select 1 from token where hash = :hash and name = :name and revoked_at is null")
            return row, connection.execute(good, {"hash": digest, "name": NAME}).one_or_none() is not None
    finally:
        engine.dispose()


def _opens_the_broker(account: ReplayAccount) -> bool:
    try:
        connection = broker.connect(account.amqp_uri, name=f"replay {account.name}")
    except broker.LOST as error:
        # A broker that is away says nothing about the password; one that refuses it says so by this code.
        return getattr(error, "reply_code", None) != 403
    broker.close_quietly(connection)
    return True


def _keep(path: Path, installation: Installation, made: PublisherAccount) -> ReplayAccount:
    """Write the secrets to a file that only the installation's owner can read."""
    account = ReplayAccount(made.name, made.amqp_uri, made.token, made.reply_queue)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        values = ("name", "amqp_uri", "token", "reply_queue")
        json.dump({name: getattr(account, name) for name in values}, out, indent=2)
    if os.geteuid() == 0:
        owner = installation.secrets_path.stat()
        for one in (path.parent, fresh):
            os.chown(one, owner.st_uid, owner.st_gid)
    fresh.rename(path)
    return account
