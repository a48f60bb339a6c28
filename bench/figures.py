"""What was measured, against which bar: one line of the table each, and the table."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

# Wide enough for the table, also where the output is a file.
console = Console(highlight=False, soft_wrap=True, width=max(Console().width, 160))


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result table.

    value: our figure, in `unit`. peer: what it is compared with. ratio: ours to the peer's, in the same run.
    bar, goal: as text; kept: whether the bar is kept, None for figures that have none.
    """

    row: str
    what: str
    value: float
    unit: str
    peer: str = ""
    ratio: float | None = None
    bar: str = ""
    goal: str = ""
    kept: bool | None = None


def median(values: Sequence[float]) -> float:
    """Return the middle one (the upper one of two)."""
    return sorted(values)[len(values) // 2]


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return the usual quantiles by name."""
    return {f"p{percent:g}": quantile(values, percent / 100) for percent in (50, 90, 99, 99.9)}


def spread(milliseconds: Sequence[float]) -> str:
    """Return what a progress line says of latencies."""
    return ", ".join(f"{name} {value:.1f}" for name, value in percentiles(milliseconds).items()) + " ms"


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast something went. cpu_us: processor time for each event in microseconds, by who spent it."""

    per_second: float
    cpu_us: Mapping[str, float]


def pace(
    done: Callable[[], int],
    total: int,
    *,
    within_s: float,
    alive: Callable[[], bool],
    spent: Callable[[], Mapping[str, float]] = dict,
) -> Pace:
    """Watch a counter go to `total` and return how fast it went from 5 % to the end.

    The beginning is left out, since a contender's start is not its speed. spent: processor seconds so far, by name.
    Raises TimeoutError when it takes longer than `within_s` or the contender dies.
    """
    deadline = time.monotonic() + within_s
    first: tuple[float, int, Mapping[str, float]] | None = None
    while True:
        count, now = done(), time.monotonic()
        if first is None and count >= 0.05 * total:
            first = (now, count, spent())
        if count >= total and first is not None:
            events = max(total - first[1], 1)
            cpu_us = {name: (seconds - first[2][name]) / events * 1e6 for name, seconds in spent().items()}
            return Pace(events / max(now - first[0], 1e-9), cpu_us)
        if now > deadline or not alive():
            raise TimeoutError(
                f"{count} of {total} after {within_s:.0f} s" if alive() else f"died at {count} of {total}"
            )
        time.sleep(0.02)


def costs(found: Pace) -> str:
    """Return what an event cost, for a progress line."""
    return ", ".join(f"{name} {us:.0f}" for name, us in found.cpu_us.items()) + " µs of processor an event"


def show(figures: Sequence[Figure]) -> None:
    """Print the result table."""
    table = Table("row", "what", "measured", "against", "ratio", "bar", "goal", "")
    for one in figures:
        verdict = "" if one.kept is None else "[green]kept[/green]" if one.kept else "[red]missed[/red]"
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        table.add_row(
            one.row, one.what, f"{_number(one.value)} {one.unit}", one.peer, ratio, one.bar, one.goal, verdict
        )
    console.print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def save(path: Path, machine: Mapping[str, str], figures: Sequence[Figure], details: Mapping[str, object]) -> None:
    """Write everything that was measured as JSON; rows of an earlier run that were not measured now are kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
    rows = {one.row for one in figures}
    older = [one for one in kept.get("figures", []) if one["row"] not in rows]
    content = {
        "machine": machine,
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "figures": [*older, *map(asdict, figures)],
        "details": {**kept.get("details", {}), **details},
    }
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), "utf-8")
