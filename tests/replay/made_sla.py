"""The incident log's own verdict (`made_sla`) beside ours, under stated policies: `python -m tests.replay.made_sla`.

One budget for an incident's whole life: the solution clock runs from the opening until it was last resolved, stands
still while it awaits the user, and between a resolution and a reopening; the target is that of the last priority. The
log does not say which targets its desk had, nor its calendar; so agreement is not expected to be complete.

The table is reckoned from the file. With `--replayed` the log also goes through the whole system, under the policy
file `tests/policies/office_hours.yaml`, and what its clocks came to is one more row.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deploy.local.servers import private_servers
from liaison.installation import Installation
from services.tickets.business_time.calendar import Calendar, Pause
from services.tickets.business_time.files import load_calendars
from tests.policies import OFFICE_HOURS
from tests.replay.truth import FINISHED, LOG, PAUSED, TARGETS_S, IncidentTruth, truth_of
from tests.system import System, running_system

_HOUR = 3600


@dataclass(frozen=True)
class Stated:
    """A policy: its name, the calendar's name, and the open seconds by priority."""

    name: str
    calendar: str
    solution_s: Mapping[int, int]


#: What `office_hours.yaml` says.
IN_OFFICE_HOURS = Stated(
    "5×8: 4 h, 1, 3, 5 workdays", "5x8", {1: 4 * _HOUR, 2: 8 * _HOUR, 3: 24 * _HOUR, 4: 40 * _HOUR}
)
POLICIES = (
    Stated("24×7: 4 h, 8 h, 1 d, 3 d", "7x24", TARGETS_S["solution"]),
    Stated("7×8: 4 h, 8 h, 16 h, 24 h", "7x8", {1: 4 * _HOUR, 2: 8 * _HOUR, 3: 16 * _HOUR, 4: 24 * _HOUR}),
    IN_OFFICE_HOURS,
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
    due_at = calendar.due(incident.opened_at, timedelta(seconds=policy.solution_s[incident.priorities[-1]]), pauses).at
    return due_at is None or incident.resolved_at <= due_at


def reckoned(policy: Stated) -> dict[str, bool]:
    """Return whether each incident was solved in time under a policy, reckoned from the file."""
    calendar = load_calendars().of(policy.calendar)
    return {number: is_met(incident, policy, calendar) for number, incident in truth_of(LOG).items()}


def kept_by_clocks(system: System) -> dict[str, bool]:
    """Return whether each incident was solved in time by the clocks of a system that has replayed the log."""
    missed = "select from clock c where c.number = t.number and c.target = 'solution' and c.missed_due_at is not null"
    statement = f"select externalref, resolved_at is not null and not exists ({missed}) as is_met from ticket t"
    return {row.externalref: row.is_met for row in system.rows("tickets", statement)}


def replayed(installation: Installation, logs: Path) -> dict[str, bool]:
    """Replay the log in office hours through a system of its own and return what its clocks came to."""
    settings = {"tickets": {"LIAISON_TICKETS_POLICY": str(OFFICE_HOURS)}}
    with running_system(installation, logs, settings) as system:
        system.replay()
        return kept_by_clocks(system)


def compared(ours: Mapping[str, bool]) -> dict[tuple[bool, bool], int]:
    """Return how many incidents have each pair of verdicts: (the log's, ours)."""
    said = verdicts()
    counts = dict.fromkeys([(log, met) for log in (True, False) for met in (True, False)], 0)
    for number, is_ours in ours.items():
        counts[said[number], is_ours] += 1
    return counts


@click.command()
@click.option("--replayed", "with_replay", is_flag=True, help="Also replay the log through the whole system.")
def main(with_replay: bool) -> None:
    """Print the table."""
    rows = {policy.name: reckoned(policy) for policy in POLICIES}
    if with_replay:
        with (
            private_servers(parts=("rabbitmq", "postgresql", "smtp")) as servers,
            tempfile.TemporaryDirectory() as logs,
        ):
            rows[f"{IN_OFFICE_HOURS.name}, replayed"] = replayed(servers, Path(logs))
    table = Table(
        "policy", "both met", "both missed", "log met, we missed", "log missed, we met", "agree", title="made_sla"
    )
    for name, ours in rows.items():
        counts = compared(ours)
        agree = (counts[True, True] + counts[False, False]) / sum(counts.values())
        pairs = ((True, True), (False, False), (True, False), (False, True))
        table.add_row(name, *(str(counts[pair]) for pair in pairs), f"{agree:.0%}")
    Console().print(table)


if __name__ == "__main__":
    main()
