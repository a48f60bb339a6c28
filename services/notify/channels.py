"""The ways to the outside: how one message is handed over, and what came of it. Mail for now."""

from __future__ import annotations

import re
import smtplib
from email.errors import HeaderParseError
from email.utils import parseaddr
from time import monotonic

from services.notify.connections import Connection, Connections
from services.notify.letters import checked_address, mail_of
from services.notify.rules import Answer, Said
from services.notify.settings import SmtpServer
from services.notify.wording import Letter

#: A server may take its time with a whole mail; giving up on it early makes outcomes unknown (RFC 5321 4.5.3.2.6).
LAST_ANSWER_S = 60.0
#: Past this, the content is not sent any more: the call would outlive its lease, and somebody else would make it too.
MAX_DIALOGUE_S = 60.0

_ADDRESS = re.compile(r"[^\s<>()\[\]]*@[^\s<>()\[\]]*")
#: The server wants encryption or a login (RFC 4954 6): our settings are at fault, and the mail can wait for them.
_LOGIN_CODES = (530, 534, 535, 538)
#: The server closes the connection (RFC 5321 3.8).
_CLOSING = 421


class _Refusal(Exception):
    """The server said no. code: its reply code. for_good: the same mail will be refused again."""

    def __init__(self, code: int, text: bytes, *, for_good: bool) -> None:
        super().__init__(f"{code} {without_addresses(text.decode('utf-8', 'replace'))}"[:300])
        self.code = code
        self.for_good = for_good


def without_addresses(text: str) -> str:
    """Return a server's words without anybody's e-mail address, fit for logs and events."""
    return _ADDRESS.sub("<address>", " ".join(text.split()))


class MailChannel:
    """Hands mails to one SMTP server, from any thread. sender: an address, with or without name."""

    def __init__(self, server: SmtpServer, sender: str) -> None:
        self._connections = Connections(server)
        self._sender_name, self._sender = parseaddr(sender)

    @property
    def domain(self) -> str:
        """The domain that our messages' ids are made in."""
        return self._sender.rpartition("@")[2]

    def send(self, letter: Letter) -> Answer:
        """Hand a mail over and say what came of it; nothing is raised.

        REFUSED: the server will not take this mail. LATER: it surely was not taken. UNCLEAR: the whole mail was
        sent and the answer was lost.
        """
        try:
            address = checked_address(letter.to_address)
            content = mail_of(letter, self._sender_name, self._sender)
        except (ValueError, IndexError, HeaderParseError) as error:
            return Answer(Said.REFUSED, reason=f"no mail can be written: {type(error).__name__}")
        try:
            return self._handed_over(address, content)
        except _Refusal as refusal:
            return Answer(Said.REFUSED if refusal.for_good else Said.LATER, refusal.code, str(refusal))
        except smtplib.SMTPResponseException as error:
            text = error.smtp_error if isinstance(error.smtp_error, bytes) else error.smtp_error.encode()
            return Answer(Said.LATER, error.smtp_code, str(_Refusal(error.smtp_code, text, for_good=False)))
        except (OSError, smtplib.SMTPException) as error:
            return Answer(Said.LATER, reason=without_addresses(f"{type(error).__name__}: {error}")[:300])

    def close(self) -> None:
        """Take leave of the server."""
        self._connections.close()

    def _handed_over(self, address: str, content: bytes) -> Answer:
        """Send a mail and return what the server said. Raises what kept it from taking the content."""
        started = monotonic()
        connection = self._offered(address)
        code = 0
        try:
            if monotonic() - started > MAX_DIALOGUE_S:
                return Answer(Said.LATER, reason="the server was too slow")
            # A server must not take a mail whose last line it has not seen, so a failure here is none of its doing.
            connection.smtp.send(content)
            answer = _last_answer(connection.smtp)
            code = answer.code
            return answer
        finally:
            self._let_go(connection, in_order=200 <= code < 300 or _is_for_good(code))

    def _offered(self, address: str) -> Connection:
        """Return a connection over which the server has consented to take the content.

        The server may have had enough of one that was used before. Nothing of this mail was sent over it, so the mail
        is offered again over a new one.
        """
        connection = self._connections.take()
        is_new = not connection.mails
        try:
            self._offer(connection, address)
            return connection
        except _Refusal as refusal:
            if is_new or refusal.code != _CLOSING:
                raise
        except (smtplib.SMTPServerDisconnected, ConnectionError):
            if is_new:
                raise
        connection = self._connections.opened()
        self._offer(connection, address)
        return connection

    def _offer(self, connection: Connection, address: str) -> None:
        """Go through the dialogue up to the server's consent to take the content."""
        smtp = connection.smtp
        connection.mails += 1
        try:
            _must(smtp.mail(self._sender), 250)
            # 251 and 252 promise to forward or to try (RFC 5321 3.4, 3.5.3).
            _must(smtp.rcpt(address), 250, 251, 252)
            _must(smtp.docmd("DATA"), 354)
        except _Refusal as refusal:
            self._let_go(connection, in_order=refusal.for_good)
            raise
        except BaseException:
            self._let_go(connection, in_order=False)
            raise

    def _let_go(self, connection: Connection, *, in_order: bool) -> None:
        """Keep a connection whose dialogue ended in order; what the server may mean by another end is not guessed."""
        if in_order:
            self._connections.give_back(connection)
        else:
            # Without taking leave: in the middle of a mail that would be its next line.
            connection.smtp.close()


def _must(reply: tuple[int, bytes], *codes: int) -> None:
    code, text = reply
    if code not in codes:
        raise _Refusal(code, text, for_good=_is_for_good(code))


def _is_for_good(code: int) -> bool:
    return 500 <= code < 600 and code not in _LOGIN_CODES


def _last_answer(smtp: smtplib.SMTP) -> Answer:
    """Return what the server said to the whole mail. Without an answer nobody knows whether it took it."""
    try:
        if smtp.sock is not None:
            smtp.sock.settimeout(LAST_ANSWER_S)
        code, text = smtp.getreply()
    except (OSError, smtplib.SMTPException) as error:
        return Answer(Said.UNCLEAR, reason=f"no answer to the whole mail: {type(error).__name__}")
    words = without_addresses(text.decode("utf-8", "replace"))[:300]
    if 200 <= code < 300:
        return Answer(Said.ACCEPTED, code)
    if 400 <= code < 500:
        return Answer(Said.LATER, code, f"{code} {words}")
    return Answer(Said.REFUSED if 500 <= code < 600 else Said.UNCLEAR, max(code, 0), f"{code} {words}")
