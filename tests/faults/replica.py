"""Replicas of the services, as processes that a test can kill, stop, freeze and wake."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from deploy.local import processes
from deploy.local.keeper import Keeper


class Nursery:
    """Starts replicas, and ends all of them when it is closed or the test run is gone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._keeper = Keeper()
        command = [sys.executable, "-m", "tests.faults.nursery"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self._keeper.watch(self._process.pid, "KILL")

    def start(self, kind: str, name: str, environment: Mapping[str, str]) -> tuple[int, Path]:
        """Start a replica and return its process number and its log."""
        log = self._folder / f"{name}.log"
        order = {"kind": kind, "log": str(log), "environment": dict(environment)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(order) + "\n")
            pid = int(self._process.stdout.readline())
            self._keeper.watch(pid, "KILL")
        return pid, log

    def forget(self, pid: int) -> None:
        """Leave a process alone that has ended."""
        with self._lock:
            self._keeper.forget(pid)

    def close(self) -> None:
        """End what is left."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._keeper.close()


class Replica:
    """One process of a service. starts: how often it was started."""

    def __init__(self, nursery: Nursery, kind: str, name: str, environment: Mapping[str, str]) -> None:
        self._nursery = nursery
        self._kind = kind
        self._name = name
        self._environment = dict(environment)
        self.pid = 0
        self.starts = 0
        self.log: Path | None = None

    def start(self, fault: str = "") -> None:
        """Start the process, with a fault planted in it."""
        environment = self._environment | {"LIAISON_TEST_FAULT": fault}
        self.pid, self.log = self._nursery.start(self._kind, self._name, environment)
        self.starts += 1

    @property
    def is_alive(self) -> bool:
        """Whether the process runs, or is frozen."""
        return processes.is_alive(self.pid)

    @property
    def is_frozen(self) -> bool:
        """Whether the process was stopped by a signal and not woken yet."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text("utf-8")
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] == "T"

    @property
    def has_started(self) -> bool:
        """Whether the service says of this process that it has started."""
        return self.whole_log().count('"started"') >= self.starts

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal; one that is gone gets none."""
        if self.pid and self.is_alive:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.signal(signal.SIGKILL)
        self.wait_gone(5)

    def stop(self, within_s: float = 40.0) -> None:
        """Ask the process to end and wait until it has. Raises AssertionError when it does not."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        assert self.wait_gone(within_s), f"{self._name} did not stop within {within_s:g} s"

    def wait_gone(self, within_s: float) -> bool:
        """Wait for the process's end and tell whether it came."""
        gone = not processes.wait_gone([self.pid] if self.pid else [], within_s)
        if gone:
            self._nursery.forget(self.pid)
        return gone

    def whole_log(self) -> str:
        """Return what all its processes said."""
        return self.log.read_text("utf-8", "replace") if self.log is not None and self.log.exists() else ""

    def end_of_log(self, lines: int = 15) -> str:
        """Return what the process said last."""
        return "\n".join(self.whole_log().splitlines()[-lines:])
