"""One random seed for all tests of a run, shown at its end, also of a green one: whoever reads it can play it again."""

from __future__ import annotations

import os
import random

import pytest

FIXED_SEEDS = (1, 2)
#: Names the seed of a run; one that is set already is played again.
AGAIN = "LIAISON_TEST_SEED"


def pytest_configure() -> None:
    """Draw the seed before tests are collected, and before the processes that share them start."""
    os.environ.setdefault(AGAIN, str(random.SystemRandom().randrange(10, 10**6)))


def run_seed() -> int:
    """Return this run's seed."""
    return int(os.environ[AGAIN])


@pytest.fixture(scope="session")
def random_seed() -> int:
    """A seed that nobody has played before, or the one that is to be played again."""
    return run_seed()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which seeds were played."""
    fixed = ", ".join(map(str, FIXED_SEEDS))
    terminalreporter.write_line(f"seeds {fixed} and, at random, {run_seed()} ({AGAIN}={run_seed()} plays it)")
