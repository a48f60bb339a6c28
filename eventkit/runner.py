"""Starting a service's process and stopping it at a signal."""

from __future__ import annotations

import gc
import os
import sys

from nameko.containers import ServiceContainer
from sqlalchemy.exc import DBAPIError

from eventkit.database import reason_of
from eventkit.errors import BadSettings, LiaisonError
from eventkit.stopping import stop_requested
from eventkit.telemetry import log, log_as_json


def run(service_class: type) -> int:
    """Run a service until SIGTERM or SIGINT and return the exit code.

    0 after a clean stop; 1 when a loop failed or the database was away at the start, so that the supervisor starts the
    process again; 2 when it cannot start as it is configured. Call `eventkit.green.patch()` before anything else is
    imported.
    """
    log_as_json()
    stopped = stop_requested()
    try:
        container = ServiceContainer(service_class, dict(os.environ))
        container.start()
        # A batch makes tens of thousands of small objects: at Python's default of 700 the collector takes a third of
        # the processor time. What was made at the start stays for ever and need not be looked at again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
    except (LiaisonError, DBAPIError) as error:
        problem = str(error) if isinstance(error, LiaisonError) else f"database: {reason_of(error)}"
        log.error("cannot start", extra={"problem": problem})
        return 2 if isinstance(error, BadSettings) else 1
    process = next(iter(container.entrypoints)).hosting.process
    while not stopped.wait(0.2):
        if process.failed.is_set():
            log.error("a loop failed; the process ends")
            sys.stdout.flush()
            os._exit(1)
    container.stop()
    return 0
