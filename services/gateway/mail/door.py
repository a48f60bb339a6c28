"""The mail door: looks into the mailbox again and again, and takes what lies there, one mail a transaction.

A mail's files are kept before its transaction, the mail is put away after it. Killed in between, the door fetches the
mail again, or finds it taken and only puts it away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from eventkit.blobs import BlobStore
from eventkit.database import is_lost_connection, is_serialization_failure
from eventkit.errors import Unavailable
from eventkit.firing import Loop
from eventkit.telemetry import log
from eventkit.work import Work
from services.gateway.mail import reading, rules, usecases
from services.gateway.mail.mailbox import DONE, PROBLEM, Mailbox
from services.gateway.mail.settings import MailSettings
from services.gateway.mail.storage import SOURCE, MailStore, seen, topic_of
from services.gateway.mail.usecases import Became, Outcome

_RETRY_S = 30.0
_HEAD_BYTES = 256 * 1024


class MailMetrics:
    """What the mail door tells, all declared here."""

    def __init__(self, registry: CollectorRegistry) -> None:
        told = "Whether the mailbox answers: 1 or 0. Without a mailbox 1."
        self.up = Gauge("liaison_gateway_mailbox_up", told, registry=registry)
        self.up.set(1)
        self.mails = Counter("liaison_gateway_mails", "Mails by what became of them.", ("became",), registry=registry)
        for became in (*Became, "repeat"):
            self.mails.labels(str(became))


class MailDoor:
    """Reads one mailbox. on_commit: wakes the relay for what was just committed."""

    def __init__(
        self,
        settings: MailSettings,
        engine: Engine,
        blobs: BlobStore | None,
        metrics: MailMetrics,
        on_commit: Callable[[Work], None],
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._blobs = blobs
        self._metrics = metrics
        self._on_commit = on_commit
        self._mailbox: Mailbox | None = None
        self._looking = Loop("mail", self.look)
        self._stopping = False
        self._problem = ""

    def run(self) -> None:
        """Look again and again until stopped, through any outage of mailbox and database."""
        try:
            self._looking.run()
        finally:
            self.close()

    def look(self) -> float:
        """Take what lies in the mailbox and return the seconds until the next look; what is away is tried again."""
        try:
            if self._mailbox is None:
                self._mailbox = Mailbox(self._settings.address)
            self._take_all(self._mailbox)
        except Unavailable as error:
            self.close()
            self._metrics.up.set(0)
            if str(error) != self._problem:
                log.warning("the mailbox or its place of files is away", extra={"problem": str(error)})
            self._problem = str(error)
            return min(_RETRY_S, self._settings.poll_s * 2)
        except BaseException:
            self.close()
            raise
        self._metrics.up.set(1)
        if self._problem:
            log.info("the mailbox is back")
        self._problem = ""
        return self._settings.poll_s

    def stop(self) -> None:
        """Take no further mail."""
        self._stopping = True
        self._looking.stop()

    def close(self) -> None:
        """Take leave of the mailbox."""
        if self._mailbox is not None:
            self._mailbox.close()
            self._mailbox = None

    def _take_all(self, mailbox: Mailbox) -> None:
        uids = mailbox.uids()
        with self._engine.connect() as connection:
            known = seen(connection, mailbox.validity, uids)
        for uid in uids:
            if self._stopping:
                return
            if uid in known:
                # Taken before, by a process that ended before it could put the mail away.
                mailbox.put_away(uid, DONE)
            else:
                self._take_or_show(mailbox, uid)

    def _take_or_show(self, mailbox: Mailbox, uid: int) -> None:
        """Take a message; one that cannot be taken for a reason that nobody foresaw is shown to a person."""
        try:
            self._take(mailbox, uid)
        except Unavailable:
            raise
        except DBAPIError as error:
            if is_lost_connection(error) or is_serialization_failure(error):
                raise
            self._show(mailbox, uid, error)
        except Exception as error:  # Whatever somebody sends, the next mail must be read.
            self._show(mailbox, uid, error)

    def _show(self, mailbox: Mailbox, uid: int, error: Exception) -> None:
        log.error("a mail cannot be taken", extra={"uid": uid, "error": type(error).__name__})
        head = reading.head_of(f"Message-ID: <{mailbox.validity}.{uid}@mailbox>\r\n\r\n".encode())
        self._hand_over(mailbox, uid, head, b"", f"taking it failed: {type(error).__name__}")

    def _take(self, mailbox: Mailbox, uid: int) -> None:
        size = mailbox.size(uid)
        if size is None:
            return
        if size > self._settings.max_mail_bytes:
            head = reading.head_of(mailbox.head(uid, _HEAD_BYTES) or b"")
            reason = f"it has {size} bytes; at most {self._settings.max_mail_bytes} are read"
            self._hand_over(mailbox, uid, head, b"", reason)
            return
        raw = mailbox.message(uid)
        if raw is None:
            return
        try:
            mail = reading.read(raw)
        except (reading.Unreadable, RecursionError) as error:
            self._hand_over(mailbox, uid, reading.head_of(raw), raw, str(error))
        else:
            self._take_read(mailbox, uid, mail, raw)

    def _take_read(self, mailbox: Mailbox, uid: int, mail: reading.Mail, raw: bytes) -> None:
        guards = self._settings.guards
        if kept_out := usecases.keep_out(mail):
            self._hand_over(mailbox, uid, kept_out[0], b"", kept_out[1])
            return
        if doubt := rules.forgery_of(mail, guards.checked_by):
            # In nobody's name: whoever it claims to be from must not be answered, nor speak on a ticket.
            self._hand_over(mailbox, uid, replace(mail, sender=""), raw, doubt)
            return
        with self._engine.connect() as connection:
            topic = topic_of(connection, mail)
        content = usecases.keep_files(mail, topic, self._blobs, guards)
        outcome = self._committed(
            mailbox.validity, uid, mail.id, lambda store: usecases.take(store, mail, topic, content, guards)
        )
        self._finish(mailbox, uid, outcome)

    def _hand_over(self, mailbox: Mailbox, uid: int, head: reading.Mail, raw: bytes, reason: str) -> None:
        guards = self._settings.guards
        kept = usecases.keep_raw(head, raw, self._blobs, guards)
        outcome = self._committed(
            mailbox.validity, uid, head.id, lambda store: usecases.hand_over(store, head, reason, kept, guards)
        )
        self._finish(mailbox, uid, outcome)

    def _committed(
        self, validity: int, uid: int, mail_id: str, decide: Callable[[MailStore], Outcome | None]
    ) -> Outcome | None:
        with self._engine.begin() as connection:
            now = connection.execute(text("select now()")).scalar_one()
            work = Work(connection, source=SOURCE, now=now)
            store = MailStore(work)
            outcome = decide(store)
            store.saw(validity, uid, mail_id)
            work.flush()
        self._on_commit(work)
        return outcome

    def _finish(self, mailbox: Mailbox, uid: int, outcome: Outcome | None) -> None:
        self._metrics.mails.labels(str(outcome.became) if outcome else "repeat").inc()
        mailbox.put_away(uid, PROBLEM if outcome and outcome.became is Became.UNREADABLE else DONE)
