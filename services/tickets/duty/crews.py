"""Whom groups have and what their rosters say, kept by a process for as long as nobody changes any of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, select

from eventkit.work import Row
from services.tickets.duty.tables import epoch

_EPOCH = select(epoch.c.epoch)


@dataclass(frozen=True, slots=True)
class Crew:
    """What is stored of a group: its shifts and swaps since a while ago, its engineers and whom its roster names."""

    shifts: Sequence[Any]
    swaps: Sequence[Any]
    people: list[Row]

    def since(self, moment: datetime) -> Crew:
        """Return the crew without the shifts and swaps that were over by a moment."""
        shifts, swaps = ([row for row in rows if row["end_at"] > moment] for rows in (self.shifts, self.swaps))
        return replace(self, shifts=shifts, swaps=swaps)


def named_by(shifts: Sequence[Any], swaps: Sequence[Any]) -> set[str]:
    """Return everybody whom a roster names, of whatever group they are."""
    named = {one[name] for one in shifts for name in ("person", "stand_in")} | {one["taker"] for one in swaps}
    return named - {None}


@dataclass(frozen=True, slots=True)
class _Kept:
    epoch: int
    crews: dict[str, Crew] = field(default_factory=dict)


_KEPT: WeakKeyDictionary[Engine, _Kept] = WeakKeyDictionary()


def kept_crews(connection: Connection) -> dict[str, Crew]:
    """Return what this process has read of groups in the present epoch; what is read now may be put there.

    The epoch is looked at first: what is read behind it is at least as new, and newer only until the next look.
    """
    present = connection.execute(_EPOCH).scalar_one()
    kept = _KEPT.get(connection.engine)
    if kept is None or kept.epoch != present:
        kept = _KEPT[connection.engine] = _Kept(present)
    return kept.crews
