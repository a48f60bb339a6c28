"""What an event says, as its reader should see it: by placeholder, in their language and time zone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from contracts.fact import Fact
from contracts.knowledge import Suggestion
from eventkit.links import Links
from services.notify.rules import NAMED
from services.notify.wording import PLACEHOLDERS, Language, one_line

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ADDRESS = re.compile(r"https?://[^\s<>\x00-\x1f]+")


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom a text is written.

    person_called: how to call the person of an employee number. url: the base of links, empty for no links.
    recipient: their employee number, empty for the desk. links: signs links for requesters; None: none go out.
    """

    language: Language
    zone: ZoneInfo
    person_called: Callable[[str], str]
    url: str
    recipient: str = ""
    links: Links | None = None

    def moment(self, value: datetime) -> str:
        """Return a moment by the reader's clock."""
        return f"{value.astimezone(self.zone):{self.language.time}} ({self.zone.key})"

    def link(self, path: str) -> str:
        """Return the whole address of something of ours, or of others; empty when it cannot be made."""
        whole = f"{self.url.rstrip('/')}{path}" if self.url and path.startswith("/") else path
        return whole if _ADDRESS.fullmatch(whole) else ""


def values_of(fact: Fact, reader: Reader) -> dict[str, str]:
    """Return what an event says, by placeholder; absent values are left out."""
    values: dict[str, str] = {}
    for name in PLACEHOLDERS:
        value = getattr(fact, name, None)
        if value not in (None, "", ()) and (shown := _shown(name, value, reader)):
            values[name] = shown
    if (title := getattr(fact, "next_course_title", "")) and (code := values.get("next_course")):
        values["next_course"] = f"{one_line(title)} ({code})"
    if reader.url and "number" in values:
        values["link"] = reader.link(_ticket_page(fact, str(getattr(fact, "number", "")), reader))
    return values


def _ticket_page(fact: Fact, number: str, reader: Reader) -> str:
    """Return the path of a ticket: the desk's page, or for its requester one that asks for no sign-in (T5)."""
    is_requester = bool(reader.recipient) and reader.recipient == getattr(fact, "requester", None)
    if reader.links is None or not is_requester:
        return f"/desk/tickets/{quote(number, safe='')}"
    says = {"n": number, "c": getattr(fact, "cycle", 1), "p": reader.recipient, "l": reader.language.tag}
    return f"/t/{reader.links.token(says)}"


def _shown(name: str, value: Any, reader: Reader) -> str:
    if form := _FORMS.get(name):
        return form(value, reader)
    if isinstance(value, datetime):
        return reader.moment(value)
    if isinstance(value, date):
        return f"{value:{reader.language.date}}"
    return f"{value:g}" if isinstance(value, float) else one_line(str(value))


def _whereabouts(value: str, reader: Reader) -> str:
    """Return the address of something, or where it is to be found, as the writer named it: `deploy/RUNBOOK.md#…`."""
    return reader.link(value) or one_line(value)


def _word_for(name: str) -> Callable[[Any, Reader], str]:
    return lambda value, reader: reader.language.words[f"{name}_{value}"]


def _paragraphs(value: str, _: Reader) -> str:
    return _CONTROL.sub(" ", value.replace("\r\n", "\n")).strip()


def _reason(value: str, reader: Reader) -> str:
    """Return why, as the service gave it where this language has no words for it."""
    return reader.language.words.get(f"reason_{value.replace(' ', '_')}") or one_line(value)


def _score(value: float, _: Reader) -> str:
    """Return a share of the points of an exam, or what somebody gave of five."""
    return f"{value:.0%}" if isinstance(value, float) else f"{value} / 5"


def _lines(values: Sequence[str], _: Reader) -> str:
    # A list begins on a line of its own, so that the line that leads to it is left out where the list is empty.
    return "".join(f"\n- {one_line(value)}" for value in values)


def _suggested(values: Sequence[Suggestion], reader: Reader) -> str:
    lines = ""
    for number, one in enumerate(values, start=1):
        link = reader.link(one.url)
        lines += f"\n{number}. {one_line(one.title)}" + (f"\n   {link}" if link else "")
    return lines


_FORMS: Mapping[str, Callable[[Any, Reader], str]] = {
    **{role.value: lambda value, reader: reader.person_called(value) for role in NAMED},
    **{name: _paragraphs for name in ("solution", "answer", "text", "summary", "description")},
    **{name: _word_for(name) for name in ("priority", "target", "channel", "way", "status", "feedback_class")},
    "severity": _word_for("severity"),
    "share": lambda value, _: f"{value:.0%}",
    "score": _score,
    "reason": _reason,
    "modules": _lines,
    "level": _word_for("level"),
    "absent": lambda values, reader: "、".join(reader.person_called(one) for one in values),
    "suggestions": _suggested,
    "runbook_url": _whereabouts,
}
