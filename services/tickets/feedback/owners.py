"""Reading the owners' file: who follows feedback up, as people write it down."""

from __future__ import annotations

from pathlib import Path

import yaml

from eventkit.errors import BadSettings
from services.tickets.feedback.rules import Owners

_KEYS = ("problem_codes", "departments", "default")


class _Reading:
    """One file under way. faults: what is wrong, each with file, line and reason."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.faults: list[str] = []

    def fault(self, mark: yaml.Mark | None, reason: str) -> None:
        line = mark.line + 1 if mark else 1
        self.faults.append(f"{self._path}:{line}: {reason}")

    def content(self) -> yaml.Node | None:
        try:
            return yaml.compose(self._path.read_text("utf-8"), Loader=yaml.SafeLoader)
        except (OSError, UnicodeDecodeError) as error:
            self.fault(None, f"cannot be read: {error}")
        except yaml.MarkedYAMLError as error:
            self.fault(error.problem_mark, f"not YAML: {error.problem}")
        return None

    def pairs(self, node: yaml.Node | None) -> dict[str, tuple[yaml.Mark, yaml.Node]]:
        """Return a mapping's values by key, each with the mark of its key; empty when it is none."""
        found: dict[str, tuple[yaml.Mark, yaml.Node]] = {}
        if not isinstance(node, yaml.MappingNode):
            self.fault(node.start_mark if node else None, "must be a mapping")
            return found
        for key, value in node.value:
            name = str(key.value).strip()
            if not name or name in found:
                self.fault(key.start_mark, f"{name!r} stands here twice" if name else "an empty key")
            found[name] = (key.start_mark, value)
        return found

    def numbers(self, mark: yaml.Mark, node: yaml.Node) -> tuple[str, ...]:
        """Return one employee number or a list of them."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        numbers = [one.value if isinstance(one, yaml.ScalarNode) else "" for one in nodes]
        for one, number in zip(nodes, numbers, strict=True):
            if not number or len(number) > 64 or any(char.isspace() for char in number):
                self.fault(one.start_mark, f"{number!r} is not an employee number")
        if not nodes:
            self.fault(mark, "names nobody")
        if len(set(numbers)) < len(numbers):
            self.fault(mark, "names somebody twice")
        return tuple(numbers)

    def lists(self, node: yaml.Node) -> dict[str, tuple[str, ...]]:
        return {name: self.numbers(mark, value) for name, (mark, value) in self.pairs(node).items()}


def read_owners(path: Path) -> Owners:
    """Read an owners' file. Raises BadSettings that names every fault with file, line and reason."""
    reading = _Reading(path)
    content = reading.content()
    entries = {} if reading.faults else reading.pairs(content)
    for name, (mark, _) in entries.items():
        if name not in _KEYS:
            reading.fault(mark, f"unknown key {name!r}; known: {', '.join(_KEYS)}")
    if not reading.faults and "default" not in entries:
        reading.fault(None, "default is missing: who follows up what nobody else does")
    codes, departments = (reading.lists(entries[name][1]) if name in entries else {} for name in _KEYS[:2])
    default = reading.numbers(*entries["default"]) if "default" in entries else ()
    if reading.faults:
        raise BadSettings("\n".join(reading.faults))
    return Owners(codes, {name.rstrip("/"): numbers for name, numbers in departments.items()}, default)
