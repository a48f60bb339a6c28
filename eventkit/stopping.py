"""The signals that ask a process to stop."""

from __future__ import annotations

import signal
import threading
from typing import Any


def stop_requested() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set, from now on.

    Ask for it before anything is started: what a signal ends without being asked leaves its work to be done again.
    """
    stopped = threading.Event()

    def stop(signum: int, frame: Any) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return stopped
