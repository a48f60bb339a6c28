"""What the services hold after a replay, compared with the truth, incident by incident."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

from tests.replay.truth import LOG, IncidentTruth, people_of
from tests.system import System

Truth = Mapping[str, IncidentTruth]
Story = dict[str, Any]
_NOTED = ("state", "assignee", "group", "priority")


def _told(one: IncidentTruth) -> Story:
    return {
        "states": one.states,
        "seconds": one.seconds_by_state(),
        "holders": one.holders,
        "groups": one.groups,
        "priorities": one.priorities,
        "reopenings": one.reopenings,
        "breaches": one.breaches(),
        "moments": (one.opened_at, one.responded_at, one.resolved_at, one.closed_at),
    }


def _found(system: System) -> dict[str, Story]:
    by_number: dict[str, Story] = {}
    by_incident: dict[str, Story] = {}
    for row in system.rows("tickets", "select * from ticket"):
        assert row.occurrences == 1
        moments = (row.opened_at, row.responded_at, row.resolved_at, row.closed_at)
        story: Story = {"reopenings": row.reopen_count, "breaches": set(), "moments": moments}
        by_number[row.number] = by_incident[row.externalref] = story | {name: [] for name in _NOTED}
    for row in system.rows("tickets", "select * from ticket_change order by id"):
        if row.field in _NOTED:
            by_number[row.number][row.field].append((row.before, row.after, row.at))
    for row in system.rows("tickets", "select * from clock where missed_due_at is not null"):
        by_number[row.number]["breaches"].add((row.target, row.cycle, row.missed_due_at))
    return by_incident


def _shaped(story: Story, one: IncidentTruth) -> Story:
    """Bring what was found into the shape of the truth, and check that every change begins where the last ended."""
    notes = {name: story.pop(name) for name in _NOTED}
    for changes in notes.values():
        assert all(after == before for (_, after, _), (before, _, _) in itertools.pairwise(changes))
    states = [(after, at) for _, after, at in notes["state"]]
    # A ticket opens as new; one that is to open in another state is brought there in the same moment.
    if one.states[0][0] != "new" and states[0] == ("new", one.opened_at) and states[1][1] == one.opened_at:
        states = states[1:]
    spent: dict[str, int] = {}
    for (state, since), (_, until) in itertools.pairwise(states):
        spent[state] = spent.get(state, 0) + int((until - since).total_seconds())
    return story | {
        "states": states,
        "seconds": {state: seconds for state, seconds in spent.items() if seconds},
        "holders": [after for _, after, _ in notes["assignee"]],
        "groups": [after for _, after, _ in notes["group"]],
        "priorities": [one.priorities[0], *(int(after) for _, after, _ in notes["priority"])],
    }


def check_tickets(system: System, truth: Truth) -> None:
    """Compare the stories of tickets with the truth: states, seconds, holders, groups, reopenings, breaches."""
    found = _found(system)
    wrong = {}
    for number, one in truth.items():
        told, story = _told(one), _shaped(found[number], one)
        if differs := {name: (story[name], told[name]) for name in told if story[name] != told[name]}:
            wrong[number] = differs
    assert not wrong, f"{len(wrong)} of {len(truth)} incidents differ, such as {dict(list(wrong.items())[:2])}"


def check_events(system: System, truth: Truth) -> None:
    """Compare what the tickets service told with the truth: each thing once."""
    emitted: dict[str, int] = {}
    told = []
    for row in system.rows(
        "tickets",
        "select o.type, t.externalref, convert_from(o.payload, 'UTF8')::jsonb as data"
        " from eventkit.outbox o join ticket t on t.number = o.aggregateid",
    ):
        if row.externalref in truth:
            emitted[row.type] = emitted.get(row.type, 0) + 1
            if row.type == "liaison.sla.breached.v1":
                assert row.data["retroactive"] is True
                due_at = datetime.fromisoformat(row.data["due_at"])
                told.append((row.externalref, row.data["target"], row.data["cycle"], due_at))
    breaches = sorted((number, *breach) for number, one in truth.items() for breach in one.breaches())
    assert sorted(told) == breaches
    assert emitted["liaison.ticket.opened.v1"] == len(truth)
    assert emitted["liaison.ticket.reopened.v1"] == sum(one.reopenings for one in truth.values())
    assert emitted["liaison.sla.met.v1"] == sum(len(one.clocks) for one in truth.values()) - len(breaches)
    assert "liaison.sla.warned.v1" not in emitted


def check_facts(system: System, truth: Truth) -> None:
    """Compare the facts in metrics with the truth: tickets, and every clock's outcome."""
    externalref = dict(system.rows("tickets", "select number, externalref from ticket"))
    tickets = {
        externalref[row.number]: (
            *(row.state, row.priority, row.group_name, row.assignee, row.reopen_count, row.history),
            *(row.opened_at, row.responded_at, row.resolved_at, row.closed_at),
        )
        for row in system.rows("metrics", "select * from ticket_fact")
        if externalref[row.number] in truth
    }
    assert tickets == {
        number: (
            *(one.state, one.priorities[-1], one.groups[-1], one.holders[-1], one.reopenings, True),
            *(one.opened_at, one.responded_at, one.resolved_at, one.closed_at),
        )
        for number, one in truth.items()
    }
    clocks = {
        (externalref[row.ticket], row.target, row.cycle): (row.outcome, row.due_at, row.stopped_at)
        for row in system.rows("metrics", "select * from sla_fact")
        if externalref[row.ticket] in truth
    }
    assert clocks == {
        (number, clock.target, clock.cycle): ("breached", clock.breached_due_at, None)
        if clock.breached_due_at
        else ("met", clock.due_at(), clock.stopped_at)
        for number, one in truth.items()
        for clock in one.clocks
    }


def check_everything(system: System, truth: Truth) -> None:
    """Compare all that is left of a replay of the real log into an empty system, where nothing else may be."""
    check_tickets(system, truth)
    check_events(system, truth)
    check_facts(system, truth)
    assert system.one("tickets", "select count(*) from ticket") == len(truth) == 890
    assert sum(one.reopenings for one in truth.values()) == 11
    assert sum(1 for one in truth.values() if one.reopenings) == 10
    people = {row.employee_number for row in system.rows("tickets", "select employee_number from person")}
    assert people == people_of(LOG)
    assert system.one("notify", "select count(*) from delivery") == 0
    assert system.one("tickets", "select count(*) from eventkit.timer") == 0
    assert _counted(system) == []


def _counted(system: System) -> list[str]:
    """Return the lines of the metrics page that count something; history may not be among it."""
    page = httpx.get(f"http://127.0.0.1:{system.installation.page_port('metrics')}/facts", timeout=5).text
    series = [line for line in page.splitlines() if line.startswith(("liaison_tickets_", "liaison_sla_"))]
    assert series
    return [line for line in series if not line.endswith((" 0", " 0.0"))]
