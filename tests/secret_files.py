"""Files that hold a secret, and others than their owner can read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from liaison.installation import Installation

_OTHERS = 0o077


def exposed(home: Path) -> dict[str, str]:
    """Return the files of an installation that give a password or a token away, with their modes."""
    secrets = set(_secrets(home))
    found = {}
    for path in _readable(home):
        content = path.read_bytes()
        if path.suffix == ".keystore" or any(secret in content for secret in secrets):
            found[path.relative_to(home).as_posix()] = oct(path.stat().st_mode & 0o777)
    return found


def _secrets(home: Path) -> Iterator[bytes]:
    yield from (word.encode() for word in Installation.load(home).passwords.values())
    for path in home.glob("publishers/*.json"):
        yield json.loads(path.read_text("utf-8"))["token"].encode()


def _readable(home: Path) -> Iterator[Path]:
    """Walk through what is open to others; where they cannot enter, nothing is."""
    for folder, inside, names in os.walk(home):
        inside[:] = [name for name in inside if (Path(folder) / name).stat().st_mode & _OTHERS]
        for path in (Path(folder) / name for name in names):
            # Servers that run make and remove files meanwhile.
            if path.is_file() and path.stat().st_mode & _OTHERS:
                yield path
