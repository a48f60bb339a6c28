"""Faults around timers: two processes fire them, one dies, and others cancel and re-arm them at the same time."""

from __future__ import annotations

import random
import threading
from collections import Counter
from datetime import timedelta

from sqlalchemy import Engine, text

from eventkit.work import Work
from tests.faults import oracle
from tests.faults.house import House, Size, Stage, Tending
from tests.faults.oracle import Verdict, judge
from tests.faults.service import ended, ticket

#: The caller's kinds of call: one that may be repeated, one that may not.
_JOBS = ("repeatable", "once")


def timers(stage: Stage, seed: int, size: Size) -> Verdict:
    """Timers fall due within seconds; each generation of each fires once, or is cancelled, and none is early."""
    dice = random.Random(seed)
    count = 10_000 if size.is_full else 2_000
    numbers = [f"T{number}" for number in range(count)]
    with stage.house(slow_s=0.01) as house:
        _arm_all(house, numbers, dice, spread_s=4.0 if size.is_full else 2.0)
        first, _ = house.replica("clock", _plan(dice)), house.replica("clock")
        tend = Tending(first, 3, _plan, dice)
        meddlers = [
            threading.Thread(target=_meddle, args=(house.engines[house.desk], numbers, random.Random(f"{seed} {n}")))
            for n in range(2)
        ]
        for meddler in meddlers:
            meddler.start()
        house.eventually(lambda: not any(one.is_alive() for one in meddlers), 120, "the meddling ends", tend)
        house.eventually(lambda: not house.one("desk", "select count(*) from eventkit.timer"), 60, "all fired", tend)
        stage.notes |= _lateness(house)
        stage.notes["ended"] = house.one("desk", "select count(*) from fault_ended")
        assert not stage.notes["early"], f"{stage.notes['early']} timers fired early"
        assert not size.is_full or stage.notes["p99 s"] <= 3, f"p99 lateness {stage.notes['p99 s']} s"
        return _judge(house)


def _plan(dice: random.Random) -> str:
    return f"timers.written:kill:{dice.randint(1, 5)}"


def _arm_all(house: House, numbers: list[str], dice: random.Random, *, spread_s: float) -> None:
    with house.engines[house.desk].begin() as connection:
        now = connection.execute(text("select clock_timestamp()")).scalar_one()
        work = Work(connection, source="/test", now=now)
        for number in numbers:
            work.rows(ticket).add(number=number, generation=1, is_armed=True)
            _arm(work, number, 1, dice.uniform(1, 1 + spread_s))
        work.flush()


def _arm(work: Work, number: str, generation: int, in_s: float) -> None:
    due_at = work.now + timedelta(seconds=in_s)
    work.arm("breach", key=number, subject=number, due_at=due_at, payload={"generation": generation})


def _meddle(engine: Engine, numbers: list[str], dice: random.Random) -> None:
    """Cancel or re-arm timers that still run, mostly when they are just about to fire; subject first, as all do."""
    for _ in range(len(numbers) // 4):
        with engine.begin() as connection:
            now = connection.execute(text("select clock_timestamp()")).scalar_one()
            near = connection.execute(
                text(
                    "select key from eventkit.timer where due_at > clock_timestamp() - interval '0.05 s'"
                    " order by due_at limit 20"
                )
            ).scalars()
            number = dice.choice(list(near) or numbers)
            work = Work(connection, source="/test", now=now)
            row = work.rows(ticket).get(number)
            if row is None or not row["is_armed"]:
                continue
            again = dice.random() < 0.5
            work.rows(ended).append(number=number, generation=row["generation"])
            work.rows(ticket).change(row, generation=row["generation"] + again, is_armed=again)
            if again:
                _arm(work, number, row["generation"] + 1, dice.uniform(0, 1))
            else:
                work.cancel("breach", key=number)
            work.flush()


def _lateness(house: House) -> dict[str, float]:
    row = house.rows(
        "desk",
        "select percentile_cont(0.99) within group (order by extract(epoch from fired_at - due_at)) as p99,"
        " count(*) filter (where fired_at < due_at) as early from fault_fired",
    )[0]
    return {"p99 s": round(float(row.p99), 2), "early": row.early}


def _judge(house: House) -> Verdict:
    """Every generation is an event: those that fired are effects, those that were cancelled must have none."""
    fired = [
        f"{row.number}/{row.generation}" for row in house.rows("desk", "select * from fault_fired order by position")
    ]
    cancelled = {f"{row.number}/{row.generation}" for row in house.rows("desk", "select * from fault_ended")}
    armed = {
        f"{row.number}/{generation}"
        for row in house.rows("desk", "select number, generation from fault_ticket")
        for generation in range(1, row.generation + 1)
    }
    effects = [oracle.Effect(one, one, 1) for one in fired]
    return judge(oracle.Evidence(attempted=armed, acknowledged=armed, effects=effects, discarded=cancelled, told=fired))


def caller_killed(stage: Stage, seed: int, size: Size) -> Verdict:
    """The process dies before, during and after calls to the outside.

    Every call is recorded once. One that may be repeated is made at least once; one that may not, at most once, and
    is recorded as unknown when nobody can tell.
    """
    dice = random.Random(seed)
    keys: list[str] = []
    with stage.house() as house:
        _arm_calls(house, keys, size)
        caller = house.replica("caller", _job_plan(dice))
        house.replica("caller")
        tend = Tending(caller, size.restarts // 2, _job_plan, dice)
        left = "select count(*) from eventkit.timer"

        def tended() -> None:
            tend()
            # How soon it dies depends on how the two share the work: there is more of it until every death was met.
            if tend.left > 0 and not house.one("desk", left):
                _arm_calls(house, keys, size)

        house.eventually(lambda: not house.one("desk", left) and not tend.left > 0, 120, "all calls are made", tended)
        calls = Counter(row.key for row in house.rows("desk", "select key from fault_outside"))
        outcomes = {row.key: row.outcome for row in house.rows("desk", "select * from fault_recorded")}
        stage.notes |= {"starts": caller.starts, "unknown": sum(one == "Unknown" for one in outcomes.values())}
        twice = [key for key in keys if key.startswith("once") and calls[key] > 1]
        never = [key for key in keys if outcomes.get(key) == "Done" and not calls[key]]
        assert not twice, f"{len(twice)} calls were made again that must not be"
        assert not never, f"{len(never)} calls are recorded as done that never reached the outside"
        recorded = [row.key for row in house.rows("desk", "select key from fault_recorded order by position")]
        effects = [oracle.Effect(key, key, 1) for key in recorded]
        return judge(oracle.Evidence(attempted=keys, acknowledged=keys, effects=effects, told=recorded))


def _arm_calls(house: House, keys: list[str], size: Size) -> None:
    """Write another lot of calls to be made, and add their keys."""
    begin, count = len(keys) // len(_JOBS), 400 if size.is_full else 100
    new = [f"{kind} {number}" for number in range(begin, begin + count) for kind in _JOBS]
    with house.engines[house.desk].begin() as connection:
        now = connection.execute(text("select clock_timestamp()")).scalar_one()
        work = Work(connection, source="/test", now=now)
        for key in new:
            work.job(key.split()[0], key=key, subject=key, payload={})
        work.flush()
    keys.extend(new)


def poisoned_clocks(stage: Stage, seed: int, size: Size) -> Verdict:
    """Among timers and jobs are some whose effect or record breaks: the others go on, and no process ends."""
    dice = random.Random(seed)
    good = [f"T{number}" for number in range(200)]
    bad = [f"{kind} {number}" for kind in ("nul", "bad") for number in range(2)]
    keys = dice.sample(good + bad, len(good) + len(bad))
    with stage.house() as house:
        with house.engines[house.desk].begin() as connection:
            now = connection.execute(text("select clock_timestamp()")).scalar_one()
            work = Work(connection, source="/test", now=now)
            for key in keys:
                work.rows(ticket).add(number=key, generation=1, is_armed=True)
                _arm(work, key, 1, 0)
                for kind in _JOBS:
                    work.job(kind, key=key, subject=key, payload={})
            work.flush()
        clock, caller = house.replica("clock"), house.replica("caller")
        done = "select count(distinct number) + (select count(*) from fault_recorded) from fault_fired"
        house.eventually(lambda: house.one("desk", done) >= 3 * len(good), 20, "all sound ones are done")
        assert clock.is_alive, "a poisoned timer ended the process"
        assert caller.is_alive, "a poisoned job ended the process"
        left = {(row.kind, row.key) for row in house.rows("desk", "select kind, key from eventkit.timer")}
        assert left == {(kind, key) for kind in ("breach", *_JOBS) for key in bad}, f"left over: {left}"
        fired = [row.number for row in house.rows("desk", "select number from fault_fired order by position")]
        recorded = house.rows("desk", "select kind, key from fault_recorded order by position")
        fired += [f"{row.kind} {row.key}" for row in recorded]
        effects = [oracle.Effect(key, key, 1) for key in fired]
        wanted = [*good, *(f"{kind} {key}" for kind in _JOBS for key in good)]
        return judge(oracle.Evidence(attempted=wanted, acknowledged=wanted, effects=effects, told=fired))


def _job_plan(dice: random.Random) -> str:
    return f"{dice.choice(['job.claimed', 'job.called', 'job.recorded'])}:kill:{dice.randint(2, 9)}"
