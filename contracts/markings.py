"""State secrets do not belong into a service desk (S6): text that bears one of their markings is refused, with advice.

Source: the marking is 秘密, 机密 or 绝密 as documents bear it (GB/T 9704-2012, 7.2.2): with ★ and a term, in brackets,
after 密级, at the head of a line, alone or before a colon or 级, or alone at its end after the document's number. The
same words within a sentence, such as 商业秘密 or 保守秘密, are no marking, and neither is a word in quotation marks
(“”, 「」, 『』), which somebody speaks of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

_LEVEL = "(绝密|机密|秘密)"
# No two neighbours may take the same space: a long run of them would be tried in every division.
_MARKING = re.compile(
    "|".join(
        (
            rf"{_LEVEL}\s*[★☆]",
            rf"[【〔［\[(（《]\s*{_LEVEL}\s*(?:级\s*)?[】〕］\])）》:：]",
            rf"密\s*级\s*(?:[:：为是]\s*)?{_LEVEL}",
            # Before it stand signs of a list, a heading or a quotation, and a number.
            rf"^(?:[^\S\n]|[\d.、*#>:：-])*{_LEVEL}(?:级(?!别)|\s*[:：]|[\s!！.。*]*$)",
            rf"\d号?[^\S\n]+{_LEVEL}[\s!！.。*]*$",
        )
    ),
    re.MULTILINE,
)


def marking_in(text: str) -> str | None:
    """Return the marking that a text bears, or None."""
    # Every line ends in the one way that the pattern knows.
    found = _MARKING.search("\n".join(text.splitlines()))
    return found[found.lastindex or 0] if found else None


def marked_field(value: msgspec.Struct | Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the first field with a text that bears a marking, however deep, and the marking; None when none does."""
    for name, field in _fields(value):
        for text in _texts(field):
            if marking := marking_in(text):
                return name, marking
    return None


def advice_on(marking: str) -> str:
    """Return what somebody is told whose text bears a marking."""
    return f"内容标有密级“{marking}”，不得进入联络台：请删去涉密内容，只写编号，并按保密规定当面或用涉密网络联系"


def _fields(value: msgspec.Struct | Mapping[str, Any]) -> Iterable[tuple[str, object]]:
    if isinstance(value, Mapping):
        return value.items()
    return ((name, getattr(value, name)) for name in value.__struct_fields__)


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | msgspec.Struct):
        for _, one in _fields(value):
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
