"""Faults at the consumer: it dies around its commit, gets the same event at once, restarts, or meets poison."""

from __future__ import annotations

import random
import signal
import threading
import time

from eventkit.envelope import encode_data, to_headers
from tests.eventkit.desk import WAITING_FOR_LOCKS, request
from tests.faults.house import Size, Stage, Tending
from tests.faults.oracle import Verdict


def consumer_killed(stage: Stage, seed: int, size: Size) -> Verdict:
    """The desk dies between the commit and the acknowledgement, or before the commit, again and again."""
    dice = random.Random(seed)

    def plan(dice: random.Random) -> str:
        point = dice.choice(["consumer.committed", "consumer.committed", "consumer.handled"])
        # An event that was alone at three deaths is a suspect, which none must become by the fall of the dice.
        first, last = (2, 40) if point == "consumer.handled" else (1, 4)
        return f"{point}:kill:{dice.randint(first, last)}"

    with stage.house(partitions=1 + seed % 2) as house:
        house.replica("source")
        desk = house.replica("desk", plan(dice))
        load = house.load(seed, size, total=10**9)
        tend = Tending(desk, size.restarts - 1, plan, dice)
        house.write_through(load, size, tend)
        stage.notes |= {"starts": desk.starts, "redelivered": house.repeats()}
        return house.verdict(load)


def same_event_thrice(stage: Stage, seed: int, size: Size) -> Verdict:
    """Every event arrives three times, from three publishers at once, at two processes that both consume."""
    count = size.events // 5
    events = [request(f"S{number}", 1) for number in range(count)]
    # Two consumers at once is what a broken hand-over of the single active consumer would look like.
    with stage.house(single_active=False, slow_s=0.001) as house:
        for _ in range(2):
            house.replica("desk")
        dice = random.Random(seed)
        orders = [dice.sample(events, count) for _ in range(3)]
        publishers = [threading.Thread(target=house.publish, args=order) for order in orders]
        for publisher in publishers:
            publisher.start()
        for publisher in publishers:
            publisher.join()
        house.settle(events=count)
        house.eventually(lambda: not house.queued(), 30, "all copies are delivered")
        pids = {row.pid for row in house.rows("desk", "select distinct pid from fault_effect")}
        assert len(pids) == 2, f"only {pids} handled events"
        for replica in house.replicas:
            replica.stop()
        assert not house.queued(), "copies came back to the queue after an orderly stop"
        ids = [event.id for event in events]
        return house.verdict(attempted=ids, acknowledged=ids)


def rolling_restart(stage: Stage, seed: int, size: Size) -> Verdict:
    """Two replicas of the desk and two of the source are stopped in order and started again, in turns, under load.

    An orderly stop must not even cause a repeat: everything that was committed was acknowledged.
    """
    dice = random.Random(seed)
    with stage.house(partitions=1 + seed % 2) as house:
        desks = [house.replica("desk"), house.replica("desk")]
        sources = [house.replica("source"), house.replica("source")]
        load = house.load(seed, size, total=10**9, rate=size.rate / 2)
        for number in range(size.restarts):
            group = sources if number % 5 == 4 else desks
            one = group[number % 2]
            house.eventually(lambda one=one: one.has_started, 30, "the replica has started")  # type: ignore[misc]
            ends_at = time.monotonic() + dice.uniform(0, 0.4)
            house.eventually(lambda at=ends_at: time.monotonic() > at)  # type: ignore[misc]
            one.stop()
            one.start()
        load.stop()
        house.settle(load)
        stage.notes |= {"events": len(load.acknowledged), "repeats": house.repeats()}
        assert not house.repeats(), f"{house.repeats()} events were handed in again after an orderly stop"
        return house.verdict(load)


POISONS = ("not json", "unknown type", "kill", "nul", "unbound", "bad")


def poison(stage: Stage, seed: int, size: Size) -> Verdict:
    """Bad ones in batches of 200: no JSON, an unknown type, one that kills the process, ones that cannot be stored.

    The killer is tried a few times, first with its neighbours and then alone; nothing else may start over for it. Two
    more lie behind events that wait, so that the drain meets them.
    """
    messages, good, dead, unknown_ids = _poisoned(random.Random(seed))
    with stage.house() as house:
        house.publish_raw(*messages)
        desk = house.replica("desk")

        def tend() -> None:
            if not desk.is_alive:
                # One start, six deaths in batches and alone, four in the drain, and some to spare.
                assert desk.starts < 14, f"{desk.starts} starts and no end: the poison kills for ever"
                desk.start()
                # A drain that died is due again after 5 s; nobody learns anything from that wait.
                house.change("desk", "update eventkit.held_subject set due_at = now() where due_at > now()")

        house.eventually(lambda: house.seen() >= len(good) + len(dead), 60, "all are seen", tend)
        house.change("desk", "insert into fault_gate values ('later', true)")
        house.settle(events=len(good) + len(dead), tend=tend)
        assert "a loop ended" not in desk.whole_log(), "a poison that only breaks its statement ended the process"
        stage.notes["starts"] = desk.starts
        unknown = house.one("desk", "select coalesce(sum(events), 0) from fault_unknown")
        attempted = [*good, *sorted(dead), *unknown_ids]
        verdict = house.verdict(attempted=attempted, acknowledged=good + sorted(dead), expected_dead=dead)
        assert unknown >= 1, "the unknown type was not counted"
        reasons = house.rows("desk", "select id, reason from eventkit.held_event where state = 'dead'")
        stage.notes["reasons"] = sorted(row.reason[:60] for row in reasons)
        assert all(row.reason for row in reasons)
        return verdict


def _poisoned(dice: random.Random) -> tuple[list[tuple[dict[str, str], bytes]], list[str], set[str], list[str]]:
    """Return messages, poison among them and behind events that wait; the ids of the good, the dead, the unknown."""
    count = 600
    places = dict(zip(sorted(dice.sample(range(count), len(POISONS))), dice.sample(POISONS, len(POISONS)), strict=True))
    messages, good, dead, unknown = [], list[str](), set[str](), list[str]()
    for number in range(count):
        kind = places.get(number, "")
        title = kind if kind in ("nul", "unbound", "kill", "bad") else "good"
        event = request(f"S{number}" if kind else f"S{number % 7 + 1000}", number, title)
        headers, body = to_headers(event), encode_data(event.data)
        if kind == "not json":
            body = b"{\xff"
        if kind == "unknown type":
            headers["ce-type"] = "liaison.unknown.happened.v1"
            unknown.append(event.id)
        elif kind:
            dead.add(event.id)
        else:
            good.append(event.id)
        messages.append((headers, body))
    for kind in ("nul", "kill"):
        behind = [request(f"H {kind}", number, title) for number, title in enumerate(("later", "good", kind))]
        messages += [(to_headers(event), encode_data(event.data)) for event in behind]
        good += [event.id for event in behind[:2]]
        dead.add(behind[2].id)
    return messages, good, dead, unknown


def consumer_frozen(stage: Stage, seed: int, size: Size) -> Verdict:
    """A desk freezes with an event half put aside, another takes over, and the first wakes up and commits.

    The second sees the event as known; what comes after it must still wait behind it.
    """
    heartbeat_s = 1
    events = [request("A", number, "later" if number == 3 else "good") for number in range(1, 21)]
    with stage.house(heartbeat_s=heartbeat_s) as house:
        house.publish(*events[:10])
        first = house.replica("desk", "hold.written:stop:1")
        house.eventually(lambda: first.is_frozen, 30, "the first desk is frozen")
        house.publish(*events[10:])
        second = house.replica("desk")
        house.eventually(lambda: house.one("desk", WAITING_FOR_LOCKS), 60, "the second desk waits for the first")
        first.signal(signal.SIGCONT)
        time.sleep(0.5)
        house.change("desk", "insert into fault_gate values ('later', true)")
        house.settle(events=len(events))
        assert second.is_alive
        ids = [event.id for event in events]
        return house.verdict(attempted=ids, acknowledged=ids)


def one_percent_bad(stage: Stage, seed: int, size: Size) -> Verdict:
    """One event in a hundred breaks a rule: the others keep at least half of the clean speed."""
    dice = random.Random(seed)
    count = 10_000 if size.is_full else 5_000
    rates: dict[float, float] = {}
    for share in (0.0, 0.01):
        # Subjects of their own, so that nothing waits behind a bad one: what counts is the speed.
        events = [request(f"S{number}", 1, "bad" if dice.random() < share else "good") for number in range(count)]
        ids = [event.id for event in events]
        dead = [event.id for event in events if event.data.title == "bad"]
        with stage.house() as house:
            house.publish(*events)
            house.replica("desk")
            house.settle(events=count)
            took_s = house.one(
                "desk", "select extract(epoch from max(arrived_at) - min(arrived_at)) from eventkit.inbox"
            )
            rates[share] = count / float(took_s)
            verdict = house.verdict(attempted=ids, acknowledged=ids, expected_dead=dead)
    ratio = rates[0.01] / rates[0.0]
    stage.notes |= {"clean/s": round(rates[0.0]), "1 % bad/s": round(rates[0.01]), "ratio": round(ratio, 2)}
    assert ratio >= 0.5, f"with 1 % bad events only {ratio:.0%} of the clean speed"
    return verdict
