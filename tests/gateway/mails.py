"""Mails as people and machines send them, for tests of the mail door."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from itertools import count
from typing import Any

_numbers = count(1)


def mail(
    text: str = "VPN 连不上",
    *,
    subject: str = "VPN 连不上",
    sender: str = "林晓雯 <E2001@Example.invalid>",
    files: tuple[tuple[str, str, bytes], ...] = (),
    html: str | None = None,
    charset: str = "utf-8",
    **headers: str,
) -> bytes:
    """Return a mail's bytes. files: (name, type, content). headers: with `_` for `-`; an empty one leaves it out."""
    made = EmailMessage(policy=SMTP)
    given = {
        "From": sender,
        "To": "desk@example.invalid",
        "Subject": subject,
        "Date": "Mon, 02 Mar 2026 09:15:00 +0800",
        "Message-ID": f"<mail-{next(_numbers)}@example.invalid>",
    } | {name.replace("_", "-").title().replace("Id", "ID"): value for name, value in headers.items()}
    for name, value in given.items():
        if value:
            made[name] = value
    made.set_content(text, charset=charset)
    if html is not None:
        made.add_alternative(html, subtype="html", charset=charset)
    for name, kind, content in files:
        main, _, sub = kind.partition("/")
        made.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return made.as_bytes()


def head(raw: bytes, **headers: Any) -> bytes:
    """Return a mail with more headers in front."""
    return "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()).encode() + raw
