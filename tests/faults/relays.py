"""Faults at the emitter: its relay dies, or freezes while another takes over."""

from __future__ import annotations

import random
import signal
from itertools import groupby

from tests.faults.house import House, Size, Stage, Tending
from tests.faults.oracle import Verdict


def relay_killed(stage: Stage, seed: int, size: Size) -> Verdict:
    """The relay dies between the broker's confirm and its own mark, again and again."""
    dice = random.Random(seed)

    def plan(dice: random.Random) -> str:
        return f"{dice.choice(['relay.confirmed', 'relay.confirmed', 'relay.read'])}:kill:{dice.randint(1, 3)}"

    with stage.house() as house:
        source = house.replica("source", plan(dice))
        house.replica("desk")
        load = house.load(seed, size, total=10**9)
        tend = Tending(source, size.restarts - 1, plan, dice)
        house.write_through(load, size, tend)
        stage.notes["starts"] = source.starts
        return house.verdict(load)


def relay_frozen(stage: Stage, seed: int, size: Size) -> Verdict:
    """The leading relay freezes with events in its hands, another takes over, and the first wakes up again.

    Once the second has sent anything, nothing of the first may reach the wire: its connection is gone.
    """
    dice = random.Random(seed)
    heartbeat_s = 0 if size.is_full else 1
    with stage.house(heartbeat_s=heartbeat_s) as house:
        point = dice.choice(["relay.read", "relay.confirmed"])
        first = house.replica("source", f"{point}:stop:{dice.randint(2, 5)}")
        house.replica("desk")
        # Written on and on: nobody knows in how many rounds a relay sends what is there.
        load = house.load(seed, size, total=10**9)
        house.eventually(lambda: first.is_frozen, 60, "the first relay is frozen")
        second = house.replica("source")
        before, wanted = _unmarked(house), len(load.acknowledged) + size.events // (1 if size.is_full else 2)
        house.eventually(lambda: len(load.acknowledged) >= wanted, 600, "the load is written")
        load.stop()
        if stage.weakened != "relay-lock":
            house.eventually(lambda: _unmarked(house) < max(before, 1), 120, "the second relay has taken over")
        house.pause(size.outage_s)
        first.signal(signal.SIGCONT)
        house.settle(load)
        # Time for the first to find its connection gone and to try to lead again.
        house.pause(2)
        late = house.load(seed + 1, size, total=200)
        late.wait()
        load.attempted |= late.attempted
        load.acknowledged |= late.acknowledged
        house.settle(load)
        verdict = house.verdict(load)
        senders = [one["x-relay"] for one in house.wire_headers if one["ce-source"] == f"/liaison/{house.source}"]
        runs = [sender for sender, _ in groupby(senders)]
        assert str(second.pid) in runs, f"the second relay never led: {runs}"
        back = runs[runs.index(str(second.pid)) :].count(str(first.pid))
        assert not back, f"{back} times a relay that had lost its lead still reached the wire"
        return verdict


def _unmarked(house: House) -> int:
    return int(house.one("source", "select count(*) from eventkit.outbox where sent_at is null"))
