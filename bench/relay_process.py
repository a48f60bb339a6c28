"""A process of ours that does nothing but relay: `python -m bench.relay_process`."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from eventkit.green import patch

patch()

if __name__ == "__main__":
    from eventkit.definition import ServiceDefinition
    from eventkit.process import ProcessSettings, ServiceProcess

    process = ServiceProcess(ServiceDefinition("bench"), ProcessSettings.from_env(os.environ), None)
    stopped = threading.Event()

    def stop(number: int, frame: Any) -> None:
        """End the process in order."""
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    process.start()
    while not stopped.wait(0.2):
        pass
    process.stop()
