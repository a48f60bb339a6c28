"""The bytes of a mail as its parts: who wrote, what, in answer to what, and which files. Pure.

With the standard library's parser in its tolerant form: it takes any bytes, and never raises on a header.
Sources: RFC 5322, 2045 to 2047, 2231; what Chinese mail programs do instead (GB18030 under other names, raw bytes in
headers, file names encoded as words).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import collapse_rfc2231_value, getaddresses
from hashlib import sha256
from mimetypes import guess_extension
from types import MappingProxyType

from services.gateway.mail.markup import plain_text

_MAX_PARTS = 200
_MAX_DEPTH = 20
_MAX_ADDRESS = 254
#: A header is read so far, and all of them together, bytes: a longer one is an attack.
_MAX_HEADER = 10_000
_MAX_HEAD = 256 * 1024
#: A text is read so far, characters; the whole mail stays in the mailbox.
_MAX_TEXT = 500_000
_FOLD = re.compile(r"[\r\n]+([ \t])")
_IDS = re.compile(r"<([^<>\s]{1,500})>")
_ADDRESS = re.compile(r"[^@\s<>()\[\]]+@[^@\s<>()\[\]]+")
#: Names under which charsets come that Python knows otherwise, or knows too narrowly.
_CHARSETS: Mapping[str, str] = MappingProxyType(
    {
        "gb2312": "gb18030",
        "gbk": "gb18030",
        "x-gbk": "gb18030",
        "cp936": "gb18030",
        "gb_2312-80": "gb18030",
        "hz-gb-2312": "hz",
        "big5": "big5hkscs",
        "shift_jis": "cp932",
        "shift-jis": "cp932",
        "x-sjis": "cp932",
        "iso-2022-jp": "iso2022_jp_ext",
        "ks_c_5601-1987": "cp949",
        "iso-8859-1": "cp1252",
    }
)


class Unreadable(Exception):
    """Nobody but a person can read this mail; the message says why."""


@dataclass(frozen=True, slots=True)
class MailFile:
    """A file of a mail. problem: why its bytes could not be decoded."""

    name: str
    content_type: str
    body: bytes
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as far as the rules need it.

    id: what makes a second one the same: of the Message-ID, without one of the bytes. sender: an address in small
    letters, empty when there is none. answers: the Message-IDs that it answers, the nearest first. headers: by name in
    small letters, of each the first. is_report: it is a delivery report.
    """

    id: str
    message_id: str
    sender: str
    sender_name: str
    subject: str
    answers: tuple[str, ...]
    headers: Mapping[str, str]
    text: str
    files: tuple[MailFile, ...]
    is_report: bool


def head_of(raw: bytes) -> Mail:
    """Return what the header alone says; text and files are empty. Raises nothing."""
    # Its parts are not looked into: whatever they are made of, the header can be read.
    parsed = BytesHeaderParser(policy=policy.compat32).parsebytes(raw[:_MAX_HEAD])
    headers: dict[str, str] = {}
    for name, value in parsed.raw_items():
        headers.setdefault(name.lower(), _printable(words_of(value[:_MAX_HEADER])))
    [message_id] = _IDS.findall(headers.get("message-id", ""))[:1] or [""]
    sender_name, sender = _sender(headers)
    answers = [*_IDS.findall(headers.get("in-reply-to", "")), *_IDS.findall(headers.get("references", ""))[::-1]]
    return Mail(
        id=_digest(message_id.encode() or raw),
        message_id=message_id,
        sender=sender,
        sender_name=sender_name,
        subject=_line(headers.get("subject", "")),
        answers=tuple(dict.fromkeys(answers)),
        headers=headers,
        text="",
        files=(),
        is_report=parsed.get_content_type() == "multipart/report",
    )


def id_of(message_id: str) -> str:
    """Return the id of the mail that has a Message-ID."""
    return _digest(message_id.encode())


def _digest(told: bytes) -> str:
    return sha256(told).hexdigest()[:32]


def read(raw: bytes) -> Mail:
    """Return a whole mail. Raises Unreadable."""
    head = head_of(raw)
    if not head.headers:
        raise Unreadable("it has no header, so it is no mail")
    if not head.sender:
        raise Unreadable("it does not say who sent it (From)")
    parsed = message_from_bytes(raw, policy=policy.compat32)
    texts: list[str] = []
    files: list[MailFile] = []
    for count, part in enumerate(_leaves(parsed, 0)):
        if count >= _MAX_PARTS:
            raise Unreadable(f"it has more than {_MAX_PARTS} parts")
        if (text := _text_of(part)) is not None:
            texts.append(text)
        else:
            files.append(_file_of(part, len(files) + 1))
    text = "\n\n".join(one for one in texts if one.strip())
    return Mail(**{name: getattr(head, name) for name in Mail.__slots__} | {"text": text, "files": tuple(files)})


def words_of(value: str) -> str:
    """Return a header's text as it came, its encoded words decoded and its raw bytes guessed. Never raises."""
    text = _plain_words(value)
    try:
        pieces = decode_header(text)
    except (HeaderParseError, ValueError):
        return text
    return "".join(one if isinstance(one, str) else _piece(one, charset) for one, charset in pieces)


def _plain_words(value: str) -> str:
    text = _FOLD.sub(r"\1", value)
    return text if text.isascii() else _guessed(text.encode("utf-8", "surrogateescape"))


def _piece(piece: bytes, charset: str | None) -> str:
    # Between encoded words, the parser hands over what was plain in this form.
    return piece.decode("raw-unicode-escape", "replace") if charset is None else decoded(piece, charset)


def decoded(body: bytes, charset: str | None) -> str:
    """Return bytes as text: by the charset that they claim, by the likely ones when that does not fit. Never raises."""
    named = (charset or "").strip("'\" ").lower()
    named = _CHARSETS.get(named, named)
    if named and named not in ("us-ascii", "ascii", "unknown-8bit", "unknown"):
        try:
            return body.decode(named)
        except (LookupError, ValueError):
            pass
    return _guessed(body)


def _guessed(body: bytes) -> str:
    for charset in ("utf-8", "gb18030"):
        try:
            return body.decode(charset)
        except UnicodeDecodeError:
            continue
    return body.decode("utf-8", "replace")


def _sender(headers: Mapping[str, str]) -> tuple[str, str]:
    for name in ("from", "sender"):
        for called, address in getaddresses([headers.get(name, "")]):
            if _ADDRESS.fullmatch(address) and len(address) <= _MAX_ADDRESS:
                return _line(called), address.lower()
        # A name with a comma or an encoded bracket confuses the list; the address is what counts.
        if found := _ADDRESS.findall(headers.get(name, "")):
            return "", found[-1][:_MAX_ADDRESS].lower()
    return "", ""


def _printable(text: str) -> str:
    """Return a header's text without what no database takes and no eye sees."""
    return "".join(one if one.isprintable() else " " for one in text)


def _line(text: str) -> str:
    return " ".join(_printable(text).split())


def _leaves(part: Message, depth: int) -> Iterator[Message]:
    """Yield the parts that hold something; of alternatives, the plainest that says anything."""
    if depth > _MAX_DEPTH:
        raise Unreadable(f"its parts lie more than {_MAX_DEPTH} deep in each other")
    kind = part.get_content_type()
    if kind == "message/rfc822" or not part.is_multipart():
        yield part
        return
    children = [one for one in part.get_payload() if isinstance(one, Message)]
    if kind == "multipart/alternative":
        children = _best(children)
    for child in children:
        yield from _leaves(child, depth + 1)


def _best(alternatives: list[Message]) -> list[Message]:
    """Return the plain text among alternatives when it says anything, and what is no text (invitations)."""
    plain = [one for one in alternatives if one.get_content_type() == "text/plain" and (_text_of(one) or "").strip()]
    rich = [one for one in alternatives if one.get_content_type() == "text/html" or one.is_multipart()]
    others = [one for one in alternatives if not one.get_content_type().startswith("text/") and not one.is_multipart()]
    if not plain:
        return [*(rich or alternatives)[-1:], *others]
    # Pictures stand beside the rich text, not beside the plain one.
    pictures = [
        leaf for one in rich if one.is_multipart() for leaf in one.walk() if leaf.get_content_maintype() == "image"
    ]
    return [plain[0], *pictures, *others]


def _text_of(part: Message) -> str | None:
    """Return a part's text; None for a file."""
    kind = part.get_content_type()
    if kind not in ("text/plain", "text/html") or part.get_content_disposition() == "attachment" or _named(part):
        return None
    body = part.get_payload(decode=True)
    text = decoded(body if isinstance(body, bytes) else b"", part.get_content_charset())[:_MAX_TEXT]
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    return plain_text(text) if kind == "text/html" else text


def _named(part: Message) -> str:
    """Return a file's name. The parser shows raw bytes in a header as question marks, so it gets them decoded."""
    for header, parameter in (("content-disposition", "filename"), ("content-type", "name")):
        for name, value in part.raw_items():
            if name.lower() != header:
                continue
            clean = Message()
            clean[header] = _plain_words(value)
            given = clean.get_param(parameter, None, header)
            if given is not None:
                return _line(words_of(collapse_rfc2231_value(given)))
    return ""


def _file_of(part: Message, number: int) -> MailFile:
    kind, name = part.get_content_type(), _named(part)
    if kind == "message/rfc822":
        inner = part.get_payload()
        letter = inner[0] if isinstance(inner, list) and inner and isinstance(inner[0], Message) else None
        body = letter.as_bytes(policy=policy.compat32) if letter is not None else b""
        subject = head_of(body).subject
        return MailFile(name or f"{subject or f'mail-{number}'}.eml", kind, body)
    raw = part.get_payload(decode=True)
    body = raw if isinstance(raw, bytes) else b""
    problem = "its encoding is broken" if part.defects and not body else ""
    return MailFile(name or f"file-{number}{guess_extension(kind) or ''}", kind, body, problem)
