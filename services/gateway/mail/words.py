"""Where a mail's own words end: quoted mails and signatures of the usual mail programs, in Chinese, English, Japanese.

Pure. What is not surely a quote stays: a line too many is read over, a line too few is missed.
"""

from __future__ import annotations

import re

_DASHES = r"[-_—―=*]{2,}"
#: A line after which everything is an earlier mail.
_QUOTE_BEGINS = re.compile(
    "|".join(
        [
            # Outlook, QQ Mail, Foxmail, 163: a heading between dashes.
            rf"^{_DASHES}\s*(Original Message|Original Appointment|Forwarded message|原始邮件|原始郵件|邮件原件|原邮件"
            rf"|回复的(原)?邮件|转发的(原)?邮件|元のメッセージ|転送メッセージ)\s*{_DASHES}$",
            # Gmail, Apple Mail, Thunderbird: somebody wrote at a moment.
            r"^(On|At)\b.*\d.*\bwrote\s*[:：]$",
            r"^.*\d.*(写道|寫道|来信|のメール|書きました|wrote)\s*[:：]$",
            r"^\d{4}[年/.-]\s?\d{1,2}[月/.-]\s?\d{1,2}.*[<＜][^<>@\s]+@[^<>\s]+[>＞]\s*[:：]$",
        ]
    ),
    re.IGNORECASE,
)
#: How such a heading begins, when it is folded.
_MOMENT_BEGINS = re.compile(r"^(On\b|At\b|在|于|\d{4}|.*于\s?\d{4}).*\d", re.IGNORECASE)
#: Outlook and Foxmail: the header of the earlier mail, two fields of it within a few lines.
_FROM = re.compile(r"^[*\s]*(From|发件人|寄件者|寄件人|差出人|送信者)\s*[*]*\s*[:：]\s*[*]*\s*\S", re.IGNORECASE)
_OTHER_FIELD = re.compile(
    r"^[*\s]*(Sent|Date|To|Subject|发送时间|发件时间|发送日期|日期|时间|寄件日期|收件人|收件者|主题|主旨|送信日時|日付|日時"
    r"|宛先|件名)\s*[*]*\s*[:：]",
    re.IGNORECASE,
)
_WITHIN_LINES = 5
#: A longer line is no heading, and would take the patterns too long.
_LONGEST_HEADING = 300
#: A line that a mail program puts under everything.
_SENT_BY = re.compile(
    r"^[<\[(]?\s*(发自(我的|手机|网易|新浪|腾讯|企业微信|飞书|钉钉|Foxmail|Outlook|iPhone|iPad|华为|小米|vivo|OPPO|荣耀)?.{0,40}"
    r"|从我的\s?\S{1,20}\s?发送|來自我的.{1,30}|来自我的.{1,30}|从 ?(Windows ?版)?邮件 ?发送.{0,30}"
    r"|(获取|下载)\s?(适用于\s?\S+\s?的\s?)?Outlook.{0,40}|由\s?(QQ|网易|Outlook)\S{0,20}\s?发送"
    r"|Sent from (my|Mail|Outlook|Yahoo|Samsung|Foxmail|ProtonMail).{0,40}|Get Outlook for .{1,40}"
    r"|(私の)?(iPhone|iPad|スマートフォン|Android)から送信.{0,10}|Outlook for \S+ ?を(入手|取得).{0,10}"
    r"|Windows ?(版の)?メールから送信.{0,5})\s*[>\])]?$",
    re.IGNORECASE,
)
_SENT_BY_LINK = re.compile(r"\s*<https?://[^>\s]+>\s*$")
#: The usual line above a signature (RFC 3676 4.3), also without its space.
_SIGNATURE = re.compile(r"^--\s?$")
#: QQ Mail, Foxmail and Outlook: a rule above it.
_RULE = re.compile(r"^\s*[-_—=*]{6,}\s*$")
_SIGNATURE_LINES = 12
_SIGNATURE_WIDTH = 100
_ADDRESS_ALONE = re.compile(r"^<?[^\s@<>]+@[^\s@<>]+>?$")


def own_words(text: str, *, is_reply: bool) -> str:
    """Return what the sender wrote: without the signature and, in a reply, without the mails below.

    When nothing would be left, the text stays as it is: its reader shall decide.
    """
    lines = text.split("\n")
    if is_reply:
        lines = _without_quote(lines)
    kept = _trimmed(_without_signature(lines))
    return "\n".join(kept) if kept else "\n".join(_trimmed(text.split("\n")))


def _without_quote(lines: list[str]) -> list[str]:
    for number, line in enumerate(lines):
        if _begins_quote(lines, number) and any(one.strip() for one in lines[:number]):
            return [one for one in lines[:number] if not _is_quoted(one)]
        if _begins_quote(lines, number) and not line.lstrip().startswith(">"):
            # The answer stands below what it answers, or nowhere.
            return [one for one in lines[number + 1 :] if not _is_quoted(one)]
    return [one for one in lines if not _is_quoted(one)]


def _is_quoted(line: str) -> bool:
    return line.lstrip().startswith((">", "＞"))


def _begins_quote(lines: list[str], number: int) -> bool:
    """Tell whether an earlier mail begins at a line; its heading may be folded into two or three."""
    line = lines[number].strip().lstrip("> ").strip()
    if not line or len(line) > _LONGEST_HEADING:
        return False
    if _QUOTE_BEGINS.match(line):
        return True
    if _FROM.match(line):
        return any(_OTHER_FIELD.match(one.lstrip("> ")) for one in lines[number + 1 : number + _WITHIN_LINES])
    return _MOMENT_BEGINS.match(line) is not None and _is_folded_heading(line, lines[number + 1 : number + 3])


def _is_folded_heading(line: str, following: list[str]) -> bool:
    for one in following:
        if not one.strip():
            return False
        line = f"{line} {one.strip().lstrip('> ')}"[:_LONGEST_HEADING]
        if _QUOTE_BEGINS.match(line):
            return True
    return False


def _without_signature(lines: list[str]) -> list[str]:
    lines = _trimmed(lines)
    for number, line in enumerate(lines):
        if _SIGNATURE.match(line):
            return _without_signature(lines[:number]) if _has_words(lines[:number]) else lines
        below = lines[number + 1 :]
        if _RULE.match(line) and _is_signature(below) and _has_words(lines[:number]):
            return _without_signature(lines[:number])
    while lines and (_is_sent_by(lines[-1]) or _RULE.match(lines[-1]) or _ADDRESS_ALONE.match(lines[-1].strip())):
        if not _has_words(lines[:-1]):
            break
        lines = _trimmed(lines[:-1])
    return lines


def _is_sent_by(line: str) -> bool:
    return _SENT_BY.match(_SENT_BY_LINK.sub("", line).strip()) is not None


def _is_signature(lines: list[str]) -> bool:
    written = [line for line in lines if line.strip()]
    return len(written) <= _SIGNATURE_LINES and all(len(line) <= _SIGNATURE_WIDTH for line in written)


def _has_words(lines: list[str]) -> bool:
    return any(line.strip() for line in lines)


def _trimmed(lines: list[str]) -> list[str]:
    first, last = 0, len(lines)
    while first < last and not lines[first].strip():
        first += 1
    while last > first and not lines[last - 1].strip():
        last -= 1
    return [line.rstrip() for line in lines[first:last]]
