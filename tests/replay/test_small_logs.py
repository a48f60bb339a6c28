"""Small logs through the whole system: cases written by hand, rows that the door refuses, today's times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from deploy.local.mailbox import MailFolder
from liaison.installation import Installation
from tests.eventkit.desk import eventually
from tests.replay.comparison import check_events, check_facts, check_tickets
from tests.replay.system import System, running_system
from tests.replay.truth import LOG, truth_of

#: Incidents written by hand, for what the real log seldom or never has: state, day and hour, priority, holder, group.
HARD = {
    "first response at its very due moment": ["New 1 10:00 3", "Active 1 11:00 3", "Closed 1 12:00 3"],
    "first response a minute too late": ["New 1 10:00 3", "Active 1 11:01 3", "Closed 1 12:00 3"],
    "a pause moves the due moment, which is kept": [
        *("Active 1 10:00 1", "Awaiting User Info 1 12:00 1", "Active 1 20:00 1", "Resolved 1 22:00 1"),
        "Closed 1 23:00 1",
    ],
    "a pause moves the due moment, which is missed": [
        *("Active 1 10:00 1", "Awaiting User Info 1 12:00 1", "Active 1 20:00 1", "Resolved 1 22:01 1"),
        "Closed 1 23:00 1",
    ],
    "more urgent while paused, missed after the pause": [
        *("Active 1 10:00 3", "Awaiting User Info 1 11:00 3", "Awaiting User Info 1 15:00 1", "Active 1 16:00 1"),
        *("Resolved 1 19:30 1", "Closed 2 10:00 1"),
    ],
    "more urgent than the time that has passed": ["Active 1 10:00 4", "Active 1 16:00 1", "Closed 1 16:30 1"],
    "more urgent in the row that pauses": ["Active 1 10:00 4", "Awaiting User Info 1 16:00 1", "Closed 1 17:00 1"],
    "more urgent in the row that resolves": ["Active 1 10:00 4", "Resolved 1 16:00 1", "Closed 1 17:00 1"],
    "less urgent in the row that finds it late": ["Active 1 10:00 1", "Active 1 15:00 4", "Closed 1 17:00 4"],
    "missed, then less urgent": ["New 1 10:00 1", "New 1 11:00 1", "New 1 12:00 4", "Closed 5 12:00 4"],
    "back in time": ["New 1 10:00 3", "Active 1 12:00 3", "Resolved 1 11:00 3", "Active 1 11:30 3", "Closed 2 18:00 3"],
    "updated before it was opened": ["New 2 10:00 3", "Active 1 12:00 3", "Resolved 1 13:00 3", "Closed 2 09:00 3"],
    "reopened into a pause, with another priority": [
        *("New 1 10:00 3", "Resolved 1 12:00 3", "Awaiting User Info 1 13:00 1", "Active 1 15:00 1"),
        *("Resolved 1 20:00 1", "Active 2 09:00 1", "Closed 3 09:00 1"),
    ],
    "opened as resolved and reopened": [
        "Resolved 1 10:00 2",
        "Active 1 11:00 2",
        "Closed 1 12:00 2",
        "Active 1 13:00 2",
    ],
    "opened in a pause": ["Awaiting User Info 1 10:00 1", "Awaiting Vendor 3 10:00 1", "Closed 3 14:01 1"],
    "passed on, given back, taken from a group": [
        *("New 1 10:00 3 Resolver 1|Group 1", "New 1 10:01 3 Resolver 2|Group 1", "New 1 10:02 3 ?|Group 2"),
        *("New 1 10:03 3 ?|?", "New 1 10:04 3 Resolver 1|?", "Closed 1 10:05 3 Resolver 1|Group 1"),
    ],
}
_HARD_ROW = re.compile(r"(?P<state>\D+) (?P<day>\d) (?P<hour>\S+) (?P<priority>\d)( (?P<holder>.+)\|(?P<group>.+))?")


def hard_log() -> str:
    """Write HARD as a log; the incident's name is its number."""
    lines = ["number,incident_state,opened_at,sys_updated_at,priority,caller_id,assigned_to,assignment_group,category"]
    for number, rows in HARD.items():
        found = [match.groupdict() for row in rows if (match := _HARD_ROW.fullmatch(row))]
        opened_at = f"0{found[0]['day']}-03-2016 {found[0]['hour']}"
        for row in [*found, found[-1] | {"state": "Closed", "day": "9"}]:
            updated_at = f"0{row['day']}-03-2016 {row['hour']}"
            holder, group = row["holder"] or "?", row["group"] or "?"
            cells = [row["state"], opened_at, updated_at, f"{row['priority']} - x", "Caller 1", holder, group, "?"]
            lines.append(",".join([number.replace(",", ""), *cells]))
    words = {"1 - x": "1 - Critical", "2 - x": "2 - High", "3 - x": "3 - Moderate", "4 - x": "4 - Low"}
    return re.sub("|".join(words), lambda match: words[match[0]], "\n".join([*lines, ""]))


@pytest.fixture(scope="module")
def system(servers: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One system for all of these tests, since each brings incidents of its own."""
    with running_system(servers, tmp_path_factory.mktemp("logs")) as running:
        yield running


def test_hard_cases_end_as_the_truth_says_also_when_the_rows_come_twice(system: System, tmp_path: Path) -> None:
    path = tmp_path / "hard.csv"
    path.write_text(hard_log(), "utf-8")
    truth = truth_of(path)
    assert truth.keys() == {number.replace(",", "") for number in HARD}
    summary = system.replay(path.read_bytes(), twice=True)
    assert summary.exit_code == 0
    check_tickets(system, truth)
    check_events(system, truth)
    check_facts(system, truth)


def test_what_the_door_refuses_is_told_by_line_and_costs_no_other_row(system: System) -> None:
    lines = LOG.read_bytes().split(b"\n")[:40]
    lines[10] = lines[10].replace(b"3 - Moderate", b"9 - Whatever")
    lines[20] = lines[20].replace(b"29-02-2016", b"2016-02-29")
    taken = "select count(*) from accepted"
    before = system.one("gateway", taken)

    summary = system.replay(b"\n".join(lines))

    assert [(one.line, one.field) for one in summary.refusals] == [(11, "data.priority")]
    assert [one.line for one in summary.log.broken] == [21]
    assert summary.exit_code == 1
    # SN-C1, the caller of the cases written by hand, is not in these lines, so that every event is new.
    assert system.one("gateway", taken) - before == summary.events - 1
    again = system.replay(b"\n".join(lines))
    assert [one.line for one in again.refusals] == [11]
    assert system.one("gateway", taken) - before == summary.events - 1


def test_with_todays_times_clocks_run_and_mails_go_out(system: System, servers: Installation) -> None:
    header, *rows = LOG.read_text("utf-8").splitlines()
    incidents = set(list(dict.fromkeys(row.partition(",")[0] for row in rows))[:8])
    lines = [header, *(row for row in rows if row.partition(",")[0] in incidents)]
    began = datetime.now(UTC)

    summary = system.replay("\n".join(lines).encode(), as_live=True, speed=300_000.0)

    assert summary.exit_code == 0
    tickets = system.rows("tickets", "select * from ticket where not history")
    assert {row.externalref.rpartition("-")[0] for row in tickets} == incidents
    assert {row.state for row in tickets} == {"closed"}
    assert all(began < row.opened_at < row.closed_at for row in tickets)
    page = httpx.get(f"http://127.0.0.1:{servers.page_port('metrics')}/facts", timeout=5).text
    opened = re.findall(r'liaison_tickets_opened_total\{channel="hotline",priority="\d"\} (\d+)', page)
    assert sum(map(int, opened)) == len(incidents)
    wanted = {f"{row.requester.lower()}@example.invalid" for row in tickets}
    eventually(lambda: wanted <= _mailed(servers, since=began), what="every requester has mail")


def _mailed(servers: Installation, *, since: datetime) -> set[str]:
    kept = MailFolder(servers.home / "smtp").newest(500)
    return {address for mail in kept if mail.kept_at > since for address in mail.to}
