"""Whatever people write arrives as they wrote it, and cannot leave its place in the mail."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.notify.letters import mail_of
from services.notify.wording import Letter, one_line

LETTER = Letter("<d1@liaison.invalid>", "王芳", "w@example.invalid", "主题", "第一行\n", is_urgent=False)
#: What a header may hold once it has been made one line, as `written` does with everything that people wrote.
one_liners = st.text(st.characters(codec="utf-8"), max_size=200).map(one_line)


def received(letter: Letter) -> bytes:
    """Return the mail as its reader's server has it, after SMTP has taken the dots away."""
    content = mail_of(letter, "联络台", "no-reply@liaison.invalid")
    assert content.endswith(b"\r\n.\r\n")
    lines = content.removesuffix(b".\r\n").split(b"\r\n")
    assert all(line.isascii() and len(line) <= 998 and b"\r" not in line and b"\n" not in line for line in lines)
    assert b"." not in lines
    return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)


def arrived(letter: Letter) -> EmailMessage:
    """Return the mail as its reader has it."""
    mail = message_from_bytes(received(letter), policy=policy.default)
    assert isinstance(mail, EmailMessage)
    assert not mail.defects
    return mail


def recipient(letter: Letter) -> tuple[str, str]:
    """Return name and address, read the old way: the new one leaves a blank between the parts of a long name."""
    name, address = parseaddr(message_from_bytes(received(letter))["To"])
    return one_line(str(make_header(decode_header(name)))), address


@given(name=one_liners, subject=one_liners)
@example(name='Lee, "Ann" <x@y.invalid>', subject="=?utf-8?b?eA==?=")
@example(name="=?utf-8?b?eA==?=", subject="long words, " * 30 + "end")
@example(name="\\", subject="主题 subject " * 40 + "。")
def test_name_and_subject_arrive_as_written(name: str, subject: str) -> None:
    letter = replace(LETTER, to_name=name, subject=subject)
    mail = arrived(letter)
    assert one_line(mail["Subject"]) == subject
    assert recipient(letter) == (name, "w@example.invalid")
    assert set(mail.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
        *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
    }


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=2000))
def test_a_text_arrives_as_written(text: str) -> None:
    content = arrived(replace(LETTER, text=text)).get_payload(decode=True)
    assert isinstance(content, bytes)
    assert content.decode("utf-8").replace("\r\n", "\n") == (text if text.endswith("\n") else text + "\n")


@pytest.mark.parametrize("text", ["a" * 2000 + "\n", "." * 70 + "\n.\n..\n", ".\n" * 500, "\x00\n"])
def test_long_lines_dots_and_nothing_arrive_as_written(text: str) -> None:
    content = arrived(replace(LETTER, text=text)).get_payload(decode=True)
    assert isinstance(content, bytes)
    assert content.decode("utf-8").replace("\r\n", "\n") == text


@pytest.mark.parametrize("text", ["a\nBcc: x@y", "a\rb", "王\r\n\r\n正文", "a\x00", "a\u2028b", "\x85"])
def test_what_would_break_a_header_is_no_mail(text: str) -> None:
    for letter in (replace(LETTER, subject=text), replace(LETTER, to_name=text)):
        with pytest.raises(ValueError, match="one line"):
            mail_of(letter, "", "no-reply@liaison.invalid")
