"""Small logs through the whole system: cases written by hand, rows that the door refuses, today's times."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from deploy.local.mailbox import MailFolder
from liaison.installation import Installation
from liaison.publishers import rotate_publisher
from liaison.replay import Verdicts, publication_of
from liaison.replay import replay as command
from liaison.replay_account import NoAccount, open_account
from liaison.servicenow import OPENED, LogEvent
from tests.eventkit.desk import eventually
from tests.replay.comparison import check_events, check_facts, check_tickets
from tests.replay.truth import LOG, truth_of
from tests.system import System, running_system

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


def test_broken_rows_cost_no_other_row(system: System) -> None:
    lines = LOG.read_bytes().split(b"\n")[:40]
    lines[1] = lines[1].replace(b"3 - Moderate", b"9 - Whatever")
    lines[20] = lines[20].replace(b"29-02-2016", b"2016-02-29")
    taken = "select count(*) from accepted"
    before = system.one("gateway", taken)

    summary = system.replay(b"\n".join(lines))

    assert [one.line for one in summary.log.broken] == [2, 21]
    assert (summary.refusals, summary.exit_code) == ([], 1)
    assert system.one("gateway", taken) - before == summary.events
    # The row that opens the first incident is one of the broken ones: the next row opens it.
    assert system.one("tickets", "select count(*) from ticket where externalref = 'INC0000045'") == 1
    assert system.one("tickets", "select count(*) from eventkit.held_event") == 0


def test_what_the_door_refuses_is_told_by_line(system: System) -> None:
    account = open_account(system.installation, history=True)
    good = LogEvent("good", OPENED, "INC-good", datetime(2016, 3, 1, tzinfo=UTC), b'{"short_description": "x"}', 2)
    bad = replace(good, id="bad", subject="INC-bad", body=b"{}", line=3)
    verdicts = Verdicts(system.installation, account)
    for _ in range(2):
        publication_of(account, [bad, good], as_live=False).run(lambda done: None)
        assert verdicts.await_seen("good", 1, 10)
        assert [(one.line, one.field) for one in verdicts.refusals([good, bad])] == [(3, "data.title")]
    assert verdicts.times_seen("bad") == 0


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


def test_the_command_tells_what_was_left_out_and_ends_with_one(system: System, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    lines = LOG.read_text("utf-8").splitlines()[:10]
    path.write_text("\n".join([*lines[:5], lines[5].replace("New", "Newish", 1), *lines[6:]]), "utf-8")
    called = [str(path), "--format", "servicenow", "--home", str(system.installation.home)]
    result = CliRunner().invoke(command, called, env={"COLUMNS": "200"})
    assert result.exit_code == 1, result.output
    assert "broken line 6: incident_state: 'Newish' is not one of New" in result.output
    assert "8 of" in result.output
    path.write_text("nothing,of,use\n1,2,3\n")
    result = CliRunner().invoke(command, called)
    assert result.exit_code == 1
    assert "the header has no number" in result.output


def test_the_account_is_kept_for_its_owner_only_and_renewed_only_when_asked(system: System) -> None:
    installation = system.installation
    system.replay("\n".join(LOG.read_text("utf-8").splitlines()[:3]).encode())
    path = installation.home / "publishers/servicenow.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = open_account(installation, history=True)
    assert kept == open_account(installation, history=False)
    assert kept.token not in repr(kept)

    path.unlink()
    with pytest.raises(NoAccount, match="--renew gives it a new one"):
        open_account(installation, history=True)
    renewed = open_account(installation, history=True, renew=True)
    assert renewed.amqp_uri != kept.amqp_uri

    # What is kept does not open the doors any more: an operator has rotated it.
    rotate_publisher(installation, "servicenow")
    assert open_account(installation, history=True).token != renewed.token


def _mailed(servers: Installation, *, since: datetime) -> set[str]:
    kept = MailFolder(servers.home / "smtp").newest(500)
    return {address for mail in kept if mail.kept_at > since for address in mail.to}
