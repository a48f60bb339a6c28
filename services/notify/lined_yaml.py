"""YAML files that people write: read with line numbers, so that every fault can be named where it stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Cell:
    """A value and where it stands. value: a scalar, a list of cells, or a mapping from text to cells."""

    file: Path
    line: int
    value: Any


@dataclass(slots=True)
class Faults:
    """What is wrong with some files, collected so that all of it can be told at once."""

    found: list[str] = field(default_factory=list)

    def add(self, cell: Cell, reason: str) -> None:
        """Note a fault: `file:line: reason`."""
        self.found.append(f"{cell.file}:{cell.line}: {reason}")

    def mapping(self, cell: Cell, *, must: Iterable[str] = (), may: Iterable[str] | None = ()) -> dict[str, Cell]:
        """Return a cell's mapping, empty when it is none, noting unknown and absent keys. may: None allows any."""
        if not isinstance(cell.value, dict):
            self.add(cell, "must be a mapping")
            return {}
        must = tuple(must)
        for name in must:
            if name not in cell.value:
                self.add(cell, f"{name} is missing")
        if may is not None:
            for name, one in cell.value.items():
                if name not in must and name not in may:
                    self.add(one, f"unknown key {name!r}")
        return dict(cell.value)

    def text(self, cell: Cell) -> str:
        """Return a cell's text; noted, and empty, when it is none."""
        if isinstance(cell.value, str) and cell.value.strip():
            return cell.value
        self.add(cell, f"must be a text, not {cell.value!r}")
        return ""


def read_yaml(path: Path, faults: Faults) -> Cell | None:
    """Return a file's content, or None, noted, when it cannot be read as YAML."""
    try:
        loader = yaml.SafeLoader(path.read_text("utf-8"))
        node = loader.get_single_node()
        return Cell(path, 1, None) if node is None else _cell(path, loader, node, faults)
    except (OSError, UnicodeDecodeError) as error:
        faults.add(Cell(path, 1, None), f"cannot be read: {getattr(error, 'strerror', None) or error}")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        faults.add(Cell(path, mark.line + 1 if mark else 1, None), f"not YAML: {getattr(error, 'problem', error)}")
    return None


def _cell(path: Path, loader: yaml.SafeLoader, node: yaml.Node, faults: Faults) -> Cell:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return Cell(path, line, [_cell(path, loader, one, faults) for one in node.value])
    if not isinstance(node, yaml.MappingNode):
        return Cell(path, line, loader.construct_object(node))
    cells: dict[str, Cell] = {}
    for key, value in node.value:
        name = str(key.value)
        if name in cells:
            faults.add(Cell(path, key.start_mark.line + 1, None), f"{name!r} stands here twice")
        found = _cell(path, loader, value, faults)
        # A fault of an entry is looked for where its key stands, also when its value begins a line later.
        cells[name] = Cell(path, key.start_mark.line + 1, found.value)
    return Cell(path, line, cells)
