"""The main job: another desk's log, replayed through the whole system, leaves what the log itself says.

Whatever is published again, and whatever is killed meanwhile. The truth is computed from the file in `truth.py`.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from liaison.administration import broker_of
from liaison.installation import Installation
from tests.eventkit.desk import eventually
from tests.replay.comparison import Truth, check_everything
from tests.system import System, running_system

KILLED_AT = (800, 2500, 4500)
# Fifteen seconds each on two idle cores; the machine may be busy with something else.
pytestmark = pytest.mark.timeout(300)


def numbers_of(system: System) -> tuple[int, ...]:
    """Return what a replay that changes nothing leaves as it is."""
    outboxes = [system.one(name, "select count(*) from eventkit.outbox") for name in ("gateway", "tickets", "notify")]
    return (*outboxes, system.one("metrics", "select count(*) from journal"))


def test_a_log_leaves_what_it_says_and_a_second_replay_changes_nothing(
    servers: Installation, truth: Truth, tmp_path: Path
) -> None:
    with running_system(servers, tmp_path) as system:
        first = system.replay()
        assert (first.events, first.refusals, first.log.broken, first.exit_code) == (5998 + 878, [], (), 0)
        check_everything(system, truth)
        before = numbers_of(system)

        second = system.replay()

        assert (second.events, second.exit_code) == (first.events, 0)
        assert numbers_of(system) == before
        assert system.one("gateway", "select count(*) from accepted where repeats = 0") == 0
        check_everything(system, truth)


def test_every_row_published_twice_is_one_row(servers: Installation, truth: Truth, tmp_path: Path) -> None:
    with running_system(servers, tmp_path) as system:
        summary = system.replay(twice=True)
        assert summary.published == 2 * summary.events
        check_everything(system, truth)


def test_killing_the_services_and_cutting_the_publisher_off_changes_nothing(
    servers: Installation, truth: Truth, tmp_path: Path
) -> None:
    with running_system(servers, tmp_path) as system:
        killed: list[tuple[str, int]] = []
        kills = [
            threading.Thread(target=kill_at, args=(system, name, killed)) for name in ("gateway", "tickets", "metrics")
        ]
        cut = threading.Thread(target=cut_off, args=(system.installation,))
        for thread in (*kills, cut):
            thread.start()
        summary = system.replay()
        for thread in (*kills, cut):
            thread.join()
        system.settle()
        # Every one of them still had much to do when it was killed.
        assert len(killed) == 3 * len(KILLED_AT)
        assert max(handled for _, handled in killed) < summary.events
        assert summary.connections > 1
        assert summary.exit_code == 0
        check_everything(system, truth)


def kill_at(system: System, name: str, killed: list[tuple[str, int]]) -> None:
    """Kill a service and start it again, each time it has handled so many events; note how many it had."""
    for count in KILLED_AT:
        await_handled(system, name, count)
        system.restart(name)
        killed.append((name, handled_by(system, name)))


def cut_off(installation: Installation) -> None:
    """Close the replay's connection to the broker while it publishes, as a broken network would."""
    with broker_of(installation) as admin:
        connections = "/connections/username/servicenow"
        eventually(lambda: admin._call("GET", connections), timeout_s=30, what="the replay connects")
        time.sleep(0.1)
        admin._call("DELETE", connections)


def await_handled(system: System, name: str, count: int) -> None:
    eventually(lambda: handled_by(system, name) >= count, timeout_s=60, what=f"{name} has handled {count}")


def handled_by(system: System, name: str) -> int:
    table = "accepted" if name == "gateway" else "eventkit.inbox"
    return int(system.one(name, f"select count(*) from {table}"))
