"""`python -m bench [ROW…]`: how fast Liaison is, beside peers that do the same guaranteed job on the same servers."""

from __future__ import annotations

import importlib
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click
from rich.markup import escape

from bench.figures import Figure, console, save, show
from bench.lab import Ended, Lab, open_lab
from bench.machine import busy_share, describe
from bench.plan import Plan, quick_plan

# The rows of a group share servers. The last one's are those with a search server that has something to find.
_GROUPS = (
    ("handler", "tickets", "desk", "relay", "latency", "timers", "clocks", "decoding", "page"),
    ("intake",),
    ("replay",),
    ("mail", "searchable", "search", "memory"),
)
ROWS = tuple(name for group in _GROUPS for name in group)
_ROW_LIMIT_S = 1200.0
_RESULT = Path(__file__).resolve().parents[1] / ".liaison" / "bench.json"


@click.command()
@click.argument("rows", nargs=-1, type=click.Choice(ROWS))
@click.option("--quick", "size", flag_value="quick", help="A smoke run: all once and small; its figures mean nothing.")
@click.option("--full", "size", flag_value="full", help="Hold steady loads for five minutes.")
@click.option("--per-second", default=100.0, show_default=True, help="Requests a second of steady loads.")
@click.option("--rounds", type=click.IntRange(1, 20), help="Rounds of what is short. [default: 3]")
@click.option("--events", type=click.IntRange(200), help="Events preloaded for each contender. [default: 20000]")
@click.option("--home", type=click.Path(path_type=Path), help="Keep the servers' data here. [default: a new folder]")
@click.option("--out", type=click.Path(path_type=Path), default=_RESULT, help="Where the figures are written as JSON.")
def main(
    rows: tuple[str, ...],
    size: str | None,
    per_second: float,
    rounds: int | None,
    events: int | None,
    home: Path | None,
    out: Path,
) -> None:
    """Measure ROWS (default: all) on servers of our own and print one table."""
    plan = quick_plan() if size == "quick" else Plan(hold_s=300.0 if size == "full" else 60.0)
    plan = replace(plan, rounds=rounds or plan.rounds, events=events or plan.events, per_second=per_second)
    machine = describe()
    console.print("  ".join(f"[bold]{name}[/bold] {value}" for name, value in machine.items()))
    if busy_share() > 0.2:
        console.print("[yellow]Others are at work on this machine: trust the ratios, not the figures.[/yellow]")
    figures, failed = _measure(rows or ROWS, plan, home)
    show(figures)
    save(out, machine, figures, dict(plan.details))
    console.print(f"written to {out}")
    sys.exit(1 if failed else 0)


def _measure(rows: tuple[str, ...], plan: Plan, home: Path | None) -> tuple[list[Figure], list[str]]:
    figures: list[Figure] = []
    failed: list[str] = []
    for group in _GROUPS:
        chosen = [name for name in group if name in rows]
        if chosen:
            parts = getattr(importlib.import_module(f"bench.{chosen[0]}"), "PARTS", ("rabbitmq", "postgresql"))
            with open_lab(parts, home and home / group[0]) as lab:
                for name in chosen:
                    measured = _measure_row(name, lab, plan)
                    figures += measured or []
                    failed += [name] if measured is None else []
    return figures, failed


def _measure_row(name: str, lab: Lab, plan: Plan) -> list[Figure] | None:
    """Return a row's figures, or None when it could not be measured; the other rows are measured all the same."""
    begun = time.monotonic()
    console.print(f"[bold]{name}[/bold]")
    try:
        with _within(_ROW_LIMIT_S + 20 * plan.hold_s):
            figures: list[Figure] = importlib.import_module(f"bench.{name}").measure(lab, plan)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        console.print(f"[red]{name} was not measured:[/red] {escape(reason)}\n{escape(lab.ends_of_logs())}")
        return None
    console.print(f"  took {time.monotonic() - begun:.0f} s")
    return figures


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise Ended in the block when it takes longer than this: every wait has its own limit, this one is for bugs."""

    def end(number: int, frame: object) -> None:
        raise Ended(f"not done within {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


if __name__ == "__main__":
    main()
