"""How the client is configured: from the environment, else from a file that only its owner may read.

The password comes with the address or from a file; never from a command line, which every user of the machine sees.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from liaison_client.errors import BadSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LIMIT_EVENTS = 100_000
LIMIT_BYTES = 256 * 1024 * 1024
_NAMES = {
    "amqp": "LIAISON_AMQP",
    "password_file": "LIAISON_AMQP_PASSWORD_FILE",
    "source": "LIAISON_SOURCE",
    "spool": "LIAISON_SPOOL",
    "limit_events": "LIAISON_SPOOL_LIMIT_EVENTS",
    "limit_bytes": "LIAISON_SPOOL_LIMIT_BYTES",
    "reply_queue": "LIAISON_REPLY_QUEUE",
}


@dataclass(frozen=True)
class Settings:
    """What a publisher needs. Make it with `Settings.of`, which checks it and fills in what follows from the rest.

    amqp_uri: amqp:// or amqps://account:password@host:port/vhost, as `liaison publishers add` printed it.
    source: the CloudEvents source of the account. spool: the file that keeps events; on a local disk.
    limit_events, limit_bytes: what the spool may hold. reply_queue: where refusals come; empty: nobody reads them here.
    """

    amqp_uri: str = field(repr=False)
    account: str
    source: str
    spool: Path
    limit_events: int = LIMIT_EVENTS
    limit_bytes: int = LIMIT_BYTES
    reply_queue: str = ""

    @classmethod
    def of(
        cls,
        amqp: str,
        *,
        source: str | None = None,
        spool: str | Path | None = None,
        limit_events: int = LIMIT_EVENTS,
        limit_bytes: int = LIMIT_BYTES,
        reply_queue: str | None = None,
    ) -> Settings:
        """Return checked settings; what is left out follows from the account's name. Raises: BadSettings."""
        parts = urlsplit(amqp)
        account = unquote(parts.username or "")
        if parts.scheme not in ("amqp", "amqps") or not parts.hostname or not account or not parts.password:
            raise BadSettings("the address must be amqp:// or amqps://account:password@host:port/vhost")
        if min(limit_events, limit_bytes) <= 0:
            raise BadSettings("the spool's limits must be more than 0")
        return cls(
            amqp,
            account,
            source or f"/{account}",
            Path(spool).expanduser().absolute() if spool else _state_folder() / f"{account}.spool",
            limit_events,
            limit_bytes,
            f"verdicts.{account}" if reply_queue is None else reply_queue,
        )

    @classmethod
    def load(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """Read the file that LIAISON_CLIENT_CONFIG names, else ~/.config/liaison-client.toml, then the environment.

        Raises: BadSettings naming the file or the variable.
        """
        given = _file_settings(env)
        given.update({name: env[variable] for name, variable in _NAMES.items() if env.get(variable)})
        uri = given.pop("amqp", None)
        if not uri:
            raise BadSettings("LIAISON_AMQP is not set, and no configuration file says `amqp`")
        if password_file := given.pop("password_file", None):
            uri = _with_password(str(uri), _secret(Path(password_file).expanduser()))
        for name in ("limit_events", "limit_bytes"):
            if name in given:
                given[name] = _number(name, given[name])
        if env.get("LIAISON_REPLY_QUEUE") == "":
            given["reply_queue"] = ""
        return cls.of(str(uri), **given)


def _file_settings(env: Mapping[str, str]) -> dict[str, Any]:
    named = env.get("LIAISON_CLIENT_CONFIG")
    folder = Path(env.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    path = Path(named) if named else folder / "liaison-client.toml"
    if not named and not path.exists():
        return {}
    try:
        given: dict[str, Any] = tomllib.loads(_secret(path))
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{path}: {error}") from None
    if unknown := given.keys() - _NAMES.keys():
        raise BadSettings(f"{path}: unknown: {', '.join(sorted(unknown))}; known are {', '.join(_NAMES)}")
    return given


def _secret(path: Path) -> str:
    """Return the text of a file that only its owner may read. Raises: BadSettings."""
    try:
        with path.open(encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if stat.S_IMODE(status.st_mode) & 0o077:
                raise BadSettings(f"{path} can be read by others: chmod 600 {path}")
            if status.st_uid not in (os.geteuid(), 0):
                raise BadSettings(f"{path} belongs to another user")
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: {error}") from None


def _with_password(uri: str, password: str) -> str:
    parts = urlsplit(uri)
    place = parts.netloc.rpartition("@")[2]
    account = quote(unquote(parts.username or ""), safe="")
    return urlunsplit(parts._replace(netloc=f"{account}:{quote(password.strip(), safe='')}@{place}"))


def _number(name: str, value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise BadSettings(f"{name}: {value!r} is not a whole number") from None


def _state_folder() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "liaison-client"
