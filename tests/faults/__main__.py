"""Plays all fault scenarios at full size, and shows a table.

    python -m tests.faults [--seeds 20] [--only NAME]... [--small] [--fresh]
    python -m tests.faults --weakened [--only NAME]...

What is finished is kept in .liaison/faults.json and not played again, until eventkit or a scenario changes.
--weakened switches each scenario's guards off, one at a time: there every scenario must fail.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.faults.house import FULL, SMALL, Stage, stage
from tests.faults.scenarios import SCENARIOS, Result, play

_CHECKOUT = Path(__file__).resolve().parents[2]
KEPT = _CHECKOUT / ".liaison" / "faults.json"
console = Console(highlight=False)


def main(arguments: list[str] | None = None) -> int:
    """Play, print, and return 0 when everything came out as it must."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Play the fault scenarios.")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds, from 1 up (20)")
    parser.add_argument("--only", action="append", choices=list(SCENARIOS), help="play this scenario only")
    parser.add_argument("--small", action="store_true", help="the sizes of `make test`")
    parser.add_argument("--fresh", action="store_true", help="forget what was played before")
    parser.add_argument("--weakened", action="store_true", help="switch the guards off: all must fail")
    options = parser.parse_args(arguments)
    names = options.only or list(SCENARIOS)
    with stage() as ready:
        if options.weakened:
            return _weakened(ready, names)
        return _all(ready, names, options)


def _all(ready: Stage, names: list[str], options: argparse.Namespace) -> int:
    size = SMALL if options.small else FULL
    kept = Kept("small" if options.small else "full", fresh=options.fresh)
    failures = []
    for name, seed in ((name, seed) for name in names for seed in range(1, options.seeds + 1)):
        result = kept.results.get((name, seed))
        if result is None:
            result = play(ready, name, seed, size)
            _tell(result)
            if not result.failure:
                kept.keep(result)
        if result.failure:
            failures.append(result.failure)
            console.print(result.failure, style="red", markup=False)
    console.print(_summary(names, kept))
    for failure in failures:
        console.print(failure.splitlines()[0], style="red", markup=False)
    return 1 if failures else 0


def _tell(result: Result) -> None:
    state = "FAILED" if result.failure else "held"
    notes = ", ".join(f"{name} {value}" for name, value in result.notes.items() if name != "reasons")
    console.print(
        f"{result.name}, seed {result.seed}: {state} in {result.took_s:g} s; {result.said}; {notes}", markup=False
    )


class Kept:
    """What was played before with the very same code. part: the size."""

    def __init__(self, part: str, *, fresh: bool) -> None:
        self._part, self._digest = part, _digest()
        self._whole: dict[str, Any] = {}
        if KEPT.exists() and not fresh:
            self._whole = json.loads(KEPT.read_text("utf-8"))
        if self._whole.get("digest") != self._digest:
            self._whole = {"digest": self._digest}
        results = [Result(**one) for one in self._whole.get(part, ())]
        self.results = {(one.name, one.seed): one for one in results}

    def keep(self, result: Result) -> None:
        """Write down a run that held."""
        self.results[result.name, result.seed] = result
        self._whole[self._part] = [asdict(one) for one in self.results.values()]
        KEPT.parent.mkdir(exist_ok=True)
        fresh = KEPT.with_suffix(".new")
        fresh.write_text(json.dumps(self._whole, ensure_ascii=False, indent=1), "utf-8")
        fresh.rename(KEPT)


def _digest() -> str:
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    for folder in ("eventkit", "contracts", "tests/faults"):
        yield from sorted((_CHECKOUT / folder).rglob("*.py"))


def _summary(names: list[str], kept: Kept) -> Table:
    table = Table("scenario", "seeds held", "events", "seconds, mean", "seconds, all", title="Fault scenarios")
    for name in names:
        held = [one for one in kept.results.values() if one.name == name]
        took_s = sum(one.took_s for one in held)
        events = [int(one.said.split()[1].rstrip(",")) for one in held]
        mean_s = took_s / len(held) if held else 0
        table.add_row(name, str(len(held)), f"{sum(events):,}", f"{mean_s:.1f}", f"{took_s:.0f}")
    return table


def _weakened(ready: Stage, names: list[str]) -> int:
    table = Table(
        "scenario", "guard switched off", "what the oracle said", "seconds", title="Guards off: all must fail"
    )
    missed = 0
    for name in names:
        for guard in SCENARIOS[name].guards:
            started, result = time.monotonic(), None
            for seed in (1, 2, 3):
                result = play(ready, name, seed, SMALL, weakened=guard)
                if result.failure:
                    break
            assert result is not None
            missed += not result.failure
            said = result.said if result.failure else f"NOT NOTICED: {result.said}"
            console.print(f"{name} without {guard}: {said} {result.notes}", markup=False)
            table.add_row(name, guard, said, f"{time.monotonic() - started:.0f}")
    console.print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
