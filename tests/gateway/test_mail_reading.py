"""The bytes of a mail as its parts: charsets, names, alternatives, and what cannot be read."""

from __future__ import annotations

from base64 import b64encode

import pytest

from services.gateway.mail.markup import plain_text
from services.gateway.mail.reading import Unreadable, head_of, read
from tests.gateway.mails import mail

TEXT = "打印机卡纸了,镕基大厦三楼"


def raw(*lines: bytes | str) -> bytes:
    return b"\r\n".join(one if isinstance(one, bytes) else one.encode() for one in lines)


def word(text: str, charset: str) -> str:
    return f"=?{charset}?B?{b64encode(text.encode('gb18030' if charset.startswith('gb') else charset)).decode()}?="


@pytest.mark.parametrize("charset", ["gb2312", "gbk", "gb18030", "utf-8", "GB2312", "x-gbk"])
def test_chinese_is_read_whatever_it_is_called(charset: str) -> None:
    bytes_ = TEXT.encode("utf-8" if charset == "utf-8" else "gb18030")
    found = read(
        raw(
            "From: a@example.invalid",
            f"Subject: {word(TEXT, charset.lower() if charset == 'GB2312' else charset.replace('x-', ''))}",
            f"Content-Type: text/plain; charset={charset}",
            "Content-Transfer-Encoding: base64",
            "",
            b64encode(bytes_),
        )
    )
    assert (found.subject, found.text.strip()) == (TEXT, TEXT)


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("iso-2022-jp", "プリンターが動きません"),
        ("shift_jis", "①プリンター"),
        ("big5", "印表機壞了"),
        ("euc-kr", "프린터"),
    ],
)
def test_neighbours_are_read_too(charset: str, text: str) -> None:
    python = {"shift_jis": "cp932"}.get(charset, charset)
    body = text.encode(python)
    found = read(raw("From: a@example.invalid", f"Content-Type: text/plain; charset={charset}", "", body))
    assert found.text == text


@pytest.mark.parametrize("charset", ["gb18030", "utf-8"])
def test_raw_bytes_are_guessed(charset: str) -> None:
    found = read(raw("From: a@example.invalid", b"Subject: " + TEXT.encode(charset), "", TEXT.encode(charset)))
    assert (found.subject, found.text) == (TEXT, TEXT)


def test_a_wrong_or_unknown_charset_loses_no_mail() -> None:
    for charset in ("us-ascii", "x-unheard-of", "utf-8", '"'):
        header = f"Content-Type: text/plain; charset={charset}"
        assert read(raw("From: a@example.invalid", header, "", TEXT.encode("gb18030"))).text == TEXT


def test_a_folded_subject_is_one_line() -> None:
    subject = f"Subject: {word('打印机', 'utf-8')}\r\n {word('卡纸', 'gb18030')}\r\n again"
    assert head_of(raw("From: a@example.invalid", subject, "", "")).subject == "打印机卡纸 again"


def test_the_plain_one_of_alternatives_is_read_with_the_files_beside_it() -> None:
    found = read(mail("纯文本", html="<p>富文本</p>", files=(("截图 1.png", "image/png", b"\x89PNG"),)))
    assert found.text.strip() == "纯文本"
    assert [(one.name, one.content_type, one.body) for one in found.files] == [("截图 1.png", "image/png", b"\x89PNG")]


def test_html_stands_in_for_a_missing_text() -> None:
    found = read(mail(" ", html="<html><head><title>x</title></head><body><p>VPN&nbsp;连<b>不上</b></p></body></html>"))
    assert found.text.strip() == "VPN 连不上"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<div>一</div><div>二</div>", "一\n二"),
        ("一<br>二<br><br>三", "一\n二\n\n三"),
        ("<p>一</p><script>alert(1)</script><style>p{}</style>", "一"),
        ("答<blockquote>问<blockquote>早</blockquote></blockquote>", "答\n> 问\n>> 早"),
        ("<table><tr><td>甲</td><td>乙</td></tr></table>", "甲 乙"),
        ("a &lt; b &amp; c <unclosed <b", "a < b & c"),
        ("<!DOCTYPE html><?xml x?><![if !mso]>一<!-- <p>二</p> -->三<!-- ohne Ende", "一三"),
        ("<p class='x' title=\"y\">一</p>\n\n  <p>二</p>", "一\n二"),
        ("1 < 2", "1 < 2"),
        ("<pre>x\n  y</pre>", "x\ny"),
    ],
)
def test_html_becomes_lines(html: str, text: str) -> None:
    assert plain_text(html).startswith(text)


@pytest.mark.parametrize(
    "piece", ["<!--", "<a ", "&", "<![", "<", "<script", "</", "<p x='", "&#", "<br>", "<blockquote>"]
)
def test_hostile_markup_is_read_in_no_time(piece: str) -> None:
    assert isinstance(plain_text(piece * (500_000 // len(piece))), str)


@pytest.mark.parametrize("piece", [b"a,", b"=?utf-8?B?", b"<a", b'"', b"(", b"\r\n "])
def test_hostile_headers_are_read_in_no_time(piece: bytes) -> None:
    found = head_of(b"From: " + piece * 100_000 + b"\r\nSubject: " + piece * 100_000 + b"\r\n\r\n")
    assert isinstance(found.subject, str)


def test_file_names_in_every_encoding_are_read() -> None:
    encoded = {
        "rfc2231": "attachment; filename*=utf-8''%E5%8F%91%E7%A5%A8.pdf",
        "gb18030 word": f'attachment; filename="{word("发票.pdf", "gb18030")}"',
        "raw": 'attachment; filename="发票.pdf"',
    }
    for disposition in encoded.values():
        found = read(
            raw(
                "From: a@example.invalid",
                "Content-Type: multipart/mixed; boundary=b",
                "",
                "--b",
                "Content-Type: application/pdf",
                f"Content-Disposition: {disposition}",
                "",
                "%PDF",
                "--b--",
            )
        )
        assert [one.name for one in found.files] == ["发票.pdf"]


def test_a_forwarded_mail_is_a_file_named_by_its_subject() -> None:
    inner = mail("里面", subject="原来的邮件")
    found = read(
        raw(
            "From: a@example.invalid",
            "Content-Type: multipart/mixed; boundary=b",
            "",
            "--b",
            "Content-Type: text/plain",
            "",
            "see below",
            "--b",
            "Content-Type: message/rfc822",
            "",
            inner,
            "--b--",
        )
    )
    assert (found.text, found.files[0].name) == ("see below", "原来的邮件.eml")


def test_who_wrote_and_what_it_answers() -> None:
    found = head_of(mail(in_reply_to="<a@x>", references="<r@x> <a@x>"))
    assert (found.sender, found.sender_name, found.answers) == ("e2001@example.invalid", "林晓雯", ("a@x", "r@x"))


@pytest.mark.parametrize(
    ("header", "sender"),
    [
        ('"Lin, Xiaowen" <lin@example.invalid>', "lin@example.invalid"),
        ("Lin, Xiaowen <lin@example.invalid>", "lin@example.invalid"),
        ("lin@example.invalid (林)", "lin@example.invalid"),
        ("undisclosed", ""),
        ("", ""),
    ],
)
def test_an_address_is_found_in_what_people_put_around_it(header: str, sender: str) -> None:
    assert head_of(raw(f"From: {header}", "", "")).sender == sender


def test_the_id_is_that_of_the_message_id_else_of_the_bytes() -> None:
    first, second = mail("一", message_id="<same@x>"), mail("二", message_id="<same@x>")
    assert head_of(first).id == head_of(second).id
    assert head_of(mail("一", message_id="")).id != head_of(mail("二", message_id="")).id


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param(b"\x00\xff\xfe" * 100, "no header", id="garbage"),
        pytest.param(b"", "no header", id="nothing"),
        pytest.param(raw("Subject: x", "", "who?"), "From", id="no sender"),
        pytest.param(
            b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(40)),
            "deep",
            id="nested",
        ),
        pytest.param(
            raw("Content-Type: multipart/mixed; boundary=b", "", *["--b", "", "x"] * 300, "--b--"), "parts", id="many"
        ),
    ],
)
def test_what_cannot_be_read_is_said_with_why(given: bytes, reason: str) -> None:
    if b"multipart" in given:
        given = b"From: a@example.invalid\r\n" + given
    with pytest.raises(Unreadable, match=reason):
        read(given)
    head_of(given)
