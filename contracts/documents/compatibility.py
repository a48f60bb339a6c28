"""Whether events may change in this way: what was released must go on working, for readers and for stored events.

Old readers meet new events during every rolling upgrade, and new readers meet old events in journals and outboxes.
So a field may be added when it is optional, and a word to a closed list that has `other`; anything else is a new
version of the type, emitted beside the old one until nobody binds it (design: the event).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

Schema = Mapping[str, Any]

_LOWER_BOUNDS = ("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties")
_UPPER_BOUNDS = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")
_WORDS_ONLY_FOR_PEOPLE = ("$schema", "$id", "$defs", "title", "description", "examples")
# Compared by rules of their own; whatever else a schema says must stay as it is.
_STRUCTURE = ("properties", "required", "items", "anyOf", "enum", *_LOWER_BOUNDS, *_UPPER_BOUNDS)
_MISSING = object()


def breaks(released: Mapping[str, Schema], current: Mapping[str, Schema]) -> list[str]:
    """Return every way in which the current schemas break a released one, each as a line that names type and field.

    released, current: JSON Schemas by event type, each complete in itself.
    """
    return list(chain.from_iterable(_type_breaks(name, released[name], current) for name in sorted(released)))


def _type_breaks(name: str, released: Schema, current: Mapping[str, Schema]) -> Iterator[str]:
    if name in current:
        for line in _Comparison(released, current[name]).run():
            yield f"{name}: {line}"
    elif not _has_newer(name, current):
        yield f"{name}: vanished, and no newer version of it exists"


def _has_newer(name: str, current: Mapping[str, Schema]) -> bool:
    family, version = _versioned(name)
    return any(_versioned(other)[0] == family and _versioned(other)[1] > version for other in current)


def _versioned(name: str) -> tuple[str, int]:
    family, _, version = name.rpartition(".v")
    return family, int(version)


class _Comparison:
    """One released schema beside its successor; references are followed within each."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new

    def run(self) -> Iterator[str]:
        return self._schema("data", self._old, self._new)

    def _schema(self, at: str, old: Schema, new: Schema) -> Iterator[str]:
        old, new = _followed(old, self._old), _followed(new, self._new)
        if "anyOf" in old or "anyOf" in new:
            yield from self._default(at, old, new)
            yield from self._alternatives(at, old, new)
            return
        if old.get("type") != new.get("type"):
            yield f"{at} was {old.get('type')} and is now {new.get('type')}"
            return
        yield from self._words(at, old, new)
        yield from self._bounds(at, old, new)
        yield from self._rest(at, old, new)
        yield from self._fields(at, old, new)
        if "items" in old and "items" in new:
            yield from self._schema(f"{at}[]", old["items"], new["items"])
        elif "items" in old or "items" in new:
            yield f"{at} says something else of its items"

    def _alternatives(self, at: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = self._by_kind(old, self._old), self._by_kind(new, self._new)
        for kind in sorted(before.keys() - after.keys()):
            yield f"{at} was narrowed: it can no longer be {kind}"
        for kind in sorted(after.keys() - before.keys()):
            yield f"{at} was widened: it can now be {kind}, which readers of the released version refuse"
        for kind in sorted(before.keys() & after.keys()):
            yield from self._schema(at, before[kind], after[kind])

    @staticmethod
    def _by_kind(schema: Schema, whole: Schema) -> dict[str, Schema]:
        # A default belongs to the field, not to one of its alternatives.
        alone = {key: value for key, value in schema.items() if key != "default"}
        alternatives = [_followed(each, whole) for each in schema.get("anyOf", [alone])]
        return {str(each.get("type", "a closed list")): each for each in alternatives}

    @staticmethod
    def _words(at: str, old: Schema, new: Schema) -> Iterator[str]:
        if "enum" not in old or "enum" not in new:
            if "enum" in old or "enum" in new:
                yield f"{at} was a closed list, or became one"
            return
        for word in old["enum"]:
            if word not in new["enum"]:
                yield f"{at} lost the word {word!r}"
        added = [word for word in new["enum"] if word not in old["enum"]]
        if added and "other" not in old["enum"]:
            yield f"{at} got the word {added[0]!r}, but has no `other` that readers could take it for"

    @staticmethod
    def _bounds(at: str, old: Schema, new: Schema) -> Iterator[str]:
        for key, sign in chain(((key, 1) for key in _LOWER_BOUNDS), ((key, -1) for key in _UPPER_BOUNDS)):
            before, after = (schema.get(key, -sign * float("inf")) for schema in (old, new))
            change = f"{key} {old.get(key, 'absent')} became {new.get(key, 'absent')}"
            if sign * after > sign * before:
                yield f"{at} was narrowed: {change}"
            elif sign * after < sign * before:
                yield f"{at} was widened: {change}, which readers of the released version refuse"

    def _rest(self, at: str, old: Schema, new: Schema) -> Iterator[str]:
        yield from self._default(at, old, new)
        for key in sorted((old.keys() | new.keys()) - {*_STRUCTURE, *_WORDS_ONLY_FOR_PEOPLE, "type", "default"}):
            if old.get(key, _MISSING) != new.get(key, _MISSING):
                yield f"{at} changed {key}: {old.get(key)!r} became {new.get(key)!r}"

    @staticmethod
    def _default(at: str, old: Schema, new: Schema) -> Iterator[str]:
        # Emitters omit a value that equals the default, so that another default changes what was said before.
        before, after = (schema.get("default", _MISSING) for schema in (old, new))
        if before is not _MISSING and after is not _MISSING and before != after:
            yield f"{at} changed its default: {before!r} became {after!r}"

    def _fields(self, at: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        required, must = set(old.get("required", ())), set(new.get("required", ()))
        for name in sorted(before.keys() - after.keys()):
            yield f"{at}.{name} was removed"
        for name in sorted(after.keys() - before.keys()):
            if name in must:
                yield f"{at}.{name} was added, but is required"
        for name in sorted(before.keys() & after.keys()):
            if name in must - required:
                yield f"{at}.{name} became required"
            elif name in required - must:
                yield f"{at}.{name} became optional, which readers of the released version refuse"
            yield from self._schema(f"{at}.{name}", before[name], after[name])


def _followed(schema: Schema, whole: Schema) -> Schema:
    """Return the schema itself in place of a reference to it; what stands beside the reference stays."""
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].rpartition("/")[2]
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    return {**whole["$defs"][name], **beside}
