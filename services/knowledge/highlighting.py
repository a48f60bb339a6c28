"""What a reader sees of a hit: the words that were found, marked in the text as it was written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from html import escape

from services.knowledge.cutting import Family, cut, keywords, normal, stem

#: The length of the piece of text that is shown, in characters.
WINDOW = 120
_WORD = re.compile(r"[a-z0-9]+")
Span = tuple[int, int]


def marked(text: str, question: str, families: Sequence[Family], *, window: int = WINDOW) -> str:
    """Return the piece of a text where most of the question is found, as HTML with `<mark>`; all else is escaped.

    window: the most characters of the piece; 0 for the whole text.
    """
    spans = _spans(text, question, families)
    begin, end = _best_window(spans, len(text), window) if window else (0, len(text))
    parts, at = ["…" if begin else ""], begin
    for first, last in spans:
        if first >= begin and last <= end:
            parts += [escape(text[at:first]), "<mark>", escape(text[first:last]), "</mark>"]
            at = last
    parts += [escape(text[at:end]), "…" if end < len(text) else ""]
    return "".join(parts)


def _spans(text: str, question: str, families: Sequence[Family]) -> list[Span]:
    """Return where in the text something of the question stands, in order, without overlaps."""
    found: list[Span] = []
    for family in families:
        even, place = _with_places(text, family)
        words = set(keywords(question, family))
        stems = {stem(word) for word in words} | words
        for run in _WORD.finditer(even):
            if run[0] in stems or stem(run[0]) in stems:
                found.append((place[run.start()], place[run.end() - 1] + 1))
        if family is not Family.EN:
            for word in words | {pair for pair in cut(question, family)["bi"] if len(pair) > 1}:
                if not _WORD.fullmatch(word):
                    found += [(place[m.start()], place[m.end() - 1] + 1) for m in re.finditer(re.escape(word), even)]
    return _merged(found)


def _with_places(text: str, family: Family) -> tuple[str, list[int]]:
    """Return the normalised text, and for each of its characters the place in the original that it came from."""
    if unicodedata.is_normalized("NFKC", text) and len(even := normal(text, family)) == len(text):
        return even, list(range(len(text)))
    characters, places = [], []
    for place, character in enumerate(text):
        for one in normal(character, family):
            characters.append(one)
            places.append(place)
    return "".join(characters), places


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _best_window(spans: Sequence[Span], length: int, window: int) -> Span:
    """Return the window that holds most marked characters; the earliest of equals, a little text before the first."""
    best, most = 0, -1
    for first, _ in spans[:50]:
        begin = max(0, min(first - 15, length - window))
        held = sum(last - start for start, last in spans if start >= begin and last <= begin + window)
        if held > most:
            best, most = begin, held
    return best, min(length, best + window)
