"""The spool keeps what `publish` returned for: its limits, its neighbours, its forks."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from liaison_client import BadSettings, CannotSpool, Closed, Event, Publisher, Refusal, Settings, SpoolFull
from liaison_client.event import pack
from liaison_client.spool import KEPT_REFUSALS, Spool

from tests.eventkit.desk import eventually
from tests.house.source import ROOT

CLIENT = ROOT / "clients" / "python"
PUBLISHES = """
import sys
from liaison_client import Event, Publisher, Settings
publisher = Publisher(Settings.of("amqp://erp:secret@127.0.0.1:1/liaison", spool=sys.argv[1]))
for number in range(int(sys.argv[2])):
    print(publisher.publish(Event("erp.x", {"n": number}, subject=sys.argv[3])), flush=True)
"""


def numbered(*numbers: int) -> list[Event]:
    return [Event("erp.x", {"n": number}) for number in numbers]


def kept(spool: Spool) -> list[str]:
    return [one.packed.id for one in spool.waiting(after=0, limit=100_000)]


def publishing(spool: Path, count: int, subject: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PUBLISHES, str(spool), str(count), subject],
        env={**os.environ, "PYTHONPATH": str(CLIENT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_what_publish_returned_for_is_there_after_kill_9(offline: Settings) -> None:
    with publishing(offline.spool, 100_000, "a") as process:
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(50)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.read().split()
    found = kept(Spool.of(offline))
    # The last one may have been killed between the disk and the print.
    assert found[: len(told)] == told
    assert len(found) <= len(told) + 1


def test_many_processes_share_a_spool_and_keep_their_order(offline: Settings) -> None:
    processes = [publishing(offline.spool, 50, name) for name in "abc"]
    told = [process.communicate(timeout=60)[0].split() for process in processes]
    found = kept(Spool.of(offline))
    assert len(found) == 150
    for ids in told:
        assert [one for one in found if one in set(ids)] == ids


def test_a_full_spool_says_which_limit(offline: Settings) -> None:
    with Publisher(replace(offline, limit_events=3)) as publisher:
        publisher.publish_many(numbered(1, 2))
        with pytest.raises(SpoolFull, match="its limit is 3 events"):
            publisher.publish_many(numbered(3, 4))
        assert publisher.status().events == 2
        publisher.publish(numbered(3)[0])
    with Publisher(replace(offline, limit_bytes=1000)) as publisher, pytest.raises(SpoolFull, match="1000 bytes"):
        publisher.publish(Event("erp.x", "x" * 900))


def test_the_status_tells_how_full_it_is_and_why(offline: Settings) -> None:
    with Publisher(offline) as publisher:
        assert (publisher.status().events, publisher.status().oldest_age_s) == (0, 0)
        events = numbered(1, 2)
        publisher.publish_many(events)
        time.sleep(0.05)
        status = eventually(lambda: publisher.status().problem and publisher.status())
    assert (status.events, status.limit_events, status.limit_bytes) == (2, 100_000, 256 * 1024 * 1024)
    assert status.size_bytes == sum(pack(one, "/erp").size_bytes for one in events)
    assert status.oldest_age_s >= 0.05
    assert "cannot be reached" in status.problem
    assert "secret" not in str(status)


def test_room_comes_back_when_events_are_sent(offline: Settings) -> None:
    spool = Spool.of(offline)
    last = spool.append([pack(one, "/erp") for one in numbered(*range(300))])
    spool.set_aside(last, "no right")
    spool.remove([one.position for one in spool.waiting(after=0, limit=1000)])
    status = spool.status()
    assert (status.events, status.aside) == (1, 1)
    assert status.size_bytes == spool.aside()[0].packed.size_bytes
    assert spool.is_sent(last)
    assert spool.retry_aside() == 1
    assert not spool.is_sent(2**62)
    spool.set_aside(spool.waiting(after=0, limit=1)[0].position, "no right")
    assert not spool.discard_aside("another")
    assert spool.discard_aside(spool.aside()[0].packed.id)
    assert (spool.status().events, spool.status().size_bytes) == (0, 0)


def test_the_file_shrinks_after_a_long_outage(offline: Settings) -> None:
    spool = Spool.of(offline)
    spool.append([pack(Event("erp.x", "x" * 60_000), "/erp") for _ in range(300)])
    assert spool.path.stat().st_size + spool.path.with_name("erp.spool-wal").stat().st_size > 18_000_000
    spool.remove([one.position for one in spool.waiting(after=0, limit=1000)])
    spool.close()
    assert spool.path.stat().st_size < 1_000_000


def test_only_the_owner_can_read_it(offline: Settings) -> None:
    spool = Spool(offline.spool.parent / "new" / "s", account="erp", limit_events=9, limit_bytes=999_999)
    spool.append([pack(numbered(1)[0], "/erp")])
    for path in spool.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(spool.path.parent.stat().st_mode) == 0o700


def test_a_spool_has_one_account_and_one_form(offline: Settings) -> None:
    Spool.of(offline).status()
    with pytest.raises(BadSettings, match="'erp', not 'crm'"):
        Publisher(replace(offline, account="crm"))
    with sqlite3.connect(offline.spool) as database:
        database.execute("pragma user_version = 9")
    database.close()
    with pytest.raises(CannotSpool, match="another release"):
        Publisher(offline)


def test_a_spool_that_cannot_be_written_is_told_at_once(offline: Settings) -> None:
    offline.spool.write_bytes(b"this is no database" * 100)
    with pytest.raises(CannotSpool, match=r"erp\.spool: file is not a database"):
        Publisher(offline)


def test_refusals_are_kept_once_and_not_for_ever(offline: Settings) -> None:
    spool = Spool.of(offline)
    assert spool.add_refusal("m1", Refusal("1", "erp.x", "type", "unknown", 1.0))
    assert not spool.add_refusal("m1", Refusal("1", "erp.x", "type", "unknown", 2.0))
    assert [one.received_at for one in spool.refusals()] == [1.0]
    with sqlite3.connect(offline.spool) as database:
        database.execute("update refusal set position = 0")
        database.execute("update sqlite_sequence set seq = ? where name = 'refusal'", (KEPT_REFUSALS,))
    database.close()
    spool.add_refusal("m2", Refusal("2", "erp.x", "type", "unknown", 3.0))
    assert [one.id for one in spool.refusals()] == ["2"]


def test_a_closed_publisher_takes_nothing(offline: Settings) -> None:
    publisher = Publisher(offline)
    publisher.publish(numbered(1)[0])
    assert not publisher.close(timeout_s=0.1)
    with pytest.raises(Closed):
        publisher.publish(numbered(2)[0])
    assert len(kept(Spool.of(offline))) == 1


def ended(children: list[int], timeout_s: float = 30.0) -> list[int]:
    """Return how child processes ended; those that hang are killed, which is an end too."""
    deadline = time.monotonic() + timeout_s
    codes: dict[int, int] = {}
    while len(codes) < len(children):
        if time.monotonic() > deadline:
            for child in set(children) - codes.keys():
                os.kill(child, signal.SIGKILL)
        for child in set(children) - codes.keys():
            pid, code = os.waitpid(child, os.WNOHANG)
            if pid:
                codes[child] = code
        time.sleep(0.01)
    return [codes[child] for child in children]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_parent_and_child_publish_after_a_fork_while_threads_publish(offline: Settings) -> None:
    with Publisher(offline) as publisher:
        stopping = threading.Event()

        def go_on() -> None:
            while not stopping.is_set():
                publisher.publish(Event("erp.x", {}, subject="thread"))

        threads = [threading.Thread(target=go_on) for _ in range(3)]
        for thread in threads:
            thread.start()
        children = []
        for number in range(8):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    publisher.publish_many(Event("erp.x", {}, subject=f"child {number}") for _ in range(5))
                    publisher.close(timeout_s=0)
                    code = 0
                finally:
                    os._exit(code)
            children.append(child)
            publisher.publish(Event("erp.x", {}, subject=f"parent {number}"))
        codes = ended(children)
        stopping.set()
        for thread in threads:
            thread.join()
    assert codes == [0] * 8
    spool = Spool.of(offline)
    found = [one.packed.headers["ce-subject"] for one in spool.waiting(after=0, limit=100_000)]
    for number in range(8):
        assert found.count(f"child {number}") == 5
        assert found.count(f"parent {number}") == 1
    spool.close()
    with sqlite3.connect(offline.spool) as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
    database.close()
