"""Every alert has its section of the runbook, and the commands that stand there work."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from liaison.cli import main
from tests.alerts.monitored import Monitored
from tests.alerts.rules import README, RUNBOOK, alerts
from tests.eventkit.desk import eventually

_LIAISON = str(Path(sys.executable).with_name("liaison"))
# Only looks, so that a test may run it. `liaison dead show 17` and the like need something to show.
_LOOKS = re.compile(
    r"liaison (status|dead list|topology diff|events list|tokens list|publishers list)\b"
    r"|promtool query|amtool alert query"
)
#: `status` and `diff` say by their exit code that something is amiss, and here something always is.
_MAY_BE_1 = ("liaison status", "liaison topology diff")


def sections() -> dict[str, str]:
    """Return the runbook's sections by their headings."""
    parts = re.split(r"^## (.+)$", RUNBOOK.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands(text: str) -> list[str]:
    """Return the lines of the code blocks, without their comments."""
    lines = "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()
    return [line.partition("  #")[0].strip() for line in lines]


def unknown(line: str) -> str | None:
    """Return why a line that begins with `liaison` is no command of ours; None when it is one."""
    command: click.Command | None = main
    for word in shlex.split(line)[1:]:
        if not isinstance(command, click.Group):
            return None
        command = command.get_command(click.Context(command), word)
        if command is None:
            return f"{line}: there is no {word!r}"
    return f"{line}: which of them?" if isinstance(command, click.Group) else None


def tried(monitored: Monitored, line: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the running system, at the addresses that it has here."""
    ports = monitored.system.installation.ports
    here = line.replace(":9095", f":{ports['prometheus']}").replace(":9097", f":{ports['alertmanager']}")
    words = shlex.split(here)
    return subprocess.run(
        [_LIAISON if words[0] == "liaison" else words[0], *words[1:]],
        env={**os.environ, "LIAISON_HOME": str(monitored.system.installation.home)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("alert", sorted(alerts()))
def test_every_alert_names_its_section(alert: str) -> None:
    assert alerts()[alert]["annotations"]["runbook_url"] == f"deploy/RUNBOOK.md#{alert.lower()}"
    section = sections()[alert]
    assert commands(section), "it says how to look"
    assert "liaison" in section


def test_every_command_of_ours_exists() -> None:
    text = RUNBOOK.read_text("utf-8")
    inline = [line for line in re.findall(r"`(liaison [^`]+)`", text) if not line.startswith("liaison_")]
    lines = inline + [line for line in commands(text) if line.startswith("liaison ")]
    assert len(lines) > 30
    assert [problem for line in lines if (problem := unknown(line))] == []


def test_a_command_that_is_not_there_would_be_noticed() -> None:
    assert unknown("liaison dead bury 17") == "liaison dead bury 17: there is no 'bury'"
    assert unknown("liaison dead") == "liaison dead: which of them?"


def test_what_only_looks_does_so_on_a_running_system(monitored: Monitored) -> None:
    wrong = []
    looks = sorted({line for text in sections().values() for line in commands(text) if _LOOKS.match(line)})
    assert len(looks) > 20
    for line in looks:
        done = tried(monitored, line)
        allowed = (0, 1) if line.startswith(_MAY_BE_1) else (0,)
        if done.returncode not in allowed or "Traceback" in done.stderr:
            wrong.append((line, done.returncode, done.stdout[-300:], done.stderr[-300:]))
    assert wrong == []


def test_the_readmes_command_says_what_fires(monitored: Monitored) -> None:
    [line] = re.findall(r"`(amtool [^`]+)`", README.read_text("utf-8"))
    done = eventually(lambda: "Watchdog" in (done := tried(monitored, line)).stdout and done, 60, "the watchdog fires")
    assert (done.returncode, done.stderr) == (0, "")
