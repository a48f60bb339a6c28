"""The ways to the outside: how one message is handed over, and what came of it. Mail for now."""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from time import monotonic

from services.notify.rules import Answer, Said
from services.notify.settings import SmtpServer
from services.notify.wording import Letter

TIMEOUT_S = 20.0
#: A server may take its time with a whole mail; giving up on it early makes outcomes unknown (RFC 5321 4.5.3.2.6).
LAST_ANSWER_S = 60.0
#: Past this, the content is not sent any more: the call would outlive its lease, and somebody else would make it too.
MAX_DIALOGUE_S = 60.0
#: Longer than any call can take: the dialogue, one command, the content, the last answer.
LEASE_S = 180.0

_ADDRESS = re.compile(r"[^\s<>()\[\]]*@[^\s<>()\[\]]*")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)
#: The server wants encryption or a login (RFC 4954 6): our settings are at fault, and the mail can wait for them.
_LOGIN_CODES = (530, 534, 535, 538)
_POLICY = SMTP.clone(cte_type="7bit")


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
    """Hands mails to one SMTP server, each over a connection of its own. sender: an address, with or without name."""

    def __init__(self, server: SmtpServer, sender: str) -> None:
        self._server = server
        self._sender_name, self._sender = parseaddr(sender)
        self._tls = None if server.scheme == "smtp" else ssl.create_default_context()

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
            address, content = self._written(letter)
        except (ValueError, IndexError, HeaderParseError) as error:
            return Answer(Said.REFUSED, reason=f"no mail can be written: {type(error).__name__}")
        started = monotonic()
        smtp: smtplib.SMTP | None = None
        try:
            smtp = self._connected()
            self._offered(smtp, address)
            if monotonic() - started > MAX_DIALOGUE_S:
                return Answer(Said.LATER, reason="the server was too slow")
            # A server must not take a mail whose last line it has not seen, so a failure here is none of its doing.
            smtp.send(content)
            answer = _last_answer(smtp)
            with contextlib.suppress(OSError, smtplib.SMTPException):
                smtp.putcmd("quit")
            return answer
        except _Refusal as refusal:
            return Answer(Said.REFUSED if refusal.for_good else Said.LATER, refusal.code, str(refusal))
        except smtplib.SMTPResponseException as error:
            text = error.smtp_error if isinstance(error.smtp_error, bytes) else error.smtp_error.encode()
            return Answer(Said.LATER, error.smtp_code, str(_Refusal(error.smtp_code, text, for_good=False)))
        except (OSError, smtplib.SMTPException) as error:
            return Answer(Said.LATER, reason=without_addresses(f"{type(error).__name__}: {error}")[:300])
        finally:
            if smtp is not None:
                smtp.close()

    def _written(self, letter: Letter) -> tuple[str, bytes]:
        """Return the recipient's address and the mail as bytes. Raises ValueError for an address that is none."""
        to = Address(letter.to_name, addr_spec=letter.to_address)
        mail = EmailMessage(policy=_POLICY)
        mail["From"] = Address(self._sender_name, addr_spec=self._sender)
        mail["To"] = to
        mail["Subject"] = letter.subject
        mail["Date"] = formatdate()
        mail["Message-ID"] = letter.message_id
        # Keeps out-of-office replies from answering a machine (RFC 3834).
        mail["Auto-Submitted"] = "auto-generated"
        if letter.is_urgent:
            mail["Importance"] = "high"
            mail["X-Priority"] = "1"
        mail.set_content(letter.text)
        if not to.addr_spec.isascii():
            raise ValueError("the address is not ASCII")
        return to.addr_spec, _LEADING_DOT.sub(b"..", mail.as_bytes()) + b".\r\n"

    def _connected(self) -> smtplib.SMTP:
        """Return a connection that has said hello and logged in; a no in this part is our fault, not the mail's."""
        server = self._server
        if server.scheme == "smtps":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=self._tls)
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
        try:
            smtp.ehlo_or_helo_if_needed()
            if server.scheme == "smtp+starttls":
                smtp.starttls(context=self._tls)
                smtp.ehlo()
            if server.user:
                smtp.login(server.user, server.password)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _offered(self, smtp: smtplib.SMTP, address: str) -> None:
        """Go through the dialogue up to the server's consent to take the content."""
        _must(smtp.mail(self._sender), 250)
        # 251 and 252 promise to forward or to try (RFC 5321 3.4, 3.5.3).
        _must(smtp.rcpt(address), 250, 251, 252)
        _must(smtp.docmd("DATA"), 354)


def _must(reply: tuple[int, bytes], *codes: int) -> None:
    code, text = reply
    if code not in codes:
        raise _Refusal(code, text, for_good=500 <= code < 600 and code not in _LOGIN_CODES)


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
