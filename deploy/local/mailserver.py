"""An SMTP server that keeps what it gets, with a page to look at it; a test may make it fail on purpose."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.mailbox import MailFolder
from deploy.local.mailpage import MailPage
from liaison.installation import HOST

_SIZE_LIMIT_BYTES = 25 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to a mail after its last line has arrived.

    answer: the SMTP line that the sender gets; None closes the connection without one.
    """

    keep: bool
    answer: str | None


KEEP = Verdict(True, "250 kept")
TRY_LATER = Verdict(False, "451 4.3.0 try again later")
REFUSE = Verdict(False, "550 5.1.1 no such mailbox")
DROP = Verdict(False, None)
#: The sender cannot know whether it was taken: the case that no protocol can prevent.
KEEP_AND_DROP = Verdict(True, None)

#: Judges a mail by sender, recipients and content.
Judge = Callable[[str, list[str], bytes], Verdict]


def keep_all(_sender: str, _to: list[str], _content: bytes) -> Verdict:
    """Keep every mail."""
    return KEEP


class KeepingHandler:
    """Takes mails from aiosmtpd and keeps them, as far as `judge` lets it."""

    def __init__(self, folder: MailFolder, judge: Judge = keep_all) -> None:
        self._folder = folder
        self._judge = judge

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 (its name)
        """Answer 250 only after the mail is on the disk."""
        sender, to = envelope.mail_from or "", list(envelope.rcpt_tos)
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        verdict = self._judge(sender, to, content)
        if verdict.keep:
            try:
                await asyncio.to_thread(self._folder.keep, content, sender=sender, to=to)
            except OSError as error:
                return f"452 4.3.1 not kept: {error.strerror}"
        if verdict.answer is None:
            if isinstance(server.transport, asyncio.WriteTransport):
                server.transport.abort()
            return "421 4.3.0 closing"
        return verdict.answer


class _Controller(Controller):
    """aiosmtpd's, which ends only when every connection is closed."""

    def cancel_tasks(self, stop_loop: bool = True) -> None:
        self._ending = self.loop.create_task(self._end())

    async def _end(self) -> None:
        if self.server is not None:
            self.server.close()
        others = asyncio.all_tasks() - {self._ending}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        # Whatever a task has closed at its end is gone one round later.
        await asyncio.sleep(0)
        self.loop.stop()


class MailServer:
    """The server on its own threads; use as a context manager."""

    def __init__(self, folder: MailFolder, smtp_port: int, page_port: int, judge: Judge = keep_all) -> None:
        handler = KeepingHandler(folder, judge)
        self._smtp = _Controller(
            handler, hostname=HOST, port=smtp_port, data_size_limit=_SIZE_LIMIT_BYTES, enable_SMTPUTF8=True
        )
        self._page = MailPage(folder, page_port)

    def __enter__(self) -> "MailServer":
        self._smtp.start()
        self._page.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._page.stop()
        self._smtp.stop()


def serve(folder: MailFolder, smtp_port: int, page_port: int) -> None:
    """Run the server until SIGTERM or SIGINT."""
    stopping = {signal.SIGTERM, signal.SIGINT}
    # Blocked before the first thread starts, so that no thread but this one takes them.
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    with MailServer(folder, smtp_port, page_port):
        signal.sigwait(stopping)
