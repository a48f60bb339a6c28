"""Reading the rule file: who is told of what, as people write it down."""

from __future__ import annotations

import enum
from collections.abc import Collection
from pathlib import Path
from typing import TypeVar

from contracts.notify import Medium
from services.notify.rules import EVENTS, AfterCrash, Role, Rule, RuleBook, When, rule_book
from services.notify.sheets import Cell, Faults, read_sheet

E = TypeVar("E", bound=enum.StrEnum)
_MUST = ("name", "event", "to", "template", "priority")
_MAY = ("medium", "when", "after_crash")


def read_rules(path: Path, templates: Collection[str], faults: Faults) -> RuleBook:
    """Return the rules of a file; what is wrong is noted with file, line and reason, all of it at once.

    templates: the names that a rule may use.
    """
    sheet = read_sheet(path, faults)
    if sheet is None:
        return {}
    entries = faults.mapping(sheet, must=("rules",)).get("rules")
    if entries is None:
        return {}
    if not isinstance(entries.value, list) or not entries.value:
        faults.add(entries, "rules must be a list with at least one rule")
        return {}
    rules: list[Rule] = []
    names: set[str] = set()
    for entry in entries.value:
        rule = _rule(entry, templates, faults)
        if rule is None:
            continue
        if rule.name in names:
            faults.add(entry, f"there is a rule named {rule.name!r} already")
        names.add(rule.name)
        rules.append(rule)
    return rule_book(rules)


def _rule(entry: Cell, templates: Collection[str], faults: Faults) -> Rule | None:
    before = len(faults.found)
    cells = faults.mapping(entry, must=_MUST, may=_MAY)
    if not all(name in cells for name in _MUST):
        return None
    event, template, priority = cells["event"], cells["template"], cells["priority"]
    if event.value not in EVENTS:
        faults.add(event, f"unknown event type {event.value!r}; known: {', '.join(EVENTS)}")
    if template.value not in templates:
        faults.add(template, f"there is no template {template.value!r}; there are: {', '.join(sorted(templates))}")
    if priority.value not in (1, 2, 3, 4) or isinstance(priority.value, bool):
        faults.add(priority, f"priority must be 1, 2, 3 or 4, not {priority.value!r}")
    name = faults.text(cells["name"])
    to = _roles(cells["to"], faults)
    medium = _word(cells.get("medium"), Medium, faults)
    when = _word(cells.get("when"), When, faults)
    after_crash = _word(cells.get("after_crash"), AfterCrash, faults)
    if len(faults.found) > before:
        return None
    return Rule(
        name=name,
        event=event.value,
        to=to,
        template=template.value,
        priority=priority.value,
        medium=medium or Medium.MAIL,
        when=when,
        after_crash=after_crash or AfterCrash.UNKNOWN,
    )


def _roles(cell: Cell, faults: Faults) -> tuple[Role, ...]:
    cells = cell.value if isinstance(cell.value, list) else [cell]
    if not cells:
        faults.add(cell, "to names nobody")
    roles = (_word(one, Role, faults, "recipient") for one in cells)
    return tuple(role for role in roles if role is not None)


def _word(cell: Cell | None, words: type[E], faults: Faults, what: str = "") -> E | None:
    """Return a word of a closed list. `other` only stands for what a reader does not know, so nobody may write it."""
    if cell is None:
        return None
    known = {word.value: word for word in words if word.value != "other"}
    if isinstance(cell.value, str) and cell.value in known:
        return known[cell.value]
    faults.add(cell, f"unknown {what or words.__name__.lower()} {cell.value!r}; known: {', '.join(known)}")
    return None
