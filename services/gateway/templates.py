"""Templates of mapping files: how a field is made from what a publisher sent. Pure.

`"账号被锁定:{data.login}"` is text with placeholders; a lone placeholder keeps the type of what it stands for;
`{from: data.level, map: {...}, default: 3}` chooses; everything else is a constant, a list or an object of these.
What a placeholder does not find makes the whole field absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from eventkit.errors import BadMessage

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_PATH = re.compile(r"data(\.[^.\s]+)*|[a-z0-9]+")


class Absent:
    """The value of a field that was not given."""


ABSENT: Final = Absent()


class Sent(msgspec.Struct, frozen=True):
    """What a publisher sent. data: decoded JSON. absent: texts that this publisher writes for "not given"."""

    attributes: Mapping[str, str]
    data: Any
    absent: frozenset[str]

    def find(self, path: str) -> Any:
        """Return the value at `data.…`, or of an envelope attribute; ABSENT when it is missing, null or listed."""
        root, *rest = path.split(".")
        value = self.data if root == "data" else self.attributes.get(root)
        for name in rest:
            value = value.get(name) if isinstance(value, dict) else None
        if value is None or (self.absent and isinstance(value, str | int | float) and _text(value) in self.absent):
            return ABSENT
        return value


Template = Callable[[Sent], Any]
"""Makes a value, or ABSENT. Raises BadMessage naming the publisher's field."""


def compile_template(value: Any) -> Template:
    """Return the template of a value from a mapping file. Raises ValueError saying what is wrong with it."""
    if isinstance(value, str):
        return _compile_text(value)
    if isinstance(value, list):
        items = [compile_template(item) for item in value]
        return lambda sent: [made for item in items if (made := item(sent)) is not ABSENT]
    if isinstance(value, dict):
        return _compile_choice(value) if "from" in value else _compile_object(value)
    if value is not None and not isinstance(value, bool | int | float):
        raise ValueError(f"{value!r} is a YAML {type(value).__name__}; put it in quotes")
    return lambda sent: ABSENT if value is None else value


def constants(value: Any) -> Iterator[Any]:
    """Yield the values that a template can only ever yield as they stand, so that they can be checked at load."""
    if isinstance(value, dict) and "from" in value:
        choices = value.get("map")
        yield from choices.values() if isinstance(choices, dict) else ()
        if "default" in value:
            yield value["default"]
    elif isinstance(value, str):
        if not any(match[1] is not None for match in _PLACEHOLDER.finditer(value)):
            yield value.replace("{{", "{").replace("}}", "}")
    elif not isinstance(value, dict | list) and value is not None:
        yield value


def _compile_text(text: str) -> Template:
    parts: list[tuple[str, str]] = []
    position = 0
    for match in _PLACEHOLDER.finditer(text):
        parts.append((text[position : match.start()], ""))
        position = match.end()
        if match[0] in ("{{", "}}"):
            parts.append((match[0][0], ""))
        elif match[1] is None:
            raise ValueError(f"{text!r}: a lone `{match[0]}`; write it twice when it is meant")
        else:
            parts.append(("", _checked_path(match[1])))
    parts.append((text[position:], ""))
    parts = [part for part in parts if part != ("", "")]
    if len(parts) == 1 and parts[0][1]:
        path = parts[0][1]
        return lambda sent: sent.find(path)
    if not any(path for _, path in parts):
        fixed = "".join(literal for literal, _ in parts)
        return lambda sent: fixed
    return lambda sent: _filled(parts, sent)


def _filled(parts: list[tuple[str, str]], sent: Sent) -> Any:
    pieces = []
    for literal, path in parts:
        if not path:
            pieces.append(literal)
            continue
        value = sent.find(path)
        if value is ABSENT:
            return ABSENT
        if isinstance(value, dict | list):
            raise BadMessage("is a list or an object, and belongs into a text", field=path)
        pieces.append(_text(value))
    return "".join(pieces)


def _checked_path(path: str) -> str:
    if not _PATH.fullmatch(path):
        raise ValueError(f"{{{path}}} is no placeholder: `data.…` or an attribute such as `subject`")
    return path


def _compile_choice(value: Mapping[str, Any]) -> Template:
    if unknown := sorted(set(map(str, value)) - {"from", "map", "default"}):
        raise ValueError(f"a choice has `from`, `map` and `default`, not {', '.join(unknown)}")
    if not isinstance(value["from"], str) or not isinstance(value.get("map"), dict):
        raise ValueError("a choice needs `from: data.…` and a `map`")
    path = _checked_path(value["from"].strip("{}"))
    choices = {_text(key): chosen for key, chosen in value["map"].items()}
    default = value.get("default", ABSENT)

    def choose(sent: Sent) -> Any:
        found = sent.find(path)
        if found is ABSENT:
            return default
        chosen = default if isinstance(found, dict | list) else choices.get(_text(found), default)
        if chosen is ABSENT:
            raise BadMessage(f"is not one of {', '.join(choices)}", field=path)
        return chosen

    return choose


def _compile_object(value: Mapping[str, Any]) -> Template:
    fields = {str(name): compile_template(field) for name, field in value.items()}
    return lambda sent: fill(fields, sent)


def fill(fields: Mapping[str, Template], sent: Sent) -> dict[str, Any]:
    """Return the fields that are there."""
    return {name: made for name, template in fields.items() if (made := template(sent)) is not ABSENT}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
