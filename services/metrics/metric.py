"""What a number on the page `/facts` is: its name, its kind, what it says, and the values that its labels may have.

Label values come from closed lists, so that every series can be shown from the start, with 0; departments alone come
from the facts, at most MAX_DEPARTMENTS of them. Numbers are kept as whole units of `1 / scale`, because sums of whole
numbers do not depend on their order, and sums of floats do.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

MICROSECONDS = 1_000_000
#: Upper ends in seconds, exactly at the limits of service levels (notes/notify-metrics.md 3.2).
BUCKETS_S = (300, 900, 1800, 3600, 14400, 28800, 86400, 259200)
# Written as floats, as Prometheus 3 and OpenMetrics normalise them; `le` is compared as text.
BUCKETS = (*(str(float(end)) for end in BUCKETS_S), "+Inf")
#: Departments with series of their own; those of the others are added up as `other`.
MAX_DEPARTMENTS = 50

Labels = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Metric:
    """A declared metric. help: one sentence. labels: each label's closed list. scale: kept units in one shown unit."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Labels = field(default_factory=dict)
    scale: int = 1

    def at(self, *values: str) -> str:
        """Return the key of one series, in Prometheus's notation.

        A value outside its label's list is counted as `other`. Raises ValueError when the list has no `other`.
        """
        key = self._keys.get(values)
        return self._keys[self._mapped(values)] if key is None else key

    def within(self, departments: Sequence[str]) -> Metric:
        """Return the metric with a series for each of these departments, when departments are among its labels."""
        if "department" not in self.labels:
            return self
        return replace(self, labels={**self.labels, "department": (*departments, "other")})

    def series(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Return the label values and the key of every series, in the order of the declaration."""
        return iter(self._keys.items())

    @cached_property
    def _keys(self) -> dict[tuple[str, ...], str]:
        return {values: self._key(values) for values in itertools.product(*self.labels.values())}

    def _key(self, values: tuple[str, ...]) -> str:
        pairs = (f'{name}="{value}"' for name, value in zip(self.labels, values, strict=True))
        return f"{self.name}{{{','.join(pairs)}}}" if values else self.name

    def _mapped(self, values: tuple[str, ...]) -> tuple[str, ...]:
        mapped = []
        for value, (name, known) in zip(values, self.labels.items(), strict=True):
            if value not in known and "other" not in known:
                raise ValueError(f"{self.name}: {name}={value!r} is none of {', '.join(known)}")
            mapped.append(value if value in known else "other")
        return tuple(mapped)


@dataclass(frozen=True)
class Histogram(Metric):
    """A histogram of seconds: counts by bucket, not cumulated, and a sum in microseconds."""

    @cached_property
    def buckets(self) -> Metric:
        """The counts by bucket."""
        return Metric(f"{self.name}_bucket", "counter", self.help, {**self.labels, "le": BUCKETS})

    @cached_property
    def sums(self) -> Metric:
        """The sums of what was observed."""
        return Metric(f"{self.name}_sum", "counter", self.help, self.labels, MICROSECONDS)
