"""What callers give, as values of the types that it should have; what does not fit is named."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from contracts.fact import Moment
from eventkit.errors import RuleBroken

F = TypeVar("F", bound=msgspec.Struct)


def checked(fact: type[F], arguments: Mapping[str, Any]) -> F:
    """Return arguments as a fact. Raises RuleBroken naming the field that does not fit."""
    try:
        return msgspec.convert(dict(arguments), fact)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$.")
        raise RuleBroken(reason, field=path.rstrip("`")) from None


def moment_in(arguments: Mapping[str, Any], field: str) -> datetime | None:
    """Return the moment that a field gives, if any. Raises RuleBroken for one that is none, or has no offset."""
    try:
        return msgspec.convert(arguments.get(field), Moment | None)
    except msgspec.ValidationError as error:
        raise RuleBroken(str(error), field=field) from None
