"""State secrets are recognised by their markings, and the words alone are none."""

from __future__ import annotations

import pytest

from contracts.gateway import TicketRequested
from contracts.markings import marked_field, marking_in


@pytest.mark.parametrize(
    ("text", "marking"),
    [
        ("机密", "机密"),
        ("【秘密】季度报表", "秘密"),
        ("绝密★启用前", "绝密"),
        ("关于网络的通知\n机密★10年\n各单位", "机密"),
        ("附件为机密级文件", None),
        ("机密级：网络拓扑", "机密"),
        ("(绝密)", "绝密"),
        ("密级: 秘密", "秘密"),
        ("签了商业秘密协议", None),
        ("保守秘密是每个人的义务", None),
        ("忘记了密码", None),
        ("", None),
    ],
)
def test_a_marking_is_seen_and_a_mere_word_is_not(text: str, marking: str | None) -> None:
    assert marking_in(text) == marking


def test_the_field_that_bears_it_is_named_also_within_own_fields() -> None:
    assert marked_field(TicketRequested(title="打不开", description="机密\n见附件")) == ("description", "机密")
    assert marked_field(TicketRequested(title="打不开", fields={"system": "【绝密】"})) == ("fields", "绝密")
    assert marked_field(TicketRequested(title="打不开")) is None
