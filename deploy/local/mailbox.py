"""Mails kept as files, in the layout called Maildir: any mail program can open the folder."""

import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path


@dataclass(frozen=True, slots=True)
class KeptMail:
    """One mail as it came, decoded for reading.

    kept_at: when it was written to disk; aware, UTC.
    to: the addresses that it was sent to, which its own header need not name.
    """

    name: str
    kept_at: datetime
    sender: str
    to: tuple[str, ...]
    subject: str
    text: str
    raw: bytes


class MailFolder:
    """A folder of kept mails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for part in ("tmp", "new", "cur"):
            (folder / part).mkdir(parents=True, exist_ok=True)

    def keep(self, content: bytes, *, sender: str, to: Sequence[str]) -> str:
        """Write a mail so that it survives a crash of the machine, and return its name.

        sender, to: the addresses of the SMTP dialogue; put in front of the mail as Return-Path and Delivered-To.
        Raises: OSError if it could not be kept.
        """
        name = f"{time.time_ns()}.{secrets.token_hex(8)}.liaison"
        envelope = "".join(f"{key}: {value}\r\n" for key, value in _envelope(sender, to))
        draft = self._folder / "tmp" / name
        with draft.open("xb") as out:
            out.write(envelope.encode() + content)
            out.flush()
            os.fsync(out.fileno())
        draft.rename(self._folder / "new" / name)
        directory = os.open(self._folder / "new", os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return name

    def newest(self, count: int) -> list[KeptMail]:
        """Return the last `count` mails, the newest first."""
        paths = [path for part in ("new", "cur") for path in (self._folder / part).iterdir()]
        return [_read(path) for path in sorted(paths, key=_moment_ns, reverse=True)[:count]]

    def count(self) -> int:
        """Return how many mails are kept."""
        return sum(1 for part in ("new", "cur") for _ in (self._folder / part).iterdir())


def _envelope(sender: str, to: Sequence[str]) -> list[tuple[str, str]]:
    return [("Return-Path", f"<{sender}>"), *(("Delivered-To", address) for address in to)]


def _moment_ns(path: Path) -> int:
    moment = path.name.partition(".")[0]
    return int(moment) if moment.isdigit() else path.stat().st_mtime_ns


def _read(path: Path) -> KeptMail:
    raw = path.read_bytes()
    mail = message_from_bytes(raw, policy=policy.default)
    body = mail.get_body(("plain", "html"))
    return KeptMail(
        name=path.name,
        kept_at=datetime.fromtimestamp(_moment_ns(path) / 1e9, UTC),
        sender=str(mail["Return-Path"] or "").strip("<>"),
        to=tuple(str(address) for address in mail.get_all("Delivered-To", [])),
        subject=str(mail["Subject"] or ""),
        text=_text(body.get_payload(decode=True), body.get_content_charset()) if body else "",
        raw=raw,
    )


def _text(payload: object, charset: str | None) -> str:
    """Decode a body; a wrong or unknown charset still shows something."""
    content = payload if isinstance(payload, bytes) else b""
    try:
        return content.decode(charset or "utf-8", "replace")
    except LookupError:
        return content.decode("utf-8", "replace")
