"""What callers give, as values of the types that it should have; what does not fit is named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from contracts.fact import Moment
from eventkit.errors import RuleBroken

T = TypeVar("T")
_MISSING = re.compile(r"missing required field `(\w+)`")


def checked(kind: type[T], arguments: Mapping[str, Any]) -> T:
    """Return arguments as a value of a type. Raises RuleBroken naming the field that does not fit."""
    found: T = converted(dict(arguments), kind)
    return found


def moment_in(arguments: Mapping[str, Any], field: str) -> datetime | None:
    """Return the moment that a field gives, if any. Raises RuleBroken for one that is none, or has no offset."""
    found: datetime | None = converted(arguments.get(field), Moment | None, field)
    return found


def converted(given: Any, kind: Any, field: str = "") -> Any:
    """Return what a field gives, or all fields, as a value of a type. Raises RuleBroken naming what does not fit."""
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        missing = _MISSING.search(reason)
        named = f"{field}{path.rstrip('`')}".lstrip(".")
        raise RuleBroken(reason, field=named or (missing[1] if missing else "")) from None
