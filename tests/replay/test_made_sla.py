"""The log's verdicts beside ours: every incident has one of each, and more time never turns a hit into a miss."""

from __future__ import annotations

from tests.replay.made_sla import POLICIES, compared, verdicts


def test_every_incident_has_a_verdict_of_the_log_and_one_of_ours() -> None:
    assert len(verdicts()) == 890
    assert [sum(compared(policy).values()) for policy in POLICIES] == [890] * len(POLICIES)


def test_under_the_same_calendar_longer_targets_are_met_more_often() -> None:
    short, long = ([n for (_, ours), n in compared(policy).items() if ours] for policy in POLICIES[-2:])
    assert sum(long) > sum(short)
