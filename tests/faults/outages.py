"""Faults of the parts: the broker stops, the broker is killed, the database is killed and stays away."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.eventkit.desk import request
from tests.faults.house import House, Size, Stage
from tests.faults.oracle import Verdict

# A quorum queue that was declared less than this long before a kill -9 may stay unusable for ever (RabbitMQ 3.10).
SETTLED_S = 6.0


def broker_gone(stage: Stage, seed: int, size: Size) -> Verdict:
    """The broker is stopped at a third of the load and killed at a half of it; everybody comes back unaided."""
    dice = random.Random(seed)
    with stage.house() as house:
        replicas = [house.replica("source"), house.replica("desk"), house.replica("desk")]
        load = house.load(seed, size, rate=size.events / 8 if not size.is_full else size.rate, subjects=100)
        house.eventually(lambda: load.share >= 1 / 3, 600, "a third of the load")
        with _away("rabbitmq", stage.servers.stop, stage.servers.start):
            house.pause(dice.uniform(0, size.outage_s / 3))
        back_s = first_effect_after(house)
        house.eventually(lambda: load.share >= 1 / 2, 600, "half of the load")
        house.eventually(lambda: time.monotonic() - house.declared_at > SETTLED_S, SETTLED_S + 1)
        with _away("rabbitmq", stage.servers.kill9, stage.servers.start):
            house.pause(dice.uniform(0, size.outage_s / 3))
        stage.notes["first effect after s"] = [round(back_s, 1), round(first_effect_after(house), 1)]
        load.wait()
        house.settle(load)
        assert all(one.is_alive and one.starts == 1 for one in replicas), "a replica ended because of the broker"
        return house.verdict(load)


def broker_frozen(stage: Stage, seed: int, size: Size) -> Verdict:
    """The broker keeps its connections and answers nobody, until long after everybody has given it up."""
    with stage.house(heartbeat_s=1) as house:
        replicas = [house.replica("source"), house.replica("desk"), house.replica("desk")]
        load = house.load(seed, size, rate=size.rate / 2)
        house.eventually(lambda: load.share >= 1 / 3, 600, "a third of the load")
        with _away("rabbitmq", stage.servers.pause, stage.servers.resume):
            house.pause(max(size.outage_s, 5))
        stage.notes["first effect after s"] = round(first_effect_after(house), 1)
        load.wait()
        house.settle(load)
        assert all(one.is_alive and one.starts == 1 for one in replicas), "a replica ended because of the broker"
        return house.verdict(load)


def database_gone(stage: Stage, seed: int, size: Size) -> Verdict:
    """PostgreSQL is killed under load and stays away: nothing dies of it, no process ends, all is handled after."""
    with stage.house() as house:
        replicas = [house.replica("source"), house.replica("desk"), house.replica("desk")]
        load = house.load(seed, size, total=10**9 if size.is_full else size.events)
        house.eventually(lambda: all(one.has_started for one in replicas), 60, "everybody has started")
        house.eventually(lambda: len(load.acknowledged) >= 300, 60, "some load")
        direct = [request(f"D{number % 20}", number) for number in range(500)]
        with _away("postgresql", stage.servers.kill9, stage.servers.start):
            # These reach the desk while it has nowhere to write; the source's outbox is away, too.
            house.publish(*direct)
            house.pause(size.outage_s)
            assert all(one.is_alive for one in replicas), "a replica ended because of the database"
        back_s = first_effect_after(house)
        if size.is_full:
            house.pause(10)
            load.stop()
        load.wait()
        load.attempted |= {event.id: "good" for event in direct}
        load.acknowledged |= {event.id for event in direct}
        house.settle(load)
        stage.notes["first effect after s"] = round(back_s, 1)
        assert all(one.is_alive and one.starts == 1 for one in replicas), "a replica ended because of the database"
        return house.verdict(load)


@contextmanager
def _away(part: str, leave: Callable[[str], None], come_back: Callable[[str], None]) -> Iterator[None]:
    """Let a server be away for the block; it comes back for the other scenarios whatever happens in it."""
    leave(part)
    try:
        yield
    finally:
        come_back(part)


def first_effect_after(house: House) -> float:
    """Return the seconds until something takes effect again."""
    started = time.monotonic()
    # The pool's connections may all be broken by the outage.
    for engine in house.engines.values():
        engine.dispose()
    last = house.one("desk", "select coalesce(max(position), 0) from fault_effect")
    house.eventually(
        lambda: house.one("desk", "select coalesce(max(position), 0) from fault_effect") > last, 90, "a first effect"
    )
    return time.monotonic() - started
