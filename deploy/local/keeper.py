"""Ends the servers of a test run when the run itself is gone, however it ended.

Runs as `python -m deploy.local.keeper [FOLDER]`: reads `+PID SIGNAL STARTED_AT` and `-PID` lines from its standard
input; when that closes, by an orderly end or by SIGKILL alike, it ends the processes that are still listed, removes
the folder and leaves. A process that ended by itself may have left its number to a stranger, who started at another
moment.
"""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from deploy.local import processes

_PATIENCE_S = 5.0


class Keeper:
    """The other end: tells the keeper process what to end should we disappear."""

    def __init__(self, folder: Path | None = None) -> None:
        command = [sys.executable, "-m", "deploy.local.keeper", *([str(folder)] if folder else [])]
        # Its own session, so that Ctrl-C at a terminal does not reach it before it is needed.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, text=True, bufsize=1)

    def watch(self, pid: int, stop_signal: str) -> None:
        """End this process and its descendants when we are gone; `stop_signal` (without SIG) asks it to stop."""
        self._tell(f"+{pid} SIG{stop_signal} {processes.started_at(pid)}\n")

    def forget(self, pid: int) -> None:
        """Leave this process alone from now on: it has ended."""
        self._tell(f"-{pid}\n")

    def close(self) -> None:
        """End what is still listed, and the keeper."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)


def main() -> None:
    """Keep the list until the input closes, then end what is on it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    listed: dict[int, tuple[str, int]] = {}
    for line in sys.stdin:
        pid, *how = line[1:].split()
        if how:
            listed[int(pid)] = (how[0], int(how[1]))
        else:
            listed.pop(int(pid), None)
    ours = {pid: signal.Signals[name] for pid, (name, at) in listed.items() if processes.started_at(pid) == at}
    processes.end(ours, within_s=_PATIENCE_S)
    for folder in sys.argv[1:]:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
