"""What the gateway may ask about the register of problems and risks (T11)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from eventkit.arguments import checked
from eventkit.errors import NotFound, RuleBroken
from services.tickets.sla.policy import Policy

if TYPE_CHECKING:
    from services.tickets.register.storage import RegisterStore

_Grade = Annotated[int, msgspec.Meta(ge=1, le=4)]
_Line = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
_Long = Annotated[str, msgspec.Meta(max_length=20_000)]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry as its owner writes it. likelihood and impact: 1 low to 4 high; their product is the weight."""

    kind: Literal["problem", "risk"]
    title: _Line
    owner: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    impact: _Grade
    summary: _Long = ""
    status: Literal["open", "watched", "blocked", "closed"] = "open"
    hotline: _Line | None = None
    likelihood: _Grade | None = None
    measures: _Long = ""
    due_on: date | None = None
    tickets: list[_Line] = []


_FIELDS = _Entry.__struct_fields__


def put(store: RegisterStore, policy: Policy, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Write a new entry, or change the one named `id`; what is absent stays. Raises RuleBroken naming the field."""
    given = {name: value for name, value in arguments.items() if name in _FIELDS}
    row = _found(store, arguments["id"]) if arguments.get("id") else None
    entry = _checked(({name: _plain(row[name]) for name in _FIELDS} if row else {}) | given)
    values = {name: getattr(entry, name) for name in _FIELDS}
    if row is None:
        number = f"R{policy.year_of(store.work.now)}-{store.next_number():04d}"
        row = store.entries.add(id=number, changed_at=store.work.now, **values)
        store.note(number, actor, "entry", None, entry.title)
        return shown(row)
    for name, value in values.items():
        if row[name] != value:
            store.note(row["id"], actor, name, row[name], value)
    return shown(store.entries.change(row, changed_at=store.work.now, **values))


def get(store: RegisterStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry with its changes."""
    row = _found(store, arguments["id"])
    return shown(row) | {"changes": store.changes_of(row["id"])}


def listed(store: RegisterStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries, the gravest first; with `status` blocked they are what management must know."""
    return {"items": [shown(row) for row in store.listed(arguments.get("filters") or {})]}


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry as callers see it."""
    weight = row["impact"] * (4 if row["likelihood"] is None else row["likelihood"])
    return {name: row[name] for name in ("id", *_FIELDS, "changed_at")} | {"weight": weight}


def _found(store: RegisterStore, entry: str) -> dict[str, Any]:
    row = store.entries.get(entry)
    if row is None:
        raise NotFound(f"no entry {entry}", field="id")
    return row


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _checked(given: Mapping[str, Any]) -> _Entry:
    entry = checked(_Entry, given)
    if entry.kind == "risk" and entry.likelihood is None:
        raise RuleBroken("a risk has one", field="likelihood")
    return entry
