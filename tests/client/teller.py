"""A process that publishes without end and tells of each event that `publish` returned for.

    python -m tests.client.teller NAME      NAME 1 019c…
                                            NAME 2 019c…

It is a program of its own so that it can be killed at any instruction. Each line is in the kernel's hands before the
next event is made: what was told survives the kill.
"""

from __future__ import annotations

import itertools
import sys
import time

from liaison_client import Event, Publisher

TYPE = "erp.user.locked_out"
_PAUSE_S = 0.003


def main(name: str) -> None:
    """Publish until killed."""
    publisher = Publisher()
    for number in itertools.count(1):
        content = {"case": f"{name}-{number}", "login": "zhang.wei"}
        event_id = publisher.publish(Event(TYPE, content, subject=name))
        sys.stdout.write(f"{name} {number} {event_id}\n")
        sys.stdout.flush()
        time.sleep(_PAUSE_S)


if __name__ == "__main__":
    main(sys.argv[1])
