"""State secrets do not belong into a service desk (S6): text that bears one of their markings is refused, with advice.

Source: the marking is 秘密, 机密 or 绝密, alone, in brackets, before 级, or with ★ and a term, as on documents. The
same words within a sentence, such as 商业秘密 or 保守秘密, are no marking.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

ADVICE = "标有密级的内容不得进入联络台：请删去涉密内容，只写编号，并按保密规定当面或用涉密网络联系"
_MARKING = re.compile(
    r"(?:^|[\s【〔［\[(（《「“])(秘密|机密|绝密)(?=\s*[★☆]|级|\s*[】〕］\])）》」”]|\s*[:：]|\s*$)", re.MULTILINE
)


def marking_in(text: str) -> str | None:
    """Return the marking that a text bears, or None."""
    found = _MARKING.search(text)
    return found[1] if found else None


def marked_field(value: msgspec.Struct) -> tuple[str, str] | None:
    """Return the first field whose text bears a marking, with the marking; None when none does."""
    for name in value.__struct_fields__:
        for text in _texts(getattr(value, name)):
            if marking := marking_in(text):
                return name, marking
    return None


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
