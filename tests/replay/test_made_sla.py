"""The log's verdicts beside ours: every incident has one of each, and more time never turns a hit into a miss."""

from __future__ import annotations

from pathlib import Path

import pytest

from liaison.installation import Installation
from tests.replay.comparison import Truth
from tests.replay.made_sla import IN_OFFICE_HOURS, POLICIES, compared, reckoned, replayed, verdicts


def test_every_incident_has_a_verdict_of_the_log_and_one_of_ours() -> None:
    assert len(verdicts()) == 890
    assert [sum(compared(reckoned(policy)).values()) for policy in POLICIES] == [890] * len(POLICIES)


def test_under_the_same_calendar_longer_targets_are_met_more_often() -> None:
    short, long = (sum(reckoned(policy).values()) for policy in POLICIES[-2:])
    assert long > short


@pytest.mark.timeout(300)
def test_the_clocks_of_a_replay_in_office_hours_come_to_what_is_reckoned_from_the_file(
    servers: Installation, truth: Truth, tmp_path: Path
) -> None:
    kept = replayed(servers, tmp_path)
    # A clock that was missed under an earlier priority stays missed; the reckoning knows the last priority only.
    alike = [number for number, incident in truth.items() if len(incident.priorities) == 1]
    assert len(alike) > 800
    expected = reckoned(IN_OFFICE_HOURS)
    assert {number: kept[number] for number in alike} == {number: expected[number] for number in alike}
