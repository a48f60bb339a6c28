"""One run at a time in a state folder, and the end of what a killed run left behind."""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import processes
from deploy.local.program import MARK
from deploy.local.refusals import AlreadyRunning, CannotRun


@contextmanager
def only_run(home: Path) -> Iterator[None]:
    """Hold the state folder for this process; the kernel gives it back however we end.

    Raises: AlreadyRunning with the number of the process that holds it, CannotRun if the folder is another user's.
    """
    home.mkdir(parents=True, exist_ok=True)
    try:
        lock = (home / "run.lock").open("a+", encoding="ascii")
    except PermissionError:
        raise CannotRun(f"{home} belongs to another user: run this as that user, or set LIAISON_HOME") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            raise AlreadyRunning(f"already running in {home} (process {holder}): stop it there with Ctrl-C") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def end_leftovers(home: Path) -> int:
    """Stop whatever an earlier run in `home` started and did not stop; return how many processes that were.

    They are found by the mark that all of them carry, since a number in a file may by now be somebody else's.
    """
    found = processes.marked(MARK, str(home))
    supervisor = _noted_supervisor(home)
    if supervisor in found:
        # Killed, since it would restart what we stop, and itself stops one program a second.
        os.kill(supervisor, signal.SIGKILL)
        processes.wait_gone([supervisor], 5)
    rest = [pid for pid in found if processes.is_alive(pid)]
    roots = [pid for pid in rest if processes.parent(pid) not in rest]
    processes.end({pid: _stop_signal(pid) for pid in roots}, within_s=20)
    return len(found)


def _noted_supervisor(home: Path) -> int:
    try:
        return int((home / "supervisord.pid").read_text("ascii"))
    except (OSError, ValueError):
        return 0


def _stop_signal(pid: int) -> signal.Signals:
    # PostgreSQL takes TERM for "when all clients have left".
    return signal.SIGINT if processes.name(pid) == "postgres" else signal.SIGTERM
