"""A mailbox on a real IMAP server, as others put mails into it, and the door that reads it."""

from __future__ import annotations

import imaplib
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, text

from deploy.local import dovecot
from eventkit.blobs import FolderStore
from liaison.installation import HOST, MAILBOX_PASSWORD, Installation
from services.gateway.mail.door import MailDoor, MailMetrics
from services.gateway.mail.mailbox import MailboxAddress
from services.gateway.mail.settings import MailSettings
from services.gateway.mail.usecases import Guards

MAX_MAIL_BYTES = 200_000


class Mailroom:
    """The mailbox from outside."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    @property
    def address(self) -> MailboxAddress:
        """Where it is, for the door."""
        return MailboxAddress(HOST, self._port, False, dovecot.USER, self._password)

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a gateway that reads it."""
        return {
            "LIAISON_MAILBOX": f"imap://{dovecot.USER}@{HOST}:{self._port}/INBOX",
            "LIAISON_MAILBOX_PASSWORD": self._password,
            "LIAISON_MAILBOX_POLL_S": "0.3",
        }

    @property
    def _port(self) -> int:
        return self._installation.ports["imap"]

    @property
    def _password(self) -> str:
        return self._installation.passwords[MAILBOX_PASSWORD]

    def _open(self) -> imaplib.IMAP4:
        connection = imaplib.IMAP4(HOST, self._port, timeout=20)
        connection.login(dovecot.USER, self._password)
        return connection

    def put(self, *mails: bytes) -> None:
        """Let mails arrive."""
        with self._open() as connection:
            for raw in mails:
                assert connection.append("INBOX", None, None, raw)[0] == "OK"

    def lying_in(self, folder: str = "INBOX") -> list[bytes]:
        """Return the messages in a folder, oldest first; none when there is no such folder."""
        with self._open() as connection:
            if connection.select(f'"{folder}"', readonly=True)[0] != "OK":
                return []
            found = connection.uid("SEARCH", "ALL")[1][0]
            bodies: Sequence[bytes] = [
                connection.uid("FETCH", uid.decode(), "(BODY.PEEK[])")[1][0][1] for uid in (found or b"").split()
            ]
            return list(bodies)

    def restore(self) -> None:
        """Put what was put away back into the inbox, as a restored backup has it."""
        self.put(*self.lying_in("Liaison.Done"))

    def lose_numbers(self) -> None:
        """Have the server, which must not run, number the inbox anew: another UIDVALIDITY."""
        for path in (self._installation.home / "dovecot" / "mails" / "maildir").glob("dovecot*"):
            path.unlink()

    def clear(self) -> None:
        """Begin with an empty mailbox."""
        with self._open() as connection:
            for line in connection.list()[1]:
                assert isinstance(line, bytes)
                name = line.rpartition(b'"." ')[2].decode().strip('"')
                if connection.select(f'"{name}"')[0] != "OK":
                    continue
                connection.uid("STORE", "1:*", "+FLAGS.SILENT", "(\\Deleted)")
                connection.expunge()
                connection.unselect()
                if name != "INBOX":
                    connection.delete(f'"{name}"')


class Reader:
    """A mail door over a fresh database, looked through by hand."""

    def __init__(self, mailroom: Mailroom, engine: Engine, blobs: FolderStore) -> None:
        guards = Guards(frozenset({"desk@example.invalid"}), max_per_hour=5)
        self.settings = MailSettings(mailroom.address, guards, poll_s=20.0, max_mail_bytes=MAX_MAIL_BYTES)
        self.mailroom, self.engine, self.blobs = mailroom, engine, blobs
        self.registry = CollectorRegistry()
        self.metrics = MailMetrics(self.registry)
        self.woken = 0

    def door(self) -> MailDoor:
        """Return the door as a process that has just started has it."""

        def wake(_work: Any) -> None:
            self.woken += 1

        return MailDoor(self.settings, self.engine, self.blobs, self.metrics, wake)

    def look(self) -> float:
        """Start, look once, end."""
        door = self.door()
        try:
            return door.look()
        finally:
            door.close()

    def rows(self) -> list[Any]:
        """Return the list of mails, oldest first."""
        with self.engine.connect() as connection:
            return list(connection.execute(text("select * from mail_in order by arrived_at, id")).all())

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what was told, as short types with data."""
        statement = "select type, convert_from(payload, 'UTF8')::jsonb as data from eventkit.outbox order by position"
        with self.engine.connect() as connection:
            rows = connection.execute(text(statement)).all()
        return [(row.type.removeprefix("liaison.")[:-3], row.data) for row in rows]

    def up(self) -> float | None:
        """Return whether the metric says that the mailbox answers."""
        return self.registry.get_sample_value("liaison_gateway_mailbox_up")
