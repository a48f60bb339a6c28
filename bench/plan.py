"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: Seconds at the beginning of a steady load that count for nothing.
WARM_S = 2.0


@dataclass(frozen=True, slots=True)
class Steady:
    """A steady load: requests a second, and for how many seconds after WARM_S."""

    per_second: float
    hold_s: float

    @property
    def count(self) -> int:
        """How many requests that is."""
        return int((self.hold_s + WARM_S) * self.per_second)


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of one run.

    events: preloaded for each contender. rounds: of everything short; the middle one counts. hold_s: seconds for
    which a steady load is held. per_second: its requests. details: by row, what was seen besides the figures.
    """

    quick: bool = False
    events: int = 20_000
    rounds: int = 3
    hold_s: float = 60.0
    per_second: float = 100.0
    details: dict[str, dict[str, Any]] = field(default_factory=dict)

    def steady(self, hold_s: float | None = None) -> Steady:
        """Return the steady load, for as long as is planned or another while."""
        return Steady(self.per_second, self.hold_s if hold_s is None else hold_s)


def quick_plan() -> Plan:
    """Return the plan of a smoke run: everything once, small, its figures worth nothing."""
    return Plan(quick=True, events=1000, rounds=1, hold_s=5.0)
