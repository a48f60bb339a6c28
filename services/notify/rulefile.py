"""Reading the rule file: who is told of what, as people write it down."""

from __future__ import annotations

import enum
from collections.abc import Collection
from pathlib import Path
from typing import TypeVar

from contracts.notify import Medium
from services.notify.lined_yaml import Cell, Faults, read_yaml
from services.notify.rules import (
    COMPANION_WAIT_S,
    COMPANIONS,
    CONDITIONS,
    EVENTS,
    LONGEST_COMPANION_WAIT_S,
    AfterCrash,
    Role,
    Rule,
    RuleBook,
    When,
    can_name,
    rule_book,
)

E = TypeVar("E", bound=enum.StrEnum)
_MUST = ("name", "event", "to", "template", "priority")
_MAY = ("medium", "when", "after_crash", "waits_for", "at_most_s")


def read_rules(path: Path, templates: Collection[str], faults: Faults) -> RuleBook:
    """Return the rules of a file; what is wrong is noted with file, line and reason, all of it at once.

    templates: the names that a rule may use.
    """
    content = read_yaml(path, faults)
    if content is None:
        return {}
    entries = faults.mapping(content, must=("rules",)).get("rules")
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
    _check_event(cells, faults)
    if template.value not in templates:
        faults.add(template, f"there is no template {template.value!r}; there are: {', '.join(sorted(templates))}")
    if priority.value not in (1, 2, 3, 4) or isinstance(priority.value, bool):
        faults.add(priority, f"priority must be 1, 2, 3 or 4, not {priority.value!r}")
    name = faults.text(cells["name"])
    to = _roles(cells["to"], event.value, faults)
    medium = _word(cells.get("medium"), Medium, faults)
    when = _when(cells.get("when"), event.value, faults)
    after_crash = _word(cells.get("after_crash"), AfterCrash, faults)
    at_most_s = _seconds(cells.get("at_most_s"), faults)
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
        waits_for=cells["waits_for"].value if "waits_for" in cells else None,
        at_most_s=at_most_s,
    )


def _check_event(cells: dict[str, Cell], faults: Faults) -> None:
    event, companion = cells["event"], cells.get("waits_for")
    if event.value not in EVENTS:
        faults.add(event, f"unknown event type {event.value!r}; known: {', '.join(EVENTS)}")
    elif companion is not None and companion.value not in (known := COMPANIONS.get(event.value, frozenset())):
        there_are = f"may wait for: {', '.join(sorted(known))}" if known else "waits for none"
        faults.add(companion, f"unknown event to wait for {companion.value!r}; {event.value} {there_are}")
    if companion is None and "at_most_s" in cells:
        faults.add(cells["at_most_s"], "at_most_s says nothing without waits_for")


def _seconds(cell: Cell | None, faults: Faults) -> float:
    if cell is None:
        return COMPANION_WAIT_S
    value = cell.value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LONGEST_COMPANION_WAIT_S:
        return float(value)
    faults.add(cell, f"must be seconds, more than 0 and at most {LONGEST_COMPANION_WAIT_S:g}, not {value!r}")
    return COMPANION_WAIT_S


def _roles(cell: Cell, event: str, faults: Faults) -> tuple[Role, ...]:
    cells = cell.value if isinstance(cell.value, list) else [cell]
    if not cells:
        faults.add(cell, "to names nobody")
    roles = [(one, _word(one, Role, faults, "recipient")) for one in cells]
    for one, role in roles:
        if role is not None and event in EVENTS and not can_name(EVENTS[event], role):
            faults.add(one, f"{event} has no {role.value}")
    return tuple(role for _, role in roles if role is not None)


def _when(cell: Cell | None, event: str, faults: Faults) -> When | None:
    when = _word(cell, When, faults)
    if cell is not None and when is not None and event in EVENTS:
        for field in CONDITIONS[when].needs:
            if field not in EVENTS[event].__struct_fields__:
                faults.add(cell, f"{event} has no {field}, which {when.value} asks for")
    return when


def _word(cell: Cell | None, words: type[E], faults: Faults, what: str = "") -> E | None:
    """Return a word of a closed list. `other` only stands for what a reader does not know, so nobody may write it."""
    if cell is None:
        return None
    known = {word.value: word for word in words if word.value != "other"}
    if isinstance(cell.value, str) and cell.value in known:
        return known[cell.value]
    faults.add(cell, f"unknown {what or words.__name__.lower()} {cell.value!r}; known: {', '.join(known)}")
    return None
