"""The seeds that the fault scenarios are played with, shown at the end of every run: also of a green one."""

from __future__ import annotations

import os
import random

import pytest

FIXED_SEEDS = (1, 2)
#: Names a seed that is to be played again in place of a random one.
AGAIN = "LIAISON_FAULT_SEED"
_PLAYED = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def random_seed(pytestconfig: pytest.Config) -> int:
    """A seed that nobody has played before, or the one that is to be played again."""
    seed = int(os.environ.get(AGAIN) or random.SystemRandom().randrange(10**6))
    pytestconfig.stash[_PLAYED] = seed
    return seed


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which seeds were played."""
    if _PLAYED in config.stash:
        seed = config.stash[_PLAYED]
        fixed = ", ".join(map(str, FIXED_SEEDS))
        terminalreporter.write_line(f"fault scenarios: seeds {fixed} and, at random, {seed} ({AGAIN}={seed} plays it)")
