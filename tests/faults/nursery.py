"""Starts replicas quickly: a process that has imported everything and forks, for each line that it reads.

    python -m tests.faults.nursery      {"kind": "desk", "log": "/…", "environment": {…}}  ->  process number

A replica is a process of its own in every respect but the time that its imports take.
"""

from eventkit.green import patch

patch()

import json  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402

import eventlet.hubs  # noqa: E402

import eventkit.runner  # noqa: E402
import eventkit.service  # noqa: E402


def _live(order: dict[str, object]) -> None:
    """Be the replica; never returns."""
    # The event loop's epoll descriptor must not be shared with the others.
    eventlet.hubs.use_hub()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    log = os.open(str(order["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    os.environ.update(order["environment"])  # type: ignore[call-overload]
    code = 1
    try:
        from tests.faults import sabotage, settling
        from tests.faults.service import SERVICES

        sabotage.prepare(os.environ)
        kind = str(order["kind"])
        code = settling.settle(os.environ) if kind == "settling" else eventkit.runner.run(SERVICES[kind])
    finally:
        print(f"ended with {code}", flush=True)  # noqa: T201
        os._exit(code)


def main() -> None:
    """Fork a replica for each order until the input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _live(json.loads(line))
        print(child, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
