"""The words of messages: one file a language, and how they become a subject and a text.

Requirement N4: zh-CN is the default, en and ja lie beside it; a new language is a new file.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from services.notify.lined_yaml import Cell, Faults, read_yaml

FALLBACK = "zh-CN"
FALLBACK_ZONE = "Asia/Shanghai"
#: What the desk gets instead of a message whose recipient could not be reached.
FORWARDED = "forwarded"
#: What a template may name.
PLACEHOLDERS = frozenset(
    (
        *("name", "number", "title", "priority", "channel", "group", "region", "department", "category"),
        *("requester", "assignee", "opened_at", "due_response_at", "due_solution_at", "target", "due_at", "share"),
        *("solution", "resolved_at", "reason", "link", "recipient", "subject", "text", "suggestions"),
        *("course", "course_title", "learner", "contact", "attempt", "score", "completed_at", "class_hours"),
        *("next_course", "modules", "failed_at", "due_on", "enrolled_at"),
        *("feedback_id", "way", "received_at", "status", "feedback_class", "owner", "author", "about_ticket"),
        *("about_article", "problem_code", "answer"),
        *("level", "begin_at", "end_at", "absent"),
        *("alert", "severity", "service", "summary", "description", "starts_at", "ended_at", "runbook_url"),
    )
)
#: Every word that a language must know: closed lists of the contracts, and what stands for nothing.
WORDS = (
    *("none", "desk"),
    *(f"priority_{level}" for level in range(1, 5)),
    *("target_first_response", "target_next_response", "target_solution", "target_internal", "target_other"),
    *(f"level_{number}" for number in range(1, 5)),
    *(f"channel_{name}" for name in ("hotline", "chat", "mail", "web", "specialist", "event", "other")),
    *("reason_asked_for", "reason_nobody_named", "reason_the_holder_left", "reason_the_owner_left"),
    *("reason_drawn_from_the_queue", "reason_holder_away", "reason_the_one_asked_for_has_left"),
    *("reason_reopened_and_the_holder_left", "reason_evened_out"),
    *(f"way_{name}" for name in ("web", "paper_box", "chat_group", "event", "other")),
    *(f"status_{name}" for name in ("accepted", "needs_information", "resolved", "other")),
    *(f"feedback_class_{name}" for name in ("improvable", "needs_coordination", "settled", "other")),
    *(f"severity_{name}" for name in ("critical", "warning", "info", "other")),
)
_ONE_LINE = re.compile(r"[\s\x00-\x1f\x7f\u2028\u2029]+")
_BLANK_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail to one person. message_id: the same for every try, so that mailboxes can drop a repeat."""

    message_id: str
    to_name: str
    to_address: str
    subject: str
    text: str
    is_urgent: bool


@dataclass(frozen=True, slots=True)
class Template:
    """The words of one message."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Language:
    """The words of one language. time, date: strftime patterns; a time zone's name is put behind a time."""

    tag: str
    time: str
    date: str
    words: Mapping[str, str]
    templates: Mapping[str, Template]


@dataclass(frozen=True, slots=True)
class Languages:
    """All languages by their tag."""

    by_tag: Mapping[str, Language]

    def best(self, wanted: str) -> Language:
        """Return the language that somebody reads: exactly the one, else one of the same family, else zh-CN."""
        if wanted in self.by_tag:
            return self.by_tag[wanted]
        family = wanted.partition("-")[0].lower()
        kin = (language for tag, language in self.by_tag.items() if tag.partition("-")[0].lower() == family)
        return next(kin, self.by_tag[FALLBACK])

    def template(self, language: Language, name: str) -> Template:
        """Return a template in a language, or in zh-CN when the language lacks it. Raises KeyError for neither."""
        return language.templates.get(name) or self.by_tag[FALLBACK].templates[name]


def read_languages(folder: Path, faults: Faults) -> Languages:
    """Return the languages of a folder of `<tag>.yaml` files; what is wrong is noted with file and line."""
    found = {path.stem: _language(path, faults) for path in sorted(folder.glob("*.yaml"))}
    if FALLBACK not in found:
        faults.add(Cell(folder / f"{FALLBACK}.yaml", 1, None), "is missing; every other language falls back to it")
    elif FORWARDED not in found[FALLBACK].templates:
        faults.add(Cell(folder / f"{FALLBACK}.yaml", 1, None), f"the template {FORWARDED!r} is missing")
    return Languages(found)


def _language(path: Path, faults: Faults) -> Language:
    content = read_yaml(path, faults)
    cells = {} if content is None else faults.mapping(content, must=("time", "date", "words", "templates"))
    words = faults.mapping(cells["words"], must=WORDS) if "words" in cells else {}
    templates = faults.mapping(cells["templates"], may=None) if "templates" in cells else {}
    return Language(
        tag=path.stem,
        time=faults.text(cells["time"]) if "time" in cells else "",
        date=faults.text(cells["date"]) if "date" in cells else "",
        words={name: faults.text(cell) for name, cell in words.items()},
        templates={name: _template(cell, faults) for name, cell in templates.items()},
    )


def _template(cell: Cell, faults: Faults) -> Template:
    parts = faults.mapping(cell, must=("subject", "text"))
    for part in parts.values():
        try:
            unknown = _placeholders(faults.text(part)) - PLACEHOLDERS
        except ValueError as error:
            faults.add(part, f"not a template: {error}")
            continue
        for name in sorted(unknown):
            faults.add(part, f"unknown placeholder {{{name}}}")
    return Template(*(str(parts[name].value) if name in parts else "" for name in ("subject", "text")))


@lru_cache(maxsize=1000)
def _placeholders(text: str) -> frozenset[str]:
    """Return the names in braces. Raises ValueError for braces that do not match and for anything but plain names."""
    names = set()
    for _, name, form, conversion in string.Formatter().parse(text):
        if name is not None:
            if form or conversion or not name.isidentifier():
                raise ValueError(f"{{{name}}} is not a plain name")
            names.add(name)
    return frozenset(names)


def render(template: Template, values: Mapping[str, str], none: str) -> tuple[str, str]:
    """Return subject and text. A line whose placeholders all lack a value is left out; else `none` stands for it."""
    lines = []
    for line in template.text.splitlines():
        names = _placeholders(line)
        if not names or any(name in values for name in names):
            lines.append(line.format_map({name: values.get(name, none) for name in names}))
    subject = template.subject.format_map(
        {name: values.get(name, none) for name in _placeholders(template.subject)},
    )
    return one_line(subject), _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip() + "\n"


def one_line(text: str) -> str:
    """Return what somebody wrote as one line, fit for a header: white space and control characters are one space."""
    return _ONE_LINE.sub(" ", text).strip()


@lru_cache(maxsize=1000)
def zone_of(name: str) -> ZoneInfo:
    """Return a time zone; that of Shanghai for a name that nobody knows."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo(FALLBACK_ZONE)
