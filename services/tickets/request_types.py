"""Request types (S6, T1): what kinds of request there are, each with fields and defaults of its own. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from contracts.words import Secrecy
from eventkit.errors import RuleBroken

_LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class OwnField:
    """A field that only requests of this type have. pattern: a regular expression that the whole value matches."""

    title: str
    required: bool = False
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class RequestType:
    """A kind of request. What is None is as for any other. alarm: its group's lead is told at once, as of a breach."""

    title: str
    fields: Mapping[str, OwnField]
    group: str | None = None
    priority: int | None = None
    secrecy: Secrecy | None = None
    alarm: bool = False


def checked_fields(name: str, kind: RequestType, given: Mapping[str, str]) -> dict[str, str]:
    """Return a request's own fields. Raises RuleBroken naming the one that is unknown, missing or wrong."""
    for field, value in given.items():
        own = kind.fields.get(field)
        if own is None:
            known = ", ".join(kind.fields) or "none"
            raise RuleBroken(f"a request of type {name} has no such field: there are {known}", field=f"fields.{field}")
        if len(value) > _LONGEST:
            raise RuleBroken(f"is longer than {_LONGEST} characters", field=f"fields.{field}")
        if own.pattern is not None and re.fullmatch(own.pattern, value) is None:
            raise RuleBroken(f"{own.title}: {value!r} does not fit {own.pattern}", field=f"fields.{field}")
    for field, own in kind.fields.items():
        if own.required and not given.get(field):
            raise RuleBroken(f"{own.title} is needed", field=f"fields.{field}")
    return dict(given)
