"""What becomes of a mail: judged, recorded and told, once for each Message-ID."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from contracts.gateway import AttachedFile, TicketRequested, TicketUpdateRequested
from contracts.markings import advice_on
from contracts.words import Channel
from eventkit.blobs import key_of
from services.gateway import files
from services.gateway.mail import rules
from services.gateway.mail.reading import Mail, MailFile
from services.gateway.mail.words import own_words

if TYPE_CHECKING:
    from eventkit.blobs import BlobStore
    from services.gateway.mail.storage import MailStore

#: An event is at most 64 KiB; a longer text goes with it as a file.
MAX_TEXT = 10_000
_MAX_TITLE = 200
MAX_FILES = 20
_UNREADABLE = "无法读取的邮件"
_NO_SUBJECT = "(无主题)"


class Became(enum.StrEnum):
    """What became of a mail."""

    REQUEST = "request"
    COMMENT = "comment"
    IGNORED = "ignored"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Topic:
    """Which ticket a mail is about: by its number, else by the mail that asked for it; a new one when both are None."""

    number: str | None = None
    request_id: str | None = None

    @property
    def is_new(self) -> bool:
        """Whether the mail asks for a ticket of its own."""
        return self.number is None and self.request_id is None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is kept of a mail."""

    mail_id: str
    message_id: str
    sender: str
    title: str
    became: Became
    reason: str = ""
    topic: Topic = Topic()


@dataclass(frozen=True, slots=True)
class Guards:
    """own_addresses: in small letters; what comes from them is a loop. max_per_hour: mails of one sender.

    checked_by: the name under which our mail server writes whether a sender is genuine; empty when it does not.
    """

    own_addresses: frozenset[str]
    max_per_hour: int = rules.MAX_PER_HOUR
    max_file_bytes: int = files.MAX_FILE_BYTES
    checked_by: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What a mail says, ready to be told. attached: the files that are kept."""

    text: str
    attached: tuple[AttachedFile, ...]


def keep_files(mail: Mail, topic: Topic, blobs: BlobStore | None, guards: Guards) -> Content:
    """Keep a mail's files, outside of any transaction, and return what it says, with why some were not kept.

    What is surely ignored leaves nothing. Raises Unavailable.
    """
    if rules.reason_to_ignore(mail, own_addresses=guards.own_addresses, sent_last_hour=0):
        return Content("", ())
    attached, left_out = [], []
    for number, file in enumerate(mail.files, 1):
        name = files.file_name(file.name)
        if reason := _refused(file, name, number, blobs, guards):
            left_out.append(f"[附件未保存:{name or '?'}:{reason}]")
        elif blobs is not None:
            attached.append(_kept(blobs, f"{mail.id}-{number}", name, file.body))
    said = own_words(mail.text, is_reply=not topic.is_new)
    text, whole = _short("\n".join([said, *([""] if left_out else []), *left_out]), mail.id, blobs)
    return Content(text, (*attached, *whole))


def _refused(file: MailFile, name: str, number: int, blobs: BlobStore | None, guards: Guards) -> str | None:
    if blobs is None:
        return "没有设置保存附件的地方(LIAISON_BLOBS)"
    if number > MAX_FILES:
        return f"一封邮件最多 {MAX_FILES} 个附件"
    if file.problem:
        return file.problem
    refused = files.refusal_of(name, file.content_type, file.body, max_bytes=guards.max_file_bytes)
    return refused.reason if refused else None


def _kept(blobs: BlobStore, file_id: str, name: str, body: bytes) -> AttachedFile:
    key, content_type = key_of(body), files.type_of(name)
    blobs.put_object(key, body, content_type)
    return AttachedFile(id=file_id, name=name, size_bytes=len(body), sha256=key, content_type=content_type)


def take(store: MailStore, mail: Mail, topic: Topic, content: Content, guards: Guards) -> Outcome | None:
    """Judge a mail, record what becomes of it and tell it; None for one that came before."""
    reason = rules.reason_to_ignore(
        mail,
        own_addresses=guards.own_addresses,
        sent_last_hour=store.sent_last_hour(mail.sender),
        max_per_hour=guards.max_per_hour,
    )
    title = (mail.subject or _NO_SUBJECT)[:_MAX_TITLE]
    known = (mail.id, mail.message_id, mail.sender, title)
    if reason:
        outcome = Outcome(*known, Became.IGNORED, reason)
        return outcome if store.record(outcome) else None
    outcome = Outcome(*known, Became.REQUEST if topic.is_new else Became.COMMENT, topic=topic)
    if not store.record(outcome):
        return None
    # What asked for a ticket and what is said about it have one subject, so that they arrive in their order.
    about = topic.request_id or mail.id
    store.emit(_fact(outcome, content), mail_id=mail.id, subject=topic.number or about, externalref=about)
    return outcome


def _fact(outcome: Outcome, content: Content) -> TicketRequested | TicketUpdateRequested:
    common: dict[str, Any] = {
        "title": outcome.title,
        "mail_from": outcome.sender,
        "attachments": content.attached,
    }
    if outcome.topic.is_new:
        return TicketRequested(description=content.text, channel=Channel.MAIL, **common)
    return TicketUpdateRequested(number=outcome.topic.number, comment=content.text, **common)


def _short(text: str, mail_id: str, blobs: BlobStore | None) -> tuple[str, Sequence[AttachedFile]]:
    """Return a text that fits into an event, and the whole of it as a file when it had to be cut."""
    clean = "".join(one for one in text if one.isprintable() or one in "\n\t" or one == "\u3000")
    if len(clean) <= MAX_TEXT:
        return clean, ()
    if blobs is None:
        return f"{clean[:MAX_TEXT]}\n[正文过长,其余部分在邮箱里]", ()
    whole = _kept(blobs, f"{mail_id}-text", "邮件全文.txt", clean.encode())
    return f"{clean[:MAX_TEXT]}\n[正文过长,全文见附件 {whole.name}]", (whole,)


def hand_over(store: MailStore, head: Mail, reason: str, raw: AttachedFile | None, guards: Guards) -> Outcome | None:
    """Have a person look at a mail that cannot be read; None for one that came before, or that no person has sent."""
    title = f"{_UNREADABLE}:{head.subject or head.sender or head.message_id or '?'}"[:_MAX_TITLE]
    known = (head.id, head.message_id, head.sender, head.subject[:_MAX_TITLE])
    ignored_for = rules.reason_to_ignore(
        head,
        own_addresses=guards.own_addresses,
        sent_last_hour=store.sent_last_hour(head.sender) if head.sender else 0,
        max_per_hour=guards.max_per_hour,
    )
    if ignored_for:
        outcome = Outcome(*known, Became.IGNORED, f"{ignored_for}; and unreadable: {reason}")
        return outcome if store.record(outcome) else None
    outcome = Outcome(*known, Became.UNREADABLE, reason)
    if not store.record(outcome):
        return None
    where = f"原邮件见附件 {raw.name}。" if raw else "原邮件留在邮箱的文件夹里。"
    asked = TicketRequested(
        title=title,
        description=f"发件人:{head.sender or '?'}\n主题:{head.subject or '?'}\n原因:{reason}\n{where}",
        channel=Channel.MAIL,
        mail_from=head.sender or None,
        attachments=(raw,) if raw else (),
    )
    store.emit(asked, mail_id=head.id, subject=head.id, externalref=head.id)
    return outcome


def keep_out(mail: Mail) -> tuple[Mail, str] | None:
    """Return a mail that bears a secret's marking without its words, and the advice; None for every other (S6)."""
    marking = rules.marking_of(mail)
    if marking is None:
        return None
    return replace(mail, subject="", text="", files=()), advice_on(marking)


def keep_raw(head: Mail, raw: bytes, blobs: BlobStore | None, guards: Guards) -> AttachedFile | None:
    """Keep a whole mail as a file; None when it is too large, or there is no place. Raises Unavailable."""
    if blobs is None or not raw or len(raw) > guards.max_file_bytes:
        return None
    return _kept(blobs, f"{head.id}-raw", "原邮件.eml", raw)
