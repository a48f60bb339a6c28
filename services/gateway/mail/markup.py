"""HTML mails as plain text: lines stay, what is quoted is marked as in plain mails.

By hand, since the standard library's parser takes minutes for half a megabyte of comments that do not end.
"""

from __future__ import annotations

import re
from html import unescape

_SILENT = frozenset({"script", "style", "head", "title", "template", "noscript"})
_LINES = re.compile(r"p|div|br|tr|li|ul|ol|table|h[1-6r]|pre|section|article|header|footer|blockquote|dt|dd")
#: No part of it can be read in two ways, so that it takes one look at each character.
_MARK = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)[^<>]*>|<[!?][^<>]*>")
_SPACES = re.compile(r"[ \t\r\n\f\v]+")
_MANY_LINES = re.compile(r"\n{3,}")
#: Deeper than any mail program nests.
_MOST_QUOTED = 20


def plain_text(html: str) -> str:
    """Return an HTML text as plain lines. Broken markup is read as far as it goes."""
    reader, begin = _Reader(), 0
    html = _without_comments(html)
    for mark in _MARK.finditer(html):
        reader.words(html[begin : mark.start()])
        begin = mark.end()
        if mark[2]:
            reader.mark(mark[2].lower(), is_end=bool(mark[1]))
    reader.words(html[begin:])
    return _MANY_LINES.sub("\n\n", reader.text()).strip("\n")


def _without_comments(html: str) -> str:
    pieces, begin = [], 0
    while (start := html.find("<!--", begin)) >= 0:
        pieces.append(html[begin:start])
        end = html.find("-->", start)
        if end < 0:
            return "".join(pieces)
        begin = end + 3
    return "".join([*pieces, html[begin:]])


class _Reader:
    """Collects the words of a page, a line for each block."""

    def __init__(self) -> None:
        self._lines: list[list[str]] = [[]]
        self._quotes: list[int] = [0]
        self._within = dict.fromkeys((*_SILENT, "blockquote", "pre"), 0)

    def text(self) -> str:
        """Return what was collected."""
        lines = []
        for words, quotes in zip(self._lines, self._quotes, strict=True):
            line = "".join(words).replace("\xa0", " ").strip()
            lines.append(f"{'>' * quotes} {line}".rstrip() if quotes else line)
        return "\n".join(lines)

    def mark(self, tag: str, *, is_end: bool) -> None:
        """Begin or end a block, a quote, or what nobody reads."""
        if tag in self._within:
            self._within[tag] = max(self._within[tag] + (-1 if is_end else 1), 0)
        if _LINES.fullmatch(tag):
            self._break(always=tag == "br" or (is_end and tag == "p"))
        elif tag == "td" and not is_end and self._lines[-1]:
            self._lines[-1].append(" ")
        if tag == "hr":
            self._lines[-1].append("-" * 12)
            self._break(always=True)

    def words(self, text: str) -> None:
        """Take words in."""
        if not text or any(self._within[tag] for tag in _SILENT):
            return
        plain = unescape(text)
        if self._within["pre"]:
            for number, line in enumerate(plain.split("\n")):
                if number:
                    self._break(always=True)
                self._lines[-1].append(line)
            return
        plain = _SPACES.sub(" ", plain)
        if plain != " " or self._lines[-1]:
            self._lines[-1].append(plain)

    def _break(self, *, always: bool) -> None:
        quotes = min(self._within["blockquote"], _MOST_QUOTED)
        if self._lines[-1] or always:
            self._lines.append([])
            self._quotes.append(quotes)
        else:
            self._quotes[-1] = quotes
