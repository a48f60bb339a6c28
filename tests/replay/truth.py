"""What a ServiceNow log says, computed from the file alone: nothing of services, contracts or eventkit is used.

The policy, 24×7. A row's moment is its time, but never before the ticket's previous moment; the first row's time is
`opened_at`, that of all others `sys_updated_at`. `first_response` runs from the opening until the ticket first
leaves New, which is at the opening when it opens in another state. `solution` runs from the opening until Resolved
or Closed and stands still in Awaiting User Info; leaving Resolved or Closed starts its next cycle. A row is applied
in this order: clocks that ran past their due moment are breached; the priority is taken over and restates the due
moments of clocks under way from their start; clocks are looked at again; the state is taken over. A clock stopped at
its very due moment is met. What is breached stays so, at the due moment of then.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

LOG = Path(__file__).parents[3] / "shared/data/servicenow-incidents.csv"

#: Seconds by clock and priority; the one place of this test that names them.
TARGETS_S = {
    "first_response": {1: 900, 2: 1800, 3: 3600, 4: 14400},
    "solution": {1: 14400, 2: 28800, 3: 86400, 4: 259200},
}
STATES = {
    "New": "new",
    "Active": "in_progress",
    "Awaiting User Info": "awaiting_user",
    "Awaiting Problem": "awaiting_problem",
    "Awaiting Vendor": "awaiting_vendor",
    "Awaiting Evidence": "awaiting_evidence",
    "Resolved": "resolved",
    "Closed": "closed",
}
FINISHED = ("resolved", "closed")
PAUSED = ("awaiting_user",)
T = TypeVar("T")


@dataclass
class ClockTruth:
    """One clock of one ticket. Moments are aware."""

    target: str
    cycle: int
    started_at: datetime
    target_s: int
    paused: timedelta = timedelta(0)
    paused_at: datetime | None = None
    stopped_at: datetime | None = None
    breached_due_at: datetime | None = None

    def due_at(self) -> datetime:
        return self.started_at + timedelta(seconds=self.target_s) + self.paused

    def look(self, moment: datetime) -> None:
        """Record the breach of a clock that has run past its due moment."""
        is_running = self.stopped_at is None and self.paused_at is None
        if is_running and self.breached_due_at is None and moment > self.due_at():
            self.breached_due_at = self.due_at()

    def pause(self, moment: datetime) -> None:
        if self.paused_at is None:
            self.paused_at = moment

    def resume(self, moment: datetime) -> None:
        if self.paused_at is not None:
            self.paused += moment - self.paused_at
            self.paused_at = None

    def stop(self, moment: datetime) -> None:
        self.resume(moment)
        self.stopped_at = moment


@dataclass
class IncidentTruth:
    """What the log says about one incident. Sequences are collapsed: no two neighbours are equal."""

    number: str
    states: list[tuple[str, datetime]] = field(default_factory=list)
    holders: list[str | None] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    priorities: list[int] = field(default_factory=list)
    clocks: list[ClockTruth] = field(default_factory=list)
    reopenings: int = 0
    moment: datetime | None = None

    @property
    def state(self) -> str:
        return self.states[-1][0]

    @property
    def opened_at(self) -> datetime:
        return self.states[0][1]

    @property
    def responded_at(self) -> datetime | None:
        return next((clock.stopped_at for clock in self.clocks if clock.target == "first_response"), None)

    @property
    def resolved_at(self) -> datetime | None:
        """Return when the incident was last brought to an end, by resolving it or by closing it at once."""
        before = [None, *(state for state, _ in self.states)]
        ends = [
            at
            for (state, at), was in zip(self.states, before, strict=False)
            if state in FINISHED and was not in FINISHED
        ]
        return ends[-1] if ends else None

    @property
    def closed_at(self) -> datetime | None:
        """Return when the incident was last closed."""
        return next((at for state, at in reversed(self.states) if state == "closed"), None)

    def seconds_by_state(self) -> dict[str, int]:
        """Return the seconds spent in each state; those of the last one are not counted."""
        spent: dict[str, int] = {}
        for (state, since), (_, until) in zip(self.states, self.states[1:], strict=False):
            spent[state] = spent.get(state, 0) + int((until - since).total_seconds())
        return {state: seconds for state, seconds in spent.items() if seconds}

    def breaches(self) -> set[tuple[str, int, datetime]]:
        """Return (clock, cycle, due moment) of every breached clock."""
        return {(c.target, c.cycle, c.breached_due_at) for c in self.clocks if c.breached_due_at is not None}

    def apply(self, row: dict[str, str]) -> None:
        """Take over one row of the log, in file order."""
        if self.moment is None:
            self.moment = moment = _time(row["opened_at"])
        else:
            self.moment = moment = max(self.moment, _time(row["sys_updated_at"]))
        for clock in self.clocks:
            clock.look(moment)
        self._prioritise(int(row["priority"].split(" ")[0]), moment)
        self._bring_into(STATES[row["incident_state"]], moment)
        _collapse(self.holders, _number("Resolver ", "SN-R", row["assigned_to"]))
        _collapse(self.groups, None if row["assignment_group"] == "?" else row["assignment_group"])

    def _prioritise(self, priority: int, moment: datetime) -> None:
        _collapse(self.priorities, priority)
        for clock in self.clocks:
            if clock.stopped_at is None:
                clock.target_s = TARGETS_S[clock.target][priority]
                clock.look(moment)

    def _bring_into(self, state: str, moment: datetime) -> None:
        before = self.state if self.states else None
        if state == before:
            return
        self.states.append((state, moment))
        if before is None:
            self._start("first_response", 1, moment)
            self._start("solution", 1, moment)
        elif before in FINISHED and state not in FINISHED:
            self.reopenings += 1
            self._start("solution", self.reopenings + 1, moment)
        for clock in self.clocks:
            if clock.stopped_at is not None:
                continue
            if state in FINISHED or (clock.target == "first_response" and state != "new"):
                clock.stop(moment)
            elif clock.target == "solution" and state in PAUSED:
                clock.pause(moment)
            else:
                clock.resume(moment)

    def _start(self, target: str, cycle: int, moment: datetime) -> None:
        self.clocks.append(ClockTruth(target, cycle, moment, TARGETS_S[target][self.priorities[-1]]))


def truth_of(path: Path) -> dict[str, IncidentTruth]:
    """Return what the log says, by incident number."""
    incidents: dict[str, IncidentTruth] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            incidents.setdefault(row["number"], IncidentTruth(row["number"])).apply(row)
    return incidents


def people_of(path: Path) -> set[str]:
    """Return the employee numbers of everybody whom the log names."""
    prefixes = {"caller_id": ("Caller ", "SN-C"), "assigned_to": ("Resolver ", "SN-R")}
    prefixes |= {"resolved_by": ("Resolved by ", "SN-B")}
    found = set()
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for column, (label, prefix) in prefixes.items():
                found.add(_number(label, prefix, row[column]))
    return {number for number in found if number is not None}


def _number(label: str, prefix: str, cell: str) -> str | None:
    return None if cell == "?" else prefix + cell.removeprefix(label)


def _collapse(sequence: list[T], value: T) -> None:
    if not sequence or sequence[-1] != value:
        sequence.append(value)


def _time(cell: str) -> datetime:
    return datetime.strptime(cell, "%d-%m-%Y %H:%M").replace(tzinfo=UTC)
