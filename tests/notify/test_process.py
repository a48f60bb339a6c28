"""Notify as a process of its own, as it runs in an installation: green threads, signals, and kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

import pytest

from contracts.tickets import SlaBreached, SlaWarned
from deploy.local.mailserver import KEEP, Verdict
from liaison.installation import Installation, free_port
from services.notify.settings import Settings
from tests.eventkit.desk import eventually
from tests.notify.office import Office, about, office_of, person, ticket_event


@pytest.fixture
def office(installation: Installation, tmp_path: Path) -> Iterator[Office]:
    """Notify under its own name, since its process cannot have another."""
    with office_of(installation, tmp_path / "mails", {}, name="notify") as office:
        yield office


def test_the_process_sends_mail_stops_cleanly_and_logs_nobody(office: Office, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with office.running(log, **office.env) as process:
        office.knows(person("E2", name="欧阳小敏"))
        office.publish(ticket_event(about(SlaWarned)))
        office.settled(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert [to for to, _ in office.mailed()] == ["e2@example.invalid"]
    text = log.read_text("utf-8")
    messages = [json.loads(line)["message"] for line in text.splitlines()]
    assert messages[-1] == "stopped"
    for private in ("欧阳小敏", "e2@example.invalid", "打印机坏了", "E2"):
        assert private not in text


# The signal comes while the start is under way, as from a supervisor that changes its mind.
_TOLD_TO_STOP_AT_ITS_START = """
import os, signal, sys
from eventkit.green import patch
patch()
from eventkit.process import ServiceProcess
from eventkit.runner import run
from services.notify.service import NotifyService
start = ServiceProcess.start
def interrupted(process):
    os.kill(os.getpid(), signal.SIGTERM)
    start(process)
ServiceProcess.start = interrupted
sys.exit(run(NotifyService))
"""


def test_a_process_that_is_told_to_stop_while_it_starts_ends_as_orderly_as_later(office: Office) -> None:
    env = os.environ | {"AMQP_URI": office.uri, "DATABASE_URI": office.database_uri, "PAGE_PORT": "0", **office.env}
    program = [sys.executable, "-c", _TOLD_TO_STOP_AT_ITS_START]
    done = subprocess.run(program, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["message"] for line in done.stdout.splitlines()][-2:] == ["started", "stopped"]


def test_a_process_killed_during_its_call_repeats_the_breach_under_the_same_id(office: Office, tmp_path: Path) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def wait() -> Verdict:
        arrived.set()
        go_on.wait(30)
        return KEEP

    office.verdicts = [wait]
    with office.running(tmp_path / "log", **office.env) as process:
        office.knows(person("E2"))
        office.publish(ticket_event(about(SlaBreached, group_lead=None)))
        assert arrived.wait(15)
        process.kill()
        process.wait()
    go_on.set()
    assert office.states() == {"E2": "sending"}
    # The lease of the dead process runs out; the rule says to repeat, a little later.
    office.execute("update eventkit.timer set running_until = now() where is_job")
    with office.running(tmp_path / "log", **office.env):
        eventually(lambda: office.states() == {"E2": "pending"})
        office.fast_forward("send_mail")
        office.settled(1)
    assert office.states() == {"E2": "accepted"}
    assert len({message_from_bytes(mail.raw)["Message-ID"] for mail in office.kept()}) == 1
    assert len(office.kept()) == 2


def test_a_wrong_rule_file_keeps_the_process_from_starting(office: Office, tmp_path: Path) -> None:
    shipped = Path(Settings.__module__.replace(".", "/")).parent / "rules" / "notify.yaml"
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(shipped.read_text("utf-8").replace("to: requester", "to: boss"), "utf-8")
    office.env["LIAISON_NOTIFY_RULES"] = str(wrong)
    with office.running(tmp_path / "log", **office.env) as process:
        assert process.wait(timeout=30) == 2
    line = json.loads((tmp_path / "log").read_text("utf-8").splitlines()[-1])
    assert line["message"] == "cannot start"
    assert line["problem"].count(f"{wrong}:") == shipped.read_text("utf-8").count("to: requester") > 1
    assert "unknown recipient 'boss'" in line["problem"]


def test_a_process_that_finds_no_database_says_so_and_leaves_the_next_try_to_the_supervisor(
    office: Office, tmp_path: Path
) -> None:
    nowhere = f"postgresql://notify:none@127.0.0.1:{free_port()}/notify"
    with office.running(tmp_path / "log", **office.env, DATABASE_URI=nowhere) as process:
        assert process.wait(timeout=30) == 1
    line = json.loads((tmp_path / "log").read_text("utf-8").splitlines()[-1])
    assert (line["message"], line["problem"].partition(": ")[0]) == ("cannot start", "database")
