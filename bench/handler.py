"""Row 1: the bench handler's throughput, ours beside everybody else's."""

from __future__ import annotations

from dataclasses import replace

from bench.contenders import BARE, BARE_LIGHT, FASTSTREAM, NAMEKO, OURS, OURS_TWICE, Contender, throughput
from bench.figures import Figure, console, costs, median
from bench.lab import Lab
from bench.load import requests
from bench.plan import Plan

ROW = "handler"
_BARS = ((NAMEKO, 4.0, 7.0), (FASTSTREAM, 5.0, None), (BARE, 0.5, 0.9), (BARE_LIGHT, None, None))


def measure(lab: Lab, plan: Plan) -> list[Figure]:
    """Sweep the peers, then let everybody run in turn, round by round; medians of the rounds."""
    chosen = {one: best_setting(lab, one, plan) for one in (NAMEKO, FASTSTREAM)}
    entered: list[tuple[Contender, int]] = [(OURS, 0), (OURS_TWICE, 0), *chosen.items(), (BARE, 200), (BARE_LIGHT, 200)]
    rates: dict[str, list[float]] = {contender.name: [] for contender, _ in entered}
    costs_us: dict[str, list[float]] = {contender.name: [] for contender, _ in entered}
    for number in range(plan.rounds):
        for contender, setting in entered:
            messages = requests(plan.events if contender in chosen else 2 * plan.events)
            found = throughput(lab, contender, setting, messages)
            rates[contender.name].append(found.per_second)
            costs_us[contender.name].append(sum(found.cpu_us.values()))
            console.print(f"  round {number + 1}: {contender.name}: {found.per_second:,.0f} events/s; {costs(found)}")
    notes = plan.details.setdefault(ROW, {})
    notes |= {"events/s": rates, "processor µs an event": costs_us}
    same = {} if plan.quick else {one.name: _with_outbox(lab, one, setting, plan) for one, setting in chosen.items()}
    notes["with an outbox row too"] = same
    return figures(_medians(rates), _medians(costs_us), chosen)


def _medians(rounds: dict[str, list[float]]) -> dict[str, float]:
    return {name: median(found) for name, found in rounds.items()}


def best_setting(lab: Lab, contender: Contender, plan: Plan) -> int:
    """Return the setting of a sweep with which a peer is fastest."""
    found = {}
    for setting in contender.settings if not plan.quick else contender.settings[1:2]:
        found[setting] = throughput(lab, contender, setting, requests(max(plan.events // 4, 500))).per_second
        console.print(f"  sweep: {contender.name}, {contender.swept} {setting}: {found[setting]:,.0f} events/s")
    plan.details.setdefault(ROW, {})[f"sweep {contender.name}"] = found
    return max(found, key=found.__getitem__)


def _with_outbox(lab: Lab, contender: Contender, setting: int, plan: Plan) -> float:
    found = throughput(lab, replace(contender, outbox=True), setting, requests(plan.events // 2)).per_second
    console.print(f"  once, with an outbox row too: {contender.name}: {found:,.0f} events/s")
    return found


def figures(rates: dict[str, float], costs_us: dict[str, float], chosen: dict[Contender, int]) -> list[Figure]:
    """Return the lines of the table.

    rates: events a second by contender. costs_us: processor time for an event, of contender, database and broker
    together: what others do on the machine hardly touches it.
    """
    lines = []
    what, ours = "bench handler, one process", rates[OURS.name]
    for contender, bar, goal in _BARS:
        theirs = rates[contender.name]
        setting = f", {contender.swept} {chosen[contender]}" if contender in chosen else ""
        peer = f"{contender.name}{setting}: {theirs:,.0f}"
        kept = None if bar is None else ours >= bar * theirs
        lines.append(Figure(ROW, what, ours, "events/s", peer, ours / theirs, _times(bar, "≥ "), _times(goal), kept))
    twice = rates[OURS_TWICE.name]
    what = "bench handler, two processes"
    lines.append(Figure(ROW, what, twice, "events/s", f"one: {ours:,.0f}", twice / ours, "", "1.6 ×"))
    what, ours = "processor time an event, all parts", costs_us[OURS.name]
    for contender, _, _ in _BARS:
        theirs = costs_us[contender.name]
        lines.append(Figure(ROW, what, ours, "µs", f"{contender.name}: {theirs:,.0f}", ours / theirs))
    return lines


def _times(factor: float | None, sign: str = "") -> str:
    return "" if factor is None else f"{sign}{factor:g} ×"
