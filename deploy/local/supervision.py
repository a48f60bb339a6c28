"""Keeping processes running: supervisord with a configuration of ours, spoken to over its socket."""

import configparser
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import Faults, SupervisorTransport

from deploy.local import processes
from deploy.local.account import UnixAccount
from deploy.local.program import Program
from deploy.local.refusals import CannotRun

_START_TIMEOUT_S = 15.0
# Linux allows 107 bytes for the path of a socket.
_LONGEST_SOCKET_BYTES = 107


class Supervision:
    """A supervisord of our own: started with all programs stopped, which are then started in stages."""

    def __init__(self, home: Path, account: UnixAccount) -> None:
        self._home = home
        self._account = account
        self._process: subprocess.Popen[bytes] | None = None

    def open(self, programs: Sequence[Program]) -> None:
        """Start supervisord, which knows the programs and runs none yet.

        Raises: CannotRun if it does not answer within 15 s, or the state folder's path is too long.
        """
        if len(str(self._socket).encode()) > _LONGEST_SOCKET_BYTES:
            raise CannotRun(f"{self._home} is too long a path for a socket: set LIAISON_HOME to a shorter one")
        for folder in ("logs", "programs"):
            (self._home / folder).mkdir(exist_ok=True)
        config = self._home / "supervisord.conf"
        UnixAccount.ourselves().file(config, self._configuration(programs))
        program = Program(
            "supervisord", (sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(config)), self._home
        )
        self._process = program.start(self._home, UnixAccount.ourselves())
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise CannotRun(f"supervisord did not start: see {self._home / 'logs' / 'supervisord.log'}")
            time.sleep(0.05)

    def start(self, names: Iterable[str]) -> None:
        """Start the named programs, without waiting for them."""
        for name in names:
            self._call("startProcess", name, False)

    def stop(self, names: Iterable[str], *, within_s: float) -> None:
        """Stop the named programs, all at the same time, and wait for them at most `within_s` seconds."""
        names = set(names)
        for name in names:
            try:
                self._call("stopProcess", name, False)
            except Fault as fault:
                if fault.faultCode != Faults.NOT_RUNNING:
                    raise
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and names & {name for name, pid in self.pids().items() if pid}:
            time.sleep(0.1)

    def pids(self) -> Mapping[str, int]:
        """Return the process number of every program, 0 for one that does not run."""
        return {info["name"]: info["pid"] for info in self._call("getAllProcessInfo")}

    def failing(self) -> Mapping[str, str]:
        """Return the programs that end as soon as they are started, with what supervisord says of them."""
        states = self._call("getAllProcessInfo")
        return {info["name"]: info["spawnerr"] for info in states if info["statename"] in ("BACKOFF", "FATAL")}

    def is_alive(self) -> bool:
        """Tell whether supervisord itself runs."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """End supervisord with everything that it still runs; does nothing if it was never started."""
        if self._process is not None:
            processes.end({self._process.pid: signal.SIGTERM}, within_s=60)
            self._process.wait()

    @property
    def _socket(self) -> Path:
        return self._home / "supervisor.sock"

    def _answers(self) -> bool:
        try:
            return bool(self._call("getState"))
        except (OSError, CannotRun):
            return False

    def _call(self, method: str, *arguments: object) -> Any:
        # A fresh connection each time: one that Ctrl-C broke off in the middle cannot be used again.
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        with ServerProxy("http://127.0.0.1", transport=transport) as server:
            return cast(Any, getattr(server.supervisor, method)(*arguments))

    def _configuration(self, programs: Sequence[Program]) -> str:
        sections = configparser.RawConfigParser()
        sections["unix_http_server"] = {"file": str(self._socket), "chmod": "0700"}
        sections["supervisord"] = {
            # In the foreground it writes to its output as well, which `logs/supervisord.log` takes.
            "logfile": "/dev/null",
            "logfile_maxbytes": "0",
            "pidfile": str(self._home / "supervisord.pid"),
            "childlogdir": str(self._home / "logs"),
            "identifier": "liaison",
            "minfds": str(_descriptors()),
            "user": UnixAccount.ourselves().name,
        }
        factory = "supervisor.rpcinterface:make_main_rpcinterface"
        sections["rpcinterface:supervisor"] = {"supervisor.rpcinterface_factory": factory}
        for place, program in enumerate(programs):
            sections[f"program:{program.name}"] = {
                key: value.replace("%", "%%") for key, value in self._section(program, place).items()
            }
        lines = [
            line for name in sections.sections() for line in (f"[{name}]", *map(" = ".join, sections.items(name)), "")
        ]
        return "\n".join(lines) + "\n"

    def _section(self, program: Program, place: int) -> dict[str, str]:
        return {
            "command": shlex.join(("/bin/sh", str(self._script(program)))),
            "directory": str(program.directory),
            "user": program.account(self._account).name,
            "priority": str(100 + place),
            "autostart": "false",
            "autorestart": "true",
            "startsecs": "1",
            # It waits a second longer before each try, and must never give up.
            "startretries": "1000000",
            "stopsignal": program.stop_signal,
            "stopwaitsecs": str(program.stop_wait_s),
            # RabbitMQ and PostgreSQL stop their children themselves; a signal to those would look like a fault.
            "stopasgroup": "true" if program.ours else "false",
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": str(self._home / "logs" / f"{program.name}.log"),
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": "3",
        }

    def _script(self, program: Program) -> Path:
        """Write the program as a shell script: supervisord's own form of an environment cannot hold every value."""
        settings = program.full_environment(self._home)
        lines = (f"export {name}={shlex.quote(value)}" for name, value in settings.items())
        text = "\n".join((*lines, f"exec {shlex.join(program.in_its_place().command)}", ""))
        return program.account(self._account).file(self._home / "programs" / f"{program.name}.sh", text, 0o400)


def _descriptors() -> int:
    """Return how many files each program may open: plenty for the broker, or what we are allowed to give."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 65536 if hard == resource.RLIM_INFINITY else min(65536, hard)
