"""Process trees, as Linux shows them in /proc.

Groups and sessions do not do: PostgreSQL's children, and what RabbitMQ starts, leave the group of their parent.
"""

import os
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

# Where these stand among the fields of /proc/PID/stat, counted from the state letter on; see proc(5).
_STATE, _PARENT, _STARTED_AT = 0, 1, 19


def tree(root: int) -> list[int]:
    """Return `root` and all its living descendants, parents first; empty if it is gone."""
    children: dict[int, list[int]] = {}
    for pid in everybody():
        children.setdefault(parent(pid), []).append(pid)
    found = [root] if is_alive(root) else []
    for pid in found:
        found += children.get(pid, [])
    return found


def signal_tree(root: int, number: signal.Signals) -> list[int]:
    """Send one signal to a whole tree and return its processes.

    The root is frozen first and each parent comes before its children, so that none can escape by forking.
    """
    reached: list[int] = []
    _send([root], signal.SIGSTOP)
    while fresh := [pid for pid in tree(root) if pid not in reached]:
        _send(fresh, signal.SIGSTOP)
        reached += fresh
    if number != signal.SIGSTOP:
        _send(reached, number)
    if number not in (signal.SIGSTOP, signal.SIGKILL):
        _send(reached, signal.SIGCONT)
    return reached


def end(roots: Mapping[int, signal.Signals], *, within_s: float) -> None:
    """Ask processes to stop, each with its signal; kill what is left of them and their descendants after `within_s`."""
    family = [pid for root in roots for pid in tree(root)]
    _send(family, signal.SIGCONT)
    for root, number in roots.items():
        _send([root], number)
    wait_gone(roots, within_s)
    # Those that had to be left behind get a moment to notice it.
    for pid in wait_gone(family, 0.5):
        signal_tree(pid, signal.SIGKILL)
    wait_gone(family, 5)


def wait_gone(pids: Iterable[int], within_s: float) -> list[int]:
    """Wait until none of the processes lives; return those that still do after `within_s` seconds."""
    left, deadline = list(pids), time.monotonic() + within_s
    while (left := [pid for pid in left if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def marked(variable: str, value: str) -> list[int]:
    """Return the processes, except this one, that were started with the environment `variable`=`value`."""
    wanted, found = f"{variable}={value}".encode(), []
    for pid in everybody():
        with suppress(OSError):
            if pid != os.getpid() and wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def is_alive(pid: int) -> bool:
    """Tell whether the process runs; one that has ended and only waits for its parent to notice does not."""
    return _status(pid)[_STATE] not in ("", "Z", "X")


def everybody() -> list[int]:
    """Return every process number of the machine."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def parent(pid: int) -> int:
    """Return the parent of a process, 0 if there is no such process."""
    return int(_status(pid)[_PARENT])


def started_at(pid: int) -> int:
    """Return when a process was started, in clock ticks since the machine was; 0 if there is no such process.

    Two processes that have one number after the other differ in it.
    """
    return int(_status(pid)[_STARTED_AT])


def name(pid: int) -> str:
    """Return the short name of a process, "" if there is no such process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    return ""


def _status(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state letter on; "" and zeros if there is no such process.

    The name before them, in brackets, may itself hold blanks and brackets.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return ["", *["0"] * _STARTED_AT]
