"""Writes `liaison_client/facts.py` from the contracts: `python clients/python/write_facts.py [check [FILE]]`.

A tool of this repository, no part of the library. The types are those that others may ask for or report: all that
the gateway emits for them, which is every type of its own but the refusal.
"""

from __future__ import annotations

import enum
import inspect
import json
import subprocess
import sys
import textwrap
import types
import typing
from datetime import date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(__file__).with_name("liaison_client") / "facts.py"
_HEAD = '''"""The facts that other systems may tell Liaison, as typed classes.

Written from Liaison's contracts by `clients/python/write_facts.py`: do not edit. A field that is None is left out, and
the door takes the default of the contract. Limits of fields are checked at the door.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, ClassVar

from liaison_client.fact import NAMED, Fact, Part

if TYPE_CHECKING:
    from typing import Literal
'''


def kind_of(annotation: Any) -> str:
    """Return how a contract's type reads in the library. Raises: TypeError for one that has no reading yet."""
    if typing.get_origin(annotation) is typing.Annotated:
        return kind_of(typing.get_args(annotation)[0])
    if isinstance(annotation, (types.UnionType, typing._UnionGenericAlias)):  # type: ignore[attr-defined]  # No public name for it.
        return " | ".join(kind_of(one) for one in typing.get_args(annotation))
    if typing.get_origin(annotation) in (tuple, dict):
        held = [kind_of(one) for one in typing.get_args(annotation) if one is not ...]
        return f"{'Sequence' if typing.get_origin(annotation) is tuple else 'Mapping'}[{', '.join(held)}]"
    if annotation is type(None):
        return "None"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return f"Literal[{', '.join(json.dumps(one.value) for one in annotation)}]"
    if annotation in (str, int, float, bool, date, datetime) or hasattr(annotation, "__struct_fields__"):
        return str(annotation.__name__)
    raise TypeError(f"no reading for {annotation!r}")


def fields_of(kind: type) -> list[Any]:
    """Return the fields of a contract that other systems may fill in."""
    import msgspec
    from contracts.gateway import ONLY_BY_MAIL

    return [one for one in msgspec.structs.fields(kind) if one.name not in ONLY_BY_MAIL]


def class_text(kind: type) -> str:
    """Return the class of a contract, its required fields first."""
    given = sorted(fields_of(kind), key=lambda one: not one.required)
    hints = typing.get_type_hints(kind, include_extras=True)
    is_fact = bool(getattr(kind, "TYPE", ""))
    lines = ["@dataclass(frozen=True, **NAMED)", f"class {kind.__name__}({'Fact' if is_fact else 'Part'}):"]
    lines += [*textwrap.indent(f'"""{inspect.getdoc(kind)}\n"""', "    ").splitlines(), ""]
    if is_fact:
        lines += [f"    TYPE: ClassVar[str] = {json.dumps(kind.TYPE)}", ""]  # type: ignore[attr-defined]  # Facts have it.
    for one in given:
        read = kind_of(hints[one.name])
        if one.required:
            lines.append(f"    {one.name}: {read}")
        else:
            lines.append(f"    {one.name}: {read.removesuffix(' | None')} | None = None")
    return "\n".join(lines) + "\n"


def parts_of(kind: type) -> list[type]:
    """Return the classes that a contract's fields are made of."""
    found: list[type] = []

    def walk(annotation: Any) -> None:
        if hasattr(annotation, "__struct_fields__"):
            found.append(annotation)
        for one in typing.get_args(annotation):
            walk(one)

    for field in fields_of(kind):
        walk(field.type)
    return found


def text() -> str:
    """Return the whole module, formatted."""
    from contracts.gateway import EventRefused
    from contracts.register import FACTS

    facts = [one for one in FACTS.values() if one.emitter() == EventRefused.emitter() and one is not EventRefused]
    parts = list(dict.fromkeys(part for fact in facts for part in parts_of(fact)))
    source = "\n\n".join([_HEAD, *(class_text(kind) for kind in (*parts, *facts)), _register(facts)])
    formatting = [str(Path(sys.executable).with_name("ruff")), "format", "--stdin-filename", str(TARGET), "-"]
    return subprocess.run(formatting, input=source, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def _register(facts: list[type]) -> str:
    names = ", ".join(fact.__name__ for fact in facts)
    return f'FACTS: tuple[type[Fact], ...] = ({names})\n"""Every fact."""\n'


def main(arguments: list[str]) -> int:
    """Write the module; with `check [FILE]`, say whether that is what would be written: 0 when it is, else 1."""
    sys.path.insert(0, str(ROOT))
    wanted = text()
    if arguments[:1] == ["check"]:
        found = Path(arguments[1]) if arguments[1:] else TARGET
        if found.read_text("utf-8") == wanted:
            return 0
        print(f"{found} is not what the contracts say: run python {sys.argv[0]}")
        return 1
    TARGET.write_text(wanted, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
