"""A letter as the bytes of a mail (RFC 5322, 2045, 2047), as SMTP wants them.

By hand, because the standard library reads every header that it is given as a person might have typed it, which costs
a millisecond a mail: as much as everything else together.
"""

from __future__ import annotations

import re
from base64 import encodebytes
from email.header import Header
from email.headerregistry import Address
from email.utils import formatdate, quote
from functools import lru_cache

from services.notify.wording import Letter

_NO_LINE_BREAK = re.compile(r"[^\x00-\x1f\x7f\x85\u2028\u2029]*")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)
#: A longer line may be cut by servers, at 998 bytes (RFC 5322 2.1.1).
_LONG_LINE = 900
#: Longer plain words are folded as encoded ones are.
_LONG_HEADER = 60


def mail_of(letter: Letter, sender_name: str, sender: str) -> bytes:
    """Return the whole mail, with the dot that ends it. Raises ValueError for what cannot stand in a header."""
    headers = {
        "From": f"{_phrase(sender_name)} <{sender}>" if sender_name else sender,
        "To": f"{_phrase(letter.to_name)} <{letter.to_address}>" if letter.to_name else letter.to_address,
        "Subject": _words(letter.subject),
        "Date": formatdate(),
        "Message-ID": letter.message_id,
        # Keeps out-of-office replies from answering a machine (RFC 3834).
        "Auto-Submitted": "auto-generated",
        **({"Importance": "high", "X-Priority": "1"} if letter.is_urgent else {}),
        "MIME-Version": "1.0",
        "Content-Type": 'text/plain; charset="utf-8"',
    }
    encoding, body = _body(letter.text)
    headers["Content-Transfer-Encoding"] = encoding
    head = "".join(f"{name}: {value}\n" for name, value in headers.items())
    content = head.encode("ascii") + b"\n" + body
    return _LEADING_DOT.sub(b"..", content).replace(b"\n", b"\r\n") + b".\r\n"


@lru_cache(maxsize=10_000)
def checked_address(address: str) -> str:
    """Return an address that is one. Raises ValueError (or HeaderParseError, IndexError) for one that is none."""
    found = Address(addr_spec=address).addr_spec
    if not found.isascii():
        raise ValueError("the address is not ASCII")
    return found


def _words(text: str) -> str:
    """Return a header's text, encoded where it is not plain."""
    if not _NO_LINE_BREAK.fullmatch(text):
        raise ValueError("a header is one line")
    is_plain = text.isascii() and "=?" not in text and len(text) <= _LONG_HEADER and text == text.strip()
    return text if is_plain else Header(text, "utf-8").encode()


def _phrase(name: str) -> str:
    words = _words(name)
    return f'"{quote(words)}"' if words == name else words


def _body(text: str) -> tuple[str, bytes]:
    """Return how a text is carried, and its bytes, with plain line ends."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    if not lines.endswith("\n"):
        lines += "\n"
    if lines.isascii() and "\x00" not in lines and max(map(len, lines.split("\n"))) <= _LONG_LINE:
        return "7bit", lines.encode("ascii")
    return "base64", encodebytes(lines.replace("\n", "\r\n").encode("utf-8"))
