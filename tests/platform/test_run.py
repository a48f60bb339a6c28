"""`make run` comes up, keeps its services running, ends with everything that it started, and finds its state again."""

import os
import signal
import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

import pytest

from deploy.local import processes
from deploy.local.mailbox import MailFolder
from deploy.local.program import MARK
from liaison.installation import Installation, is_free

Run = subprocess.Popen[str]


@pytest.fixture
def home() -> Iterator[Path]:
    """A state folder that the account of the parts can enter, which pytest's own folder is not under root."""
    folder = Path(tempfile.mkdtemp(prefix="liaison-"))
    folder.chmod(0o755)
    yield folder
    rmtree(folder)


@contextmanager
def running(home: Path) -> Iterator[Run]:
    """Start a small run, as a terminal would, and wait until it says that everything runs; end it in any case."""
    command = [sys.executable, "-m", "tests.platform.small_run", str(home)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as run:
        try:
            wait_for_line(run, "Everything runs")
            yield run
        finally:
            press_ctrl_c(run)


def press_ctrl_c(run: Run) -> str:
    """Do what a terminal does at Ctrl-C, and return what the run still says."""
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGINT)
    return run.communicate(timeout=60)[0]


def wait_for_line(run: Run, words: str) -> None:
    assert run.stdout is not None
    said = []
    for line in run.stdout:
        said.append(line)
        if words in line:
            return
    raise AssertionError(f"never said {words!r}, but:\n{''.join(said)}")


def tiny_pids(home: Path) -> list[int]:
    """Return the process numbers under which the tiny service has run, the newest last."""
    log = home / "logs" / "tiny.log"
    return [int(line) for line in log.read_text("ascii").splitlines()] if log.exists() else []


def wait_for_pid(home: Path, *, number: int) -> int:
    while len(pids := tiny_pids(home)) < number:  # pytest's own timeout ends this
        time.sleep(0.02)
    return pids[-1]


def send_mail(installation: Installation) -> None:
    with smtplib.SMTP("127.0.0.1", installation.ports["smtp"], timeout=5) as server:
        server.sendmail("desk@liaison.invalid", "lin@example.invalid", b"Subject: kept\r\n\r\n")


def test_a_service_that_is_killed_runs_again(home: Path) -> None:
    with running(home) as run:
        first = wait_for_pid(home, number=1)
        # One that ends within its first second would be tried again in any case.
        time.sleep(1.1)
        os.kill(first, signal.SIGKILL)
        second = wait_for_pid(home, number=2)
        assert second != first
        assert processes.is_alive(second)
        wait_for_line(run, "tiny had ended and was started again")


def test_ctrl_c_ends_everything_that_was_started_and_nothing_else(home: Path) -> None:
    # Given a part of another installation, and a process of nobody's
    others = [subprocess.Popen(["/bin/sleep", "100"], env=env) for env in ({MARK: f"{home}-2"}, {})]
    try:
        with running(home) as run:
            wait_for_pid(home, number=1)
            started = processes.marked(MARK, str(home))
            assert len(started) >= 3  # supervisord, the mail server, the tiny service
            # When
            said = press_ctrl_c(run)
        # Then
        assert "stopped" in said
        assert run.returncode == 0
        assert [pid for pid in started if processes.is_alive(pid)] == processes.marked(MARK, str(home)) == []
        assert is_free(Installation.load(home).ports["smtp"])
        assert [other.poll() for other in others] == [None, None]
    finally:
        for other in others:
            other.kill()
            other.wait()


def test_a_second_start_ends_what_a_killed_run_left_and_keeps_state_and_secrets(home: Path) -> None:
    with running(home) as run:
        first = Installation.load(home)
        send_mail(first)
        left = processes.marked(MARK, str(home))
        run.kill()
    with running(home):
        assert [pid for pid in left if processes.is_alive(pid)] == []
        assert Installation.load(home) == first
        assert [mail.subject for mail in MailFolder(home / "smtp").newest(10)] == ["kept"]


def test_files_with_secrets_are_their_owners_only(home: Path) -> None:
    with running(home):
        passwords = [word.encode() for word in Installation.load(home).passwords.values()]
        files = [path for path in home.rglob("*") if path.is_file()]
        secret = [path for path in files if any(word in path.read_bytes() for word in passwords)]
        assert {path.name: oct(path.stat().st_mode & 0o777) for path in secret} == {
            "installation.json": "0o600",
            "tiny.sh": "0o400",
        }
