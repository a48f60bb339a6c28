"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of one run.

    events: preloaded for each contender. rounds: of everything short; the middle one counts. hold_s: seconds for
    which a steady load is held. details: by row, what was seen besides the figures.
    """

    quick: bool = False
    events: int = 20_000
    rounds: int = 3
    hold_s: float = 60.0
    details: dict[str, dict[str, Any]] = field(default_factory=dict)


def quick_plan() -> Plan:
    """Return the plan of a smoke run: everything once, small, its figures worth nothing."""
    return Plan(quick=True, events=1000, rounds=1, hold_s=5.0)
