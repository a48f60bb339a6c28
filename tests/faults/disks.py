"""A full disk: under the broker, which then takes nothing from anybody, and under a table of the database."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import text

from tests.faults.house import House, Size, Stage
from tests.faults.oracle import Verdict
from tests.faults.outages import first_effect_after

_RABBITMQCTL = "/usr/lib/rabbitmq/bin/rabbitmqctl"
# Larger than any disk, so that the alarm is raised; and as the broker has it by default.
_ALARMING, _USUAL = "1000000GB", "50MB"
# The write-ahead log has files of 16 MB, which must go on fitting.
_FILLING_ROWS = 13_000
_LAST = "select max(position) from fault_effect"


def disk_full(stage: Stage, seed: int, size: Size) -> Verdict:
    """First the broker's disk is full, then the database's; nothing is lost or dead of it, and no process ends."""
    with stage.house() as house:
        _fill(house)
        replicas = [house.replica("source"), house.replica("desk"), house.replica("desk")]
        load = house.load(seed, size, total=10**9)
        house.eventually(lambda: all(one.has_started for one in replicas), 60, "everybody has started")
        house.eventually(lambda: len(load.acknowledged) >= 300, 60, "some load")
        with _broker_without_room(stage.servers.pid("rabbitmq")):
            _nothing_happens(house, size.outage_s)
        broker_back_s = first_effect_after(house)
        with _table_without_room(house, stage.servers.pid("postgresql")):
            _nothing_happens(house, size.outage_s)
        stage.notes["first effect after s"] = [round(broker_back_s, 1), round(first_effect_after(house), 1)]
        load.stop()
        load.wait()
        house.change("desk", "delete from fault_effect where source = 'filling'")
        house.settle(load)
        assert all(one.is_alive and one.starts == 1 for one in replicas), "a replica ended because of a full disk"
        return house.verdict(load)


def _nothing_happens(house: House, seconds: float) -> None:
    """Let time pass; what was under way when the disk filled up takes effect in the first half of it, nothing later."""
    house.pause(seconds / 2)
    last = house.one("desk", _LAST)
    house.pause(seconds / 2)
    assert house.one("desk", _LAST) == last, "something took effect, so that the disk was not full"


def _fill(house: House) -> None:
    """Make the table larger than any other file that the database must go on writing."""
    with house.engines[house.desk].begin() as connection:
        connection.execute(
            text(
                "insert into fault_effect (event_id, source, subject, pid)"
                " select repeat(md5(n::text), 48), 'filling', '', 0 from generate_series(1, :rows) n"
            ),
            {"rows": _FILLING_ROWS},
        )


@contextlib.contextmanager
def _broker_without_room(pid: int) -> Iterator[None]:
    """Let the broker see less free disk than it wants for the block: it blocks every connection that publishes."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    environment = dict(entry.split("=", 1) for entry in entries if "=" in entry)

    def limit(amount: str) -> None:
        subprocess.run(
            [_RABBITMQCTL, "-n", environment["RABBITMQ_NODENAME"], "set_disk_free_limit", amount],
            env=environment,
            check=True,
            capture_output=True,
            timeout=60,
        )

    limit(_ALARMING)
    try:
        yield
    finally:
        limit(_USUAL)


@contextlib.contextmanager
def _table_without_room(house: House, pid: int) -> Iterator[None]:
    """Let the database's processes write no file beyond the table's present size for the block.

    The limit lies within a page, so that the system takes half of it, as a full disk does, and PostgreSQL says so.
    """
    name = house.one("desk", "select pg_relation_filepath('fault_effect')")
    folder = house.one("desk", "show data_directory")
    table = Path(folder) / name
    try:
        # Past its limit a file is too large, which is another error than a full disk: the table must not have grown
        # beyond it while the processes were being limited.
        most = 0
        while table.stat().st_size > most:
            most = table.stat().st_size + 4096
            _limit(pid, str(most))
        yield
    finally:
        _limit(pid, "unlimited")


def _limit(pid: int, bytes_most: str) -> None:
    """Limit the files of a process and its children, in the name of the account that they run under."""
    owner = Path(f"/proc/{pid}").stat()
    account: dict[str, Any] = (
        {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": ()} if os.geteuid() == 0 else {}
    )
    # The parent first: what it starts from now on inherits its limit.
    _limit_one(pid, bytes_most, account)
    for child in _children(pid):
        _limit_one(child, bytes_most, account)


def _children(parent: int) -> list[int]:
    """Return a process's children; the list that /proc keeps itself leaves some out when others end meanwhile."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The fields after the name, which may itself hold spaces and brackets: state, parent, …
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    found.append(int(entry.name))
    return found


def _limit_one(pid: int, bytes_most: str, account: dict[str, Any]) -> None:
    command = ("/usr/bin/prlimit", f"--pid={pid}", f"--fsize={bytes_most}:")
    done = subprocess.run(command, **account, check=False, capture_output=True)
    assert not done.returncode or not Path(f"/proc/{pid}").exists(), done.stderr.decode()
