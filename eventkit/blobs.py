"""Files that are too large for an event or a row: kept behind four calls named as in S3, in a folder by default.

A key is the SHA-256 of the content: the same file is kept once, no key can be guessed, and none leads out of the
folder. What a file is called and whose it is, the service that shows it knows.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from eventkit.errors import BadSettings, NotFound, Unavailable

_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """What is known of a stored file without reading it."""

    size_bytes: int
    content_type: str


class BlobStore(Protocol):
    """Where files are kept. Every call raises Unavailable when the place cannot be reached or is full."""

    def put_object(self, key: str, body: bytes, content_type: str) -> None:
        """Keep a file; it is on the disk when this returns. Keeping the same one again changes nothing."""

    def get_object(self, key: str) -> bytes:
        """Return a file's bytes. Raises NotFound."""

    def head_object(self, key: str) -> ObjectHead | None:
        """Return what is known of a file, None when it is not there."""

    def delete_object(self, key: str) -> None:
        """Remove a file; one that is not there is no error."""


def key_of(body: bytes) -> str:
    """Return the key of a content."""
    return sha256(body).hexdigest()


def store_at(env: Mapping[str, str]) -> FolderStore | None:
    """Return the store that LIAISON_BLOBS names, a folder; None when it names none.

    Raises BadSettings when the folder cannot be made or written to.
    """
    named = env.get("LIAISON_BLOBS")
    if not named:
        return None
    folder = Path(named).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadSettings(f"LIAISON_BLOBS: {folder}: {error.strerror}") from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise BadSettings(f"LIAISON_BLOBS: {folder} cannot be written to")
    return FolderStore(folder)


class FolderStore:
    """Keeps files in a folder: `ab/abcd…`, and beside each, as `ab/abcd….type`, what kind it is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put_object(self, key: str, body: bytes, content_type: str) -> None:
        """Keep a file. Raises ValueError when the key is not its content's."""
        if key != key_of(body):
            raise ValueError(f"{key!r} is not the SHA-256 of the content")
        path = self._path(key)
        try:
            if path.exists():
                return
            path.parent.mkdir(exist_ok=True)
            # The file itself comes last: when it is there, everything is.
            _write(path.with_suffix(".type"), content_type.encode())
            _write(path, body)
        except OSError as error:
            raise _away(error) from error

    def get_object(self, key: str) -> bytes:
        """Return a file's bytes. Raises NotFound."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise NotFound("this file is not kept any more", field="attachment_id") from None
        except OSError as error:
            raise _away(error) from error

    def head_object(self, key: str) -> ObjectHead | None:
        """Return what is known of a file, None when it is not there."""
        path = self._path(key)
        try:
            return ObjectHead(path.stat().st_size, path.with_suffix(".type").read_text("utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _away(error) from error

    def delete_object(self, key: str) -> None:
        """Remove a file; one that is not there is no error."""
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
            path.with_suffix(".type").unlink(missing_ok=True)
        except OSError as error:
            raise _away(error) from error

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is not a key: the SHA-256 of a content, in small letters")
        return self.folder / key[:2] / key


def _away(error: OSError) -> Unavailable:
    return Unavailable(f"the place of files cannot be used: {error.strerror}")


def _write(path: Path, body: bytes) -> None:
    """Write a file whole or not at all, and have it on the disk with its name."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(body)
            out.flush()
            os.fsync(out.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
