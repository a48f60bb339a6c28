"""What tests publish to the tickets service, and what they read of what it tells."""

from __future__ import annotations

from typing import Any

import msgspec

from contracts.gateway import PersonChanged, TicketRequested, TicketUpdateRequested
from tests.eventkit.desk import Desk, reported

ALL = {"kind": "all"}


def engineer(number: str, group: str, version: int = 1, active: bool = True) -> Any:
    data = PersonChanged(
        employee_number=number, version=version, name=number, roles=("engineer",), groups=(group,), active=active
    )
    return reported(data, number, version)


def asked(ref: str, sequence: int = 1, **fields: Any) -> Any:
    more = {name: fields.pop(name) for name in ("time", "history", "arrived_at") if name in fields}
    data = TicketRequested(**{"title": "打印机坏了", "region": "华东"} | fields)
    return reported(data, ref, sequence, externalref=ref, **more)


def update(ref: str, sequence: int, **fields: Any) -> Any:
    more = {name: fields.pop(name) for name in ("time", "history") if name in fields}
    return reported(TicketUpdateRequested(**fields), ref, sequence, externalref=ref, **more)


def told(tickets: Desk) -> list[tuple[str, dict[str, Any]]]:
    """Return the events emitted so far, as short types with their data."""
    rows = tickets.rows("select type, payload from eventkit.outbox order by position")
    return [(row.type.removeprefix("liaison.")[:-3], msgspec.json.decode(bytes(row.payload))) for row in rows]


def types(tickets: Desk) -> list[str]:
    return [kind for kind, _ in told(tickets)]
