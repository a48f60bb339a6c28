"""Promises 1 to 5, kept through kill -9, frozen processes, outages, restarts and poison."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.house import SMALL, Stage
from tests.faults.house import stage as stage_of
from tests.faults.scenarios import SCENARIOS, play, play_at_once
from tests.seeds import FIXED_SEEDS


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with stage_of() as ready:
        yield ready


SHARED = [name for name, scenario in SCENARIOS.items() if not scenario.takes_servers and not scenario.only_full]
ALONE = [name for name, scenario in SCENARIOS.items() if scenario.takes_servers and not scenario.only_full]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", SHARED)
def test_the_promises_hold_through(stage: Stage, random_seed: int, name: str) -> None:
    results = play_at_once(stage, name, (*FIXED_SEEDS, random_seed), SMALL)
    assert not (failures := [one.failure for one in results if one.failure]), "\n\n".join(failures)


@pytest.mark.timeout(480)
@pytest.mark.parametrize("name", ALONE)
def test_the_promises_hold_while_a_server_is_away(stage: Stage, random_seed: int, name: str) -> None:
    # The server is away for everybody, so that each seed has it for itself.
    results = [play(stage, name, seed, SMALL) for seed in (*FIXED_SEEDS, random_seed)]
    assert not (failures := [one.failure for one in results if one.failure]), "\n\n".join(failures)


def test_a_scenario_fails_when_its_guard_is_switched_off(stage: Stage) -> None:
    result = play(stage, "same event thrice", FIXED_SEEDS[0], SMALL, weakened="inbox")
    assert "repeated" in result.failure
