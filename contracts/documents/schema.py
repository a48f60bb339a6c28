"""The JSON Schema of each event type, made from its class."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import msgspec

from contracts.fact import Fact

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def identifier(event_type: str) -> str:
    """Return the URI of a type's schema: its `$id`, and the `dataschema` of its events."""
    return f"urn:liaison:schema:{event_type}"


def described(fact: type[Fact]) -> str:
    """Return what a class and the private classes that it extends say of themselves, as one text."""
    texts = [
        inspect.cleandoc(ancestor.__doc__)
        for ancestor in fact.__mro__
        if issubclass(ancestor, Fact) and ancestor is not Fact and ancestor.__doc__
    ]
    return "\n\n".join(texts)


def components(facts: Iterable[type[Fact]], ref_template: str) -> dict[str, Schema]:
    """Return the schemas of the facts, and of all that they are made of, by class name.

    ref_template: the address of a schema within the document to be, with `{name}` for the class name.
    """
    listed = list(facts)
    _, found = msgspec.json.schema_components(listed, ref_template=ref_template)
    for fact in listed:
        found[fact.__name__]["description"] = described(fact)
    # Defaults come as Python values, tuples among them; what is compared and written is JSON.
    made: dict[str, Schema] = msgspec.json.decode(msgspec.json.encode(found))
    return made


def schema_of(fact: type[Fact]) -> Schema:
    """Return the JSON Schema (2020-12) of one type, complete in itself."""
    parts = components([fact], "#/$defs/{name}")
    whole = parts.pop(fact.__name__)
    schema = {"$schema": DIALECT, "$id": identifier(fact.TYPE), **whole}
    return {**schema, "$defs": parts} if parts else schema
