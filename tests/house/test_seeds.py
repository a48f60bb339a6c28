"""Whoever reads the end of a run, green or not, finds its seeds and can play them again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.seeds import AGAIN

_CHECKOUT = Path(__file__).resolve().parents[2]


def played(folder: Path, test: str, **environment: str) -> str:
    """Return what pytest says of one test that draws the seed."""
    (folder / "test_one.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(folder), str(folder)]
    done = subprocess.run(
        [*command, "-p", "tests.seeds", "-p", "no:pytest_nameko", "-p", "no:cacheprovider"],
        cwd=_CHECKOUT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_the_seeds_stand_at_the_end_of_a_run(tmp_path: Path, outcome: str) -> None:
    shown = played(tmp_path, f"def test_it(random_seed):\n    assert {outcome == 'passed'}\n")
    assert f"1 {outcome}" in shown
    assert re.search(rf"^seeds 1, 2 and, at random, (\d+) \({AGAIN}=\1 plays it\)$", shown, re.M)


def test_a_seed_can_be_played_again(tmp_path: Path) -> None:
    shown = played(tmp_path, "def test_it(random_seed):\n    assert random_seed == 77\n", **{AGAIN: "77"})
    assert "1 passed" in shown
    assert "at random, 77" in shown
