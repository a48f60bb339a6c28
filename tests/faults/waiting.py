"""Faults around events that wait: at hold, at drain, at replay and at discard."""

from __future__ import annotations

import random

from eventkit.envelope import Event
from tests.eventkit.desk import request
from tests.faults.house import House, Size, Stage, Tending
from tests.faults.oracle import Verdict

_HOLDS = ("hold.written", "hold.committed", "consumer.committed")
_DRAINS = ("drain.marked", "drain.written", "drain.committed")


def killed_while_waiting(stage: Stage, seed: int, size: Size) -> Verdict:
    """The desk dies as it puts events aside and as it drains them; whoever settles dead ones dies half-way, too.

    Events of a held subject wait behind the one that holds it, and follow it in order once it is settled.
    """
    dice = random.Random(seed)
    deaths = size.restarts // 3
    events = _events(dice, subjects=40 if size.is_full else 15, each=30 if size.is_full else 20)
    with stage.house() as house:
        desk = house.replica("desk", _plan(dice, _HOLDS, 2))
        tend = Tending(desk, deaths, lambda dice: _plan(dice, _HOLDS, 2), dice)
        # A few at a time, so that there are many batches to die in.
        for first in range(0, len(events), 12):
            house.publish(*events[first : first + 12])
            house.eventually(lambda n=first: house.seen() >= n, 60, "events are seen", tend)  # type: ignore[misc]
        house.eventually(lambda: house.seen() >= len(events), 60, "all are seen", tend)
        assert desk.starts > 2, "the faults at hold were not met"
        desk.kill()
        house.change("desk", "insert into fault_gate values ('later', true)")
        tend = Tending(desk, deaths, lambda dice: _plan(dice, _DRAINS, 1), dice)
        house.eventually(lambda: _waiting_only_for_people(house), 120, "what can drain has drained", tend)
        assert desk.starts > 4, "the faults at drain were not met"
        discarded = _settle_dead(house, dice, tend)
        house.settle(events=len(events), tend=tend)
        stage.notes |= {"starts": desk.starts, "discarded": len(discarded)}
        ids = [event.id for event in events]
        return house.verdict(attempted=ids, acknowledged=ids, discarded=discarded)


def _events(dice: random.Random, *, subjects: int, each: int) -> list[Event]:  # type: ignore[type-arg]
    """Return events of many subjects, mixed; in some subjects one must wait, in some one is bad, in some both."""
    titles: dict[tuple[int, int], str] = {}
    for subject in range(subjects):
        if subject % 3 != 0:
            titles[subject, dice.randrange(each)] = "later"
        if subject % 3 != 1:
            titles[subject, dice.randrange(each)] = "bad"
    turns = [subject for subject in range(subjects) for _ in range(each)]
    dice.shuffle(turns)
    numbers = dict.fromkeys(range(subjects), 0)
    events = []
    for subject in turns:
        number = numbers[subject]
        numbers[subject] += 1
        events.append(request(f"S{subject}", number + 1, titles.get((subject, number), "good")))
    return events


def _plan(dice: random.Random, points: tuple[str, ...], least: int) -> str:
    return f"{dice.choice(points)}:kill:{dice.randint(least, least + 2)}"


def _waiting_only_for_people(house: House) -> bool:
    return not house.one("desk", "select count(*) from eventkit.held_subject where due_at is not null")


def _settle_dead(house: House, dice: random.Random, tend: Tending) -> set[str]:
    """Replay or discard every dead event, dying half-way now and then, and return the discarded ids."""
    house.change("desk", "insert into fault_gate values ('bad', true)")
    discarded: set[str] = set()
    while rows := house.rows("desk", "select position, id from eventkit.held_event where state = 'dead' order by 1"):
        for row in rows:
            what = "discard" if row.id in discarded or dice.random() < 0.5 else "replay"
            dies = dice.random() < 0.7
            if what == "discard":
                discarded.add(row.id)
            if dies:
                _settle_one(house, what, row.position, "settle.written:kill:1")
                tend()
            _settle_one(house, what, row.position, "")
        house.eventually(lambda: _waiting_only_for_people(house), 60, "what follows has drained", tend)
    return discarded


def _settle_one(house: House, what: str, position: int, fault: str) -> None:
    one = house.replica("settling", fault, LIAISON_TEST_SETTLE=what, LIAISON_TEST_POSITION=str(position))
    assert one.wait_gone(20), "the settling did not end"
    last_line = one.end_of_log(1)
    died = not last_line.startswith("ended with")
    assert died == bool(fault), f"the settling with {fault or 'no fault'}: {last_line}"
    house.replicas.remove(one)
