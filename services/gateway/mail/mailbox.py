"""A mailbox over IMAP: what lies in it, its messages, and putting them away. Nothing is ever deleted.

Sources: RFC 3501; RFC 6851 (MOVE); RFC 2971 (ID, without which some Chinese providers show an empty mailbox).
"""

from __future__ import annotations

import imaplib
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from eventkit.errors import BadSettings, Unavailable

TIMEOUT_S = 30
#: Where messages go that were read, and those that a person should look at.
DONE, PROBLEM = ("Liaison", "Done"), ("Liaison", "Problem")
_PORTS = {"imap": 143, "imaps": 993}
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
_SEPARATOR = re.compile(rb'\([^)]*\) (?:"(.)"|NIL) ')


@dataclass(frozen=True, slots=True)
class MailboxAddress:
    """Where a mailbox is. secure: TLS from the first byte."""

    host: str
    port: int
    secure: bool
    user: str
    password: str = field(repr=False)
    folder: str = "INBOX"

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> MailboxAddress | None:
        """Read LIAISON_MAILBOX (imaps://user@host:port/INBOX) and LIAISON_MAILBOX_PASSWORD, or the file of _FILE.

        Returns: None without LIAISON_MAILBOX. Raises BadSettings.
        """
        given = env.get("LIAISON_MAILBOX")
        if not given:
            return None
        try:
            parts = urlsplit(given)
            port = parts.port or _PORTS[parts.scheme]
            # A user's name often has an `@` itself.
            user = unquote(parts.netloc.rpartition("@")[0].partition(":")[0])
        except (ValueError, KeyError):
            raise BadSettings("LIAISON_MAILBOX: expected imaps://user@host:port/INBOX") from None
        if not parts.hostname or not user or parts.password is not None:
            raise BadSettings("LIAISON_MAILBOX: expected imaps://user@host:port/INBOX, without a password")
        folder = unquote(parts.path.strip("/")) or "INBOX"
        return cls(parts.hostname, port, parts.scheme == "imaps", user, _password(env), folder)


def _password(env: Mapping[str, str]) -> str:
    named = env.get("LIAISON_MAILBOX_PASSWORD_FILE")
    try:
        password = open_text(named) if named else env.get("LIAISON_MAILBOX_PASSWORD", "")
    except OSError as error:
        raise BadSettings(f"LIAISON_MAILBOX_PASSWORD_FILE: {error.strerror}") from None
    if not password:
        raise BadSettings("LIAISON_MAILBOX needs LIAISON_MAILBOX_PASSWORD, or LIAISON_MAILBOX_PASSWORD_FILE")
    return password


def open_text(path: str) -> str:
    """Return what stands in a file, without the end of its line."""
    with open(path, encoding="utf-8") as file:
        return file.read().strip("\r\n")


class Mailbox:
    """A mailbox that is open. Every method raises Unavailable when the server does not answer, or says no.

    validity: the UIDVALIDITY, without which a message's number means nothing.
    """

    def __init__(self, address: MailboxAddress) -> None:
        with _answered():
            self._server = _connected(address)
        try:
            with _answered():
                self._server.login(address.user, address.password)
                self._abilities = _done("CAPABILITY", self._server.capability())[0].upper().split()
                if b"ID" in self._abilities:
                    self._server.xatom("ID", '("name" "liaison" "version" "1")')
                _done("SELECT", self._server.select(_quoted(address.folder)))
                self.validity = int(self._server.response("UIDVALIDITY")[1][0] or 0)
                self._separator = _separator(_done("LIST", self._server.list('""', '""')))
        except BaseException:
            self.close()
            raise
        self._folders: dict[tuple[str, ...], str] = {}
        self._marked: set[int] = set()

    def close(self) -> None:
        """Take leave of the server, in whatever state the connection is."""
        with suppress(OSError, imaplib.IMAP4.error):
            self._server.shutdown()

    def uids(self) -> list[int]:
        """Return the numbers of the messages that lie in the mailbox, oldest first."""
        with _answered():
            # Without it the server shows what was there at the beginning.
            _done("NOOP", self._server.noop())
            found = _done("SEARCH", self._server.uid("SEARCH", "UNDELETED"))
        return sorted(int(one) for one in (found[0] or b"").split())

    def size(self, uid: int) -> int | None:
        """Return a message's size in bytes; None when it is not there any more."""
        with _answered():
            answer = _done("FETCH", self._server.uid("FETCH", str(uid), "(RFC822.SIZE)"))
        found = [match for line in answer if (match := _SIZE.search(_plain(line)))]
        return int(found[0][1]) if found else None

    def message(self, uid: int) -> bytes | None:
        """Return a message whole, without marking it as read; None when it is not there any more."""
        return self._body(uid, "(BODY.PEEK[])")

    def head(self, uid: int, most_bytes: int) -> bytes | None:
        """Return the beginning of a message's header; None when it is not there any more."""
        return self._body(uid, f"(BODY.PEEK[HEADER]<0.{most_bytes}>)")

    def put_away(self, uid: int, folder: tuple[str, ...]) -> None:
        """Move a message to a folder; where the server cannot move, mark it as read and leave it."""
        with _answered():
            if b"MOVE" in self._abilities:
                _done("MOVE", self._server.uid("MOVE", str(uid), _quoted(self._folder(folder))))
            elif uid not in self._marked:
                _done("STORE", self._server.uid("STORE", str(uid), "+FLAGS.SILENT", "(\\Seen)"))
                # It stays in the inbox and is found at every look.
                self._marked.add(uid)

    def _body(self, uid: int, what: str) -> bytes | None:
        with _answered():
            answer = _done("FETCH", self._server.uid("FETCH", str(uid), what))
        return next((bytes(part[1]) for part in answer if isinstance(part, tuple)), None)

    def _folder(self, path: tuple[str, ...]) -> str:
        """Return a folder's name on this server; it is made when it is not there."""
        if path not in self._folders:
            name = self._separator.join(path)
            within = self._separator.join(("INBOX", *path))
            # Some servers have every folder within the inbox.
            self._folders[path] = name if self._has(name) else within if self._has(within) else self._make(name, within)
        return self._folders[path]

    def _has(self, name: str) -> bool:
        return any(one for one in self._server.list('""', _quoted(name))[1])

    def _make(self, *names: str) -> str:
        for name in names:
            if self._server.create(_quoted(name))[0] == "OK":
                self._server.subscribe(_quoted(name))
                return name
        raise Unavailable(f"the mailbox lets no folder {names[0]!r} be made")


def _connected(address: MailboxAddress) -> imaplib.IMAP4:
    """Return a connection, encrypted when the server can: the password is not shown to others without need."""
    context = ssl.create_default_context()
    if address.secure:
        return imaplib.IMAP4_SSL(address.host, address.port, ssl_context=context, timeout=TIMEOUT_S)
    server = imaplib.IMAP4(address.host, address.port, timeout=TIMEOUT_S)
    if "STARTTLS" in server.capabilities:
        server.starttls(context)
    return server


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except (OSError, imaplib.IMAP4.error, ValueError) as error:
        raise Unavailable(f"mailbox: {type(error).__name__}: {error}"[:300]) from error


def _done(command: str, answer: tuple[str, list[Any]]) -> list[Any]:
    if answer[0] != "OK":
        raise Unavailable(f"mailbox: {command}: {answer[1][:1]!r}"[:300])
    return answer[1]


def _separator(answer: list[Any]) -> str:
    found = _SEPARATOR.match(_plain(answer[0])) if answer else None
    return found[1].decode() if found and found[1] else "/"


def _plain(line: Any) -> bytes:
    return bytes(line[0]) if isinstance(line, tuple) else bytes(line or b"")


def _quoted(name: str) -> str:
    encoded = name.encode("utf-7").decode().replace("+", "&") if not name.isascii() else name
    return '"' + encoded.replace("\\", "\\\\").replace('"', '\\"') + '"'
