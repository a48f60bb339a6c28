"""Where a mail's own words end, as a table of what mail programs send in Chinese, English and Japanese."""

from __future__ import annotations

import pytest

from services.gateway.mail.words import own_words

OUTLOOK_ZH = """还是连不上,请再看看。

张伟
________________________________
发件人: 联络台 <desk@example.invalid>
发送时间: 2026年3月2日 9:15
收件人: 张伟 <zw@example.invalid>
主题: 工单已解决 T2026-000123

您的工单已解决。"""
OUTLOOK_EN = """Still fails.

From: Desk <desk@example.invalid>
Sent: Monday, March 2, 2026 9:15 AM
To: Zhang Wei <zw@example.invalid>
Subject: T2026-000123

Your ticket is solved."""
OUTLOOK_OLD = """Still fails.

-----Original Message-----
From: Desk
Your ticket is solved."""
OUTLOOK_JA = """まだ動きません。

差出人: 窓口 <desk@example.invalid>
送信日時: 2026年3月2日 9:15
宛先: 山田
件名: T2026-000123

解決しました。"""
FOXMAIL = """还是不行



zw@example.invalid

发件人: 联络台
发送时间: 2026-03-02 09:15
收件人: zw
主题: T2026-000123
您的工单已解决。"""
QQ = """还是不行


------------------ 原始邮件 ------------------
发件人: "联络台" <desk@example.invalid>;
发送时间: 2026年3月2日(星期一) 上午9:15
您的工单已解决。"""
NETEASE = """还是不行

在 2026-03-02 09:15:00,"联络台" <desk@example.invalid> 写道:
> 您的工单已解决。"""
NETEASE_MASTER = """还是不行

---- 回复的原邮件 ----
| 发件人 | 联络台 |
您的工单已解决。"""
GMAIL_ZH = """还是不行

联络台 <desk@example.invalid> 于2026年3月2日周一 09:15写道:

> 您的工单已解决。"""
GMAIL_EN_FOLDED = """Still fails.

On Mon, Mar 2, 2026 at 9:15 AM Liaison Service Desk <
desk@example.invalid> wrote:

> Your ticket is solved."""
GMAIL_JA = """まだ動きません。

2026年3月2日(月) 9:15 窓口 <desk@example.invalid>:

> 解決しました。"""
APPLE_ZH = """还是不行

发自我的 iPhone

> 在 2026年3月2日,09:15,联络台 <desk@example.invalid> 写道:
>
> 您的工单已解决。"""
APPLE_EN = """Still fails.

Sent from my iPhone

> On Mar 2, 2026, at 9:15 AM, Desk <desk@example.invalid> wrote:
>
> Your ticket is solved."""
APPLE_JA = """まだ動きません。

iPhoneから送信

2026/03/02 9:15、窓口 <desk@example.invalid>のメール:

解決しました。"""
BELOW = """> 您的工单已解决。
> 请确认。

还是不行"""
BELOW_HEADING = """On Mar 2, 2026, at 9:15 AM, Desk <desk@example.invalid> wrote:
> Your ticket is solved.

Still fails."""
BETWEEN = """> 问题一解决了吗?
解决了
> 问题二呢?
没有"""


@pytest.mark.parametrize(
    ("text", "own"),
    [
        pytest.param(OUTLOOK_ZH, "还是连不上,请再看看。\n\n张伟", id="Outlook zh"),
        pytest.param(OUTLOOK_EN, "Still fails.", id="Outlook en"),
        pytest.param(OUTLOOK_OLD, "Still fails.", id="Outlook with dashes"),
        pytest.param(OUTLOOK_JA, "まだ動きません。", id="Outlook ja"),
        pytest.param(FOXMAIL, "还是不行", id="Foxmail"),
        pytest.param(QQ, "还是不行", id="QQ Mail"),
        pytest.param(NETEASE, "还是不行", id="163"),
        pytest.param(NETEASE_MASTER, "还是不行", id="163 on a phone"),
        pytest.param(GMAIL_ZH, "还是不行", id="Gmail zh"),
        pytest.param(GMAIL_EN_FOLDED, "Still fails.", id="Gmail en, folded"),
        pytest.param(GMAIL_JA, "まだ動きません。", id="Gmail ja"),
        pytest.param(APPLE_ZH, "还是不行", id="Apple Mail zh"),
        pytest.param(APPLE_EN, "Still fails.", id="Apple Mail en"),
        pytest.param(APPLE_JA, "まだ動きません。", id="Apple Mail ja"),
        pytest.param(BELOW, "还是不行", id="answered below"),
        pytest.param(BELOW_HEADING, "Still fails.", id="answered below a heading"),
        pytest.param(BETWEEN, "解决了\n没有", id="answered between"),
    ],
)
def test_an_answer_is_what_its_sender_wrote(text: str, own: str) -> None:
    assert own_words(text, is_reply=True) == own


@pytest.mark.parametrize(
    "text",
    [
        "系统写道:权限不足",
        "From: 字段是空的",
        "发件人: 这一栏填什么",
        "1. 打开\n---\n2. 报错",
        "他在 2026 年写道,此事已了。",
        "On Monday 2 users could not sign in",
    ],
)
def test_what_only_looks_like_a_quote_stays(text: str) -> None:
    assert own_words(f"问题:\n{text}\n请看", is_reply=True) == f"问题:\n{text}\n请看"


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("打不开\n\n-- \n张伟 信息部\n电话 8001", "打不开"),
        ("打不开\n--\n张伟", "打不开"),
        ("打不开\n\n发自我的华为手机", "打不开"),
        ("打不开\n获取 Outlook for iOS<https://aka.ms/o0ukef>", "打不开"),
        ("Fails\n\nGet Outlook for Android", "Fails"),
        ("动かない\n\n私のiPhoneから送信", "动かない"),
        ("打不开\n\n------------------\n张伟\n信息部", "打不开"),
        ("打不开\n\nzw@example.invalid", "打不开"),
        ("打不开\n\n来自我的小米手机\n", "打不开"),
    ],
)
def test_a_signature_is_cut(text: str, own: str) -> None:
    assert own_words(text, is_reply=False) == own


@pytest.mark.parametrize("text", ["--\n张伟", "发自我的 iPhone", "zw@example.invalid", "> 只有引文", ""])
def test_when_nothing_would_be_left_everything_stays(text: str) -> None:
    assert own_words(text, is_reply=True) == text.strip()


def test_a_new_request_keeps_what_it_forwards() -> None:
    text = f"请处理\n\n{QQ}"
    assert own_words(text, is_reply=False) == text


@pytest.mark.parametrize("piece", ["在 2026年1", "On 1", "1", "发自我的", "> ", "=", "a@"])
def test_long_lines_are_read_in_no_time(piece: str) -> None:
    assert own_words(f"{piece * 100_000}\n" * 3, is_reply=True)
