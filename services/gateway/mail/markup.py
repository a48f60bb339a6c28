"""HTML mails as plain text: lines and links stay, what is quoted is marked as in plain mails."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_SILENT = frozenset({"script", "style", "head", "title", "template", "noscript"})
_LINES = re.compile("p|div|br|tr|li|ul|ol|table|h[1-6r]|pre|section|article|header|footer|blockquote|dt|dd")
_SPACES = re.compile(r"[ \t\r\n\f\v]+")
_MANY_LINES = re.compile(r"\n{3,}")
#: Deeper than any mail program nests; the parser itself does not recurse.
_MOST_QUOTED = 20


def plain_text(html: str) -> str:
    """Return an HTML text as plain lines. Broken markup is read as far as it goes."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return _MANY_LINES.sub("\n\n", reader.text()).strip("\n")


class _Reader(HTMLParser):
    """Collects the words of a page, a line for each block."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[list[str]] = [[]]
        self._marks: list[int] = [0]
        self._silent = 0
        self._quoted = 0
        self._exact = 0

    def text(self) -> str:
        """Return what was collected."""
        lines = []
        for words, mark in zip(self._lines, self._marks, strict=True):
            line = "".join(words).replace("\xa0", " ").strip()
            lines.append(f"{'>' * mark} {line}".rstrip() if mark else line)
        return "\n".join(lines)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a line for a block, go silent for what nobody reads."""
        if tag in _SILENT:
            self._silent += 1
        if _LINES.fullmatch(tag):
            self._break(always=tag == "br")
        if tag == "blockquote":
            self._quoted += 1
            self._marks[-1] = min(self._quoted, _MOST_QUOTED)
        if tag == "pre":
            self._exact += 1
        if tag == "td" and self._lines[-1]:
            self._lines[-1].append(" ")
        if tag == "hr":
            self._lines[-1].append("-" * 12)
            self._break(always=True)

    def handle_endtag(self, tag: str) -> None:
        """End what began."""
        if tag in _SILENT:
            self._silent = max(self._silent - 1, 0)
        if tag == "blockquote":
            self._quoted = max(self._quoted - 1, 0)
        if tag == "pre":
            self._exact = max(self._exact - 1, 0)
        if tag != "br" and _LINES.fullmatch(tag):
            self._break(always=tag == "p")

    def handle_data(self, data: str) -> None:
        """Take words in."""
        if self._silent:
            return
        if self._exact:
            for number, line in enumerate(data.split("\n")):
                if number:
                    self._break(always=True)
                self._lines[-1].append(line)
            return
        words = _SPACES.sub(" ", data)
        if words != " " or self._lines[-1]:
            self._lines[-1].append(words)

    def _break(self, *, always: bool) -> None:
        mark = min(self._quoted, _MOST_QUOTED)
        if self._lines[-1] or always:
            self._lines.append([])
            self._marks.append(mark)
        else:
            self._marks[-1] = mark
