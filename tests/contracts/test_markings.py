"""State secrets are recognised by their markings, and the words alone are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.gateway import AttachedFile, TicketRequested
from contracts.markings import advice_on, marked_field, marking_in


@pytest.mark.parametrize(
    ("text", "marking"),
    [
        ("机密", "机密"),
        ("机密！", "机密"),
        ("绝密\n正文", "绝密"),
        ("第一行\n  秘密  \n第三行", "秘密"),
        ("文号 A-1 秘密", "秘密"),
        ("国办发〔2026〕3号　机密", "机密"),
        ("000001 绝密\n正文", "绝密"),
        ("第一行\r机密\r第三行", "机密"),
        ("1. 机密", "机密"),
        ("> ## 机密：网络拓扑", "机密"),
        ("机密：网络拓扑", "机密"),
        ("机密级：网络拓扑", "机密"),
        ("机密级文件打不开", "机密"),
        ("绝密★启用前", "绝密"),
        ("机密★1年\n关于……的通知", "机密"),
        ("关于网络的通知\n机密★10年\n各单位", "机密"),
        ("附件为机密★1年文件", "机密"),
        ("请看：机密★", "机密"),
        ("文号A-1,秘密★5年", "秘密"),
        ("秘密 ★ 长期", "秘密"),
        ("【秘密】季度报表", "秘密"),
        ("附件为【秘密】文件", "秘密"),
        ("[绝密] 内容如下", "绝密"),
        ("(绝密)", "绝密"),
        ("［机密］见附件", "机密"),
        ("【机密级】见附件", "机密"),
        ("（机密:只限本组）", "机密"),
        ("「机密★1年」的文件", "机密"),
        ("密级: 秘密", "秘密"),
        ("密级:秘密", "秘密"),
        ("密级：机密", "机密"),
        ("密 级　绝密", "绝密"),
        ("密级为机密的图纸打不开", "机密"),
    ],
)
def test_a_marking_is_seen(text: str, marking: str) -> None:
    assert marking_in(text) == marking


@pytest.mark.parametrize(
    "text",
    [
        "",
        "忘记了密码",
        "签了商业秘密协议",
        "建议增加商业秘密培训",
        "保密协议在哪里签",
        "保守秘密是每个人的义务",
        "密码重置太慢,这不是什么秘密",
        "机密性、完整性、可用性课程很好",
        "秘密武器是知识库",
        "秘密级别怎么选",
        "附件为机密级文件",
        "标有“机密”的文件怎么交",
        "「机密」的文件怎么交",
        "『绝密』是什么意思",
        "请注意 秘密：只有一个",
        "培训保护商业 秘密",
        "我有 3 个 秘密",
        "附件 机密级 文件",
        advice_on("机密"),
        "秘密の質問を忘れた",
    ],
)
def test_a_mere_word_is_no_marking(text: str) -> None:
    assert marking_in(text) is None


@given(st.text(max_size=200), st.sampled_from(["秘密", "机密", "绝密"]), st.text(max_size=200))
def test_a_marking_is_found_wherever_it_stands(before: str, level: str, after: str) -> None:
    assert marking_in(f"{before}{level}★{after}") is not None
    assert marking_in(f"{before}【{level}】{after}") is not None


def test_the_field_that_bears_it_is_named_also_within_own_fields() -> None:
    assert marked_field(TicketRequested(title="打不开", description="机密\n见附件")) == ("description", "机密")
    assert marked_field(TicketRequested(title="打不开", fields={"system": "【绝密】"})) == ("fields", "绝密")
    assert marked_field(TicketRequested(title="打不开")) is None


def test_what_lies_deep_within_a_field_is_seen_too() -> None:
    file = AttachedFile(id="1", name="【秘密】.txt", size_bytes=1, sha256="0" * 64, content_type="text/plain")
    assert marked_field(TicketRequested(title="打不开", attachments=(file,))) == ("attachments", "秘密")
    assert marked_field({"number": "T1", "change": {"comment": "绝密"}}) == ("change", "绝密")
    assert marked_field({"tickets": ["T1", "机密"], "level": 4, "reason": None}) == ("tickets", "机密")
