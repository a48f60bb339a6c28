"""What a part needs to be run in the foreground, and how to start it."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from deploy.local.account import UnixAccount
from deploy.local.refusals import NotInstalled
from liaison.installation import Installation

#: Every process that we start carries this variable with the state folder as its value,
#: so that whatever a killed run left behind can be found again.
MARK = "LIAISON_PART_OF"

#: Where processor time is short, the way from a request to its ticket comes first, and these come after it.
GIVE_WAY = frozenset({"knowledge", "notify", "metrics", "elasticsearch", "smtp", "prometheus", "alertmanager"})
#: Linux's SCHED_IDLE: whatever else wakes up has the processor at once, which the highest niceness does not give.
_WHEN_IDLE = ("/usr/bin/chrt", "--idle", "0")


@dataclass(frozen=True, slots=True)
class Program:
    """One foreground process of a part.

    command: absolute path of the executable, then its arguments.
    environment: all that it sees of the environment besides PATH, HOME, LANG and the mark.
    stop_signal: the signal that asks it to stop, without SIG.
    stop_wait_s: how long that may take before it is killed, seconds.
    ours: whether it runs Python code of this checkout.
    """

    name: str
    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    stop_wait_s: int = 20
    ours: bool = False

    def in_its_place(self) -> "Program":
        """Return the program with the priority that its name has: see GIVE_WAY."""
        return replace(self, command=(*_WHEN_IDLE, *self.command)) if self.name in GIVE_WAY else self

    def full_environment(self, home: Path) -> dict[str, str]:
        """Return the whole environment of the process, for an installation in `home`."""
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(self.directory),
            **self.environment,
            MARK: str(home),
        }

    def start(self, home: Path, account: UnixAccount) -> subprocess.Popen[bytes]:
        """Start it in a process group of its own, its output appended to `logs/<name>.log`.

        Not in a session: Linux shares the processor between sessions first, and priorities count only within one.
        """
        log = home / "logs" / f"{self.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            return subprocess.Popen(
                self.command,
                cwd=self.directory,
                env=self.full_environment(home),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                **self.account(account).popen_arguments(),
            )

    def account(self, parts: UnixAccount) -> UnixAccount:
        """Return the account to run it as, given that of the parts."""
        return parts.for_our_code() if self.ours else parts


class Server(Protocol):
    """What each server's module offers."""

    #: The names of the ports (keys of `Installation.ports`) that it listens on.
    @property
    def PORTS(self) -> tuple[str, ...]: ...  # noqa: N802

    def prepare(self, installation: Installation, account: UnixAccount) -> None:
        """Write its configuration, and its data folder when there is none."""

    def programs(self, installation: Installation) -> tuple[Program, ...]:
        """Return its processes, in the order in which they start; the last one is the server itself."""

    def unhealthy_because(self, installation: Installation) -> str | None:
        """Return None while it can be used, else the reason why not; answers within 2 s."""


def required(*candidates: str) -> str:
    """Return the first of these executables that exists.

    Raises: NotInstalled with the command that installs what is missing.
    """
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return candidate
    raise NotInstalled(f"{candidates[0]} is not installed: run deploy/local/install.sh run")
