"""What is left of a test run is ended, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from deploy.local import processes


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/usr/bin/sleep", "60"]) as process:
        yield process
        process.kill()


def keep_until_the_end(*lines: str) -> None:
    subprocess.run([sys.executable, "-m", "deploy.local.keeper"], input="\n".join(lines), text=True, check=True)


def test_what_is_still_listed_when_the_run_is_gone_is_ended(sleeper: subprocess.Popen[bytes]) -> None:
    keep_until_the_end(f"+{sleeper.pid} SIGTERM {processes.started_at(sleeper.pid)}")
    assert sleeper.wait(5) == -15


def test_what_was_taken_off_the_list_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    keep_until_the_end(f"+{sleeper.pid} SIGTERM {processes.started_at(sleeper.pid)}", f"-{sleeper.pid}")
    assert sleeper.poll() is None


def test_a_stranger_who_got_the_number_of_one_that_ended_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    keep_until_the_end(f"+{sleeper.pid} SIGKILL {processes.started_at(sleeper.pid) - 100}")
    assert sleeper.poll() is None
