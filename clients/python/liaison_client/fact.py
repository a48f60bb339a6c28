"""What every fact is made of, and how it becomes JSON."""

from __future__ import annotations

import sys
from dataclasses import fields
from datetime import date, datetime, timezone
from typing import Any, ClassVar

# Fields are to be named by their callers; only Python 3.10 and later can insist.
NAMED: dict[str, bool] = {"kw_only": True} if sys.version_info >= (3, 10) else {}


class Part:
    """What facts are made of."""

    def as_json(self) -> dict[str, Any]:
        """Return what JSON can hold, without the fields that were left out. Raises: ValueError for a naive moment."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]  # Always one.
        return {name: _plain(value) for name, value in found.items() if value is not None}


class Fact(Part):
    """The data of one type of event. TYPE: its CloudEvents type."""

    TYPE: ClassVar[str] = ""


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return value.as_json()
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no offset from UTC")
        return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value
