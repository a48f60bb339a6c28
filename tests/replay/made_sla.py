"""The incident log's own verdict (`made_sla`) beside ours, under stated policies: `python -m tests.replay.made_sla`.

One budget for an incident's whole life: the solution clock runs from the opening until it was last resolved, stands
still while it awaits the user, and between a resolution and a reopening; the target is that of the last priority. The
log does not say which targets its desk had, nor its calendar; so agreement is not expected to be complete.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console
from rich.table import Table

from services.tickets.business_time.calendar import Calendar, Pause
from services.tickets.business_time.files import load_calendars
from tests.replay.truth import FINISHED, LOG, PAUSED, TARGETS_S, IncidentTruth, truth_of

_HOUR = 3600


@dataclass(frozen=True)
class Stated:
    """A policy: its name, the calendar's name, and the open seconds by priority."""

    name: str
    calendar: str
    solution_s: Mapping[int, int]


POLICIES = (
    Stated("24×7: 4 h, 8 h, 1 d, 3 d", "7x24", TARGETS_S["solution"]),
    Stated("7×8: 4 h, 8 h, 16 h, 24 h", "7x8", {1: 4 * _HOUR, 2: 8 * _HOUR, 3: 16 * _HOUR, 4: 24 * _HOUR}),
    Stated("5×8: 4 h, 1, 3, 5 workdays", "5x8", {1: 4 * _HOUR, 2: 8 * _HOUR, 3: 24 * _HOUR, 4: 40 * _HOUR}),
    Stated("5×8: 1, 2, 5, 10 workdays", "5x8", {1: 8 * _HOUR, 2: 16 * _HOUR, 3: 40 * _HOUR, 4: 80 * _HOUR}),
)


def verdicts() -> dict[str, bool]:
    """Return what the log says at the end of each incident: whether its target was met."""
    found = {}
    with LOG.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[row["number"]] = row["made_sla"] == "TRUE"
    return found


def is_met(incident: IncidentTruth, policy: Stated, calendar: Calendar) -> bool:
    """Tell whether an incident was solved in time under a policy; one never resolved was not."""
    if incident.resolved_at is None:
        return False
    spans = zip(incident.states, [*(at for _, at in incident.states[1:]), None], strict=True)
    pauses = [Pause(at, until) for (state, at), until in spans if state in (*PAUSED, *FINISHED)]
    used = calendar.elapsed(incident.opened_at, incident.resolved_at, pauses).time
    return used <= timedelta(seconds=policy.solution_s[incident.priorities[-1]])


def compared(policy: Stated) -> dict[tuple[bool, bool], int]:
    """Return how many incidents have each pair of verdicts: (the log's, ours)."""
    calendar, said = load_calendars().of(policy.calendar), verdicts()
    counts = dict.fromkeys([(log, ours) for log in (True, False) for ours in (True, False)], 0)
    for number, incident in truth_of(LOG).items():
        counts[said[number], is_met(incident, policy, calendar)] += 1
    return counts


def main() -> None:
    """Print the table."""
    table = Table(
        "policy", "both met", "both missed", "log met, we missed", "log missed, we met", "agree", title="made_sla"
    )
    for policy in POLICIES:
        counts = compared(policy)
        agree = (counts[True, True] + counts[False, False]) / sum(counts.values())
        pairs = ((True, True), (False, False), (True, False), (False, True))
        table.add_row(policy.name, *(str(counts[pair]) for pair in pairs), f"{agree:.0%}")
    Console().print(table)


if __name__ == "__main__":
    main()
