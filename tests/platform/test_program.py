"""How a program is started: apart from the terminal, and in its place where processor time is short."""

import os
import signal
from pathlib import Path

import pytest

from deploy.local.account import UnixAccount
from deploy.local.program import Program


@pytest.mark.parametrize(
    ("name", "niceness"), [("postgresql", 0), ("tickets", 0), ("elasticsearch", 19), ("notify", 19)]
)
def test_the_way_from_a_request_to_its_ticket_comes_first(tmp_path: Path, name: str, niceness: int) -> None:
    ourselves = os.getpriority(os.PRIO_PROCESS, 0)
    program = Program(name, ("/bin/sh", "-c", "nice; kill -STOP $$"), tmp_path).in_its_place()
    process = program.start(tmp_path, UnixAccount.ourselves())
    try:
        os.waitpid(process.pid, os.WUNTRACED)
        assert (tmp_path / "logs" / f"{name}.log").read_text() == f"{min(ourselves + niceness, 19)}\n"
        assert os.getpgid(process.pid) != os.getpgid(0)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
