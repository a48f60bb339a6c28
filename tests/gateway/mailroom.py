"""A mailbox on a real IMAP server, as others put mails into it and look into its folders."""

from __future__ import annotations

import imaplib
from collections.abc import Sequence

from deploy.local import dovecot
from liaison.installation import HOST, MAILBOX_PASSWORD, Installation
from services.gateway.mail.mailbox import MailboxAddress


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
