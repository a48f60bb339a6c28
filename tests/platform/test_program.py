"""How a program is started: apart from the terminal, and in its place where processor time is short."""

import os
import signal
from pathlib import Path

import pytest

from deploy.local.account import UnixAccount
from deploy.local.program import Program


@pytest.mark.parametrize(
    ("name", "is_behind"), [("postgresql", False), ("tickets", False), ("elasticsearch", True), ("notify", True)]
)
def test_the_way_from_a_request_to_its_ticket_comes_first(tmp_path: Path, name: str, is_behind: bool) -> None:
    program = Program(name, ("/bin/sh", "-c", "kill -STOP $$"), tmp_path).in_its_place()
    process = program.start(tmp_path, UnixAccount.ourselves())
    try:
        os.waitpid(process.pid, os.WUNTRACED)
        assert os.sched_getscheduler(process.pid) == (os.SCHED_IDLE if is_behind else os.sched_getscheduler(0))
        assert os.getpgid(process.pid) != os.getpgid(0)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
