"""Calendar files: what a desk writes down of its hours becomes calendars to reckon with. One YAML file per calendar.

An overlay names its `base`, and perhaps a `region`: what it says comes before what the base says. A wrong file is
reported with file, line and reason, all faults at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from eventkit.errors import BadSettings, RuleBroken
from services.tickets.business_time.calendar import Calendar
from services.tickets.business_time.parts import Fault, Parts
from services.tickets.business_time.reading import PartsReader

SHIPPED = Path(__file__).parents[1] / "calendars"


@dataclass(frozen=True, slots=True)
class Calendars:
    """Calendars by name, and the overlays of regions by the name of their base and the region."""

    named: Mapping[str, Calendar]
    regional: Mapping[tuple[str, str], Calendar]

    def of(self, name: str, region: str | None = None) -> Calendar:
        """Return a region's own form of a calendar, else the calendar. Raises BadSettings for an unknown name."""
        found = self.regional.get((name, region or "")) or self.named.get(name)
        if found is None:
            raise BadSettings(f"no calendar {name!r}: there are {', '.join(sorted(self.named)) or 'none'}")
        return found

    def forms_of(self, name: str) -> list[Calendar]:
        """Return a calendar and its regions' own forms."""
        return [self.named[name], *(form for (base, _), form in self.regional.items() if base == name)]


def read_calendars(definitions: Mapping[str, object]) -> tuple[Calendars, list[Fault]]:
    """Return the calendars that are right, and what is wrong with the others.

    definitions: by name, each as its file has it: `timezone`, `edge`, `week`, `open`, `closed`, `closed_yearly`,
    `holidays`, `makeup_hours`, `workdays`, `published`; `base` and `region` in an overlay; `title`, `note` for people.
    """
    faults: list[Fault] = []
    parts = {name: PartsReader(name, faults).parts(given) for name, given in definitions.items()}
    named: dict[str, Calendar] = {}
    regional: dict[tuple[str, str], Calendar] = {}
    wrong = {fault.calendar for fault in faults}
    for name, own in parts.items():
        whole = _whole(name, parts, wrong, faults)
        if whole is None:
            continue
        try:
            calendar = Calendar(name, whole.zone(), whole.days(), whole.edge_or_default())
        except RuleBroken as error:
            faults.append(Fault(name, (error.field,), str(error)))
            continue
        named[name] = calendar
        if own.base and own.region:
            if (own.base, own.region) in regional:
                faults.append(Fault(name, ("region",), f"{own.base} has another overlay for {own.region}"))
            regional[own.base, own.region] = calendar
    return Calendars(named, regional), faults


def _whole(name: str, parts: Mapping[str, Parts], wrong: set[str], faults: list[Fault]) -> Parts | None:
    """Return a calendar's parts laid over its bases', or None when one of them is wrong."""
    chain = [name]
    while base := parts[chain[-1]].base:
        if base in chain:
            faults.append(Fault(name, ("base",), f"goes round in a circle: {' on '.join([*chain, base])}"))
            return None
        if base not in parts:
            if len(chain) == 1:
                faults.append(Fault(name, ("base",), f"no calendar {base!r}"))
            return None
        chain.append(base)
    if wrong.intersection(chain):
        if name not in wrong:
            faults.append(Fault(name, ("base",), f"{parts[name].base} is wrong"))
        return None
    whole = parts[chain.pop()]
    while chain:
        whole = parts[chain.pop()].over(whole)
    return whole


def load_calendars(folder: Path = SHIPPED) -> Calendars:
    """Read every calendar file of a folder; a calendar is named as its file. Raises BadSettings with every fault."""
    definitions: dict[str, object] = {}
    files: dict[str, tuple[str, _Lines]] = {}
    told: list[tuple[str, int, str]] = []
    for path in sorted(folder.glob("*.y*ml")):
        lines = _Lines()
        try:
            root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
            definitions[path.stem] = lines.plain(root)
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            mark = getattr(error, "problem_mark", None)
            reason = getattr(error, "problem", None) or str(error)
            told.append((path.name, mark.line + 1 if mark else 1, f"not YAML: {reason}"))
        files[path.stem] = path.name, lines
        told += [(path.name, line, reason) for line, reason in lines.faults]
    calendars, faults = read_calendars(definitions)
    for fault in faults:
        file, lines = files[fault.calendar]
        told.append((file, lines.of(fault.path), fault.told()))
    if told:
        raise BadSettings(
            "calendar files are wrong:\n" + "\n".join(f"{f}:{line}: {why}" for f, line, why in sorted(told))
        )
    return calendars


class _Lines:
    """Turns YAML nodes into plain values and remembers on which line each stands.

    Scalars stay text: YAML would read 10:30 as a number to the base of 60.
    """

    def __init__(self) -> None:
        self._lines: dict[tuple[str | int, ...], int] = {}
        self.faults: list[tuple[int, str]] = []

    def of(self, path: tuple[str | int, ...]) -> int:
        """Return the line of what a path leads to, or of the nearest thing around it; counted from 1."""
        return next((self._lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self._lines), 1)

    def plain(self, node: Any, path: tuple[str | int, ...] = ()) -> object:
        if node is None:
            return None
        self._lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return dict(self._entries(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item, (*path, number)) for number, item in enumerate(node.value)]
        return None if node.tag == "tag:yaml.org,2002:null" else node.value

    def _entries(self, node: yaml.MappingNode, path: tuple[str | int, ...]) -> Iterator[tuple[str, object]]:
        seen = set()
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                self.faults.append((line, f"{name} stands here twice"))
            seen.add(name)
            self._lines[(*path, name)] = line
            yield name, self.plain(value, (*path, name))
