"""All fault scenarios by name, and the guard whose absence each must notice."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from tests.faults.clocks import caller_killed, poisoned_clocks, timers
from tests.faults.consumers import (
    consumer_frozen,
    consumer_killed,
    one_percent_bad,
    poison,
    rolling_restart,
    same_event_thrice,
)
from tests.faults.disks import disk_full
from tests.faults.house import Size, Stage
from tests.faults.oracle import Verdict
from tests.faults.outages import broker_frozen, broker_gone, database_gone
from tests.faults.relays import relay_frozen, relay_killed
from tests.faults.waiting import killed_while_waiting


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario.

    guards: those without which it must fail. takes_servers: stops what all scenarios share. only_full: too noisy for
    `make test`.
    """

    play: Callable[[Stage, int, Size], Verdict]
    guards: tuple[str, ...]
    takes_servers: bool = False
    only_full: bool = False


SCENARIOS: Mapping[str, Scenario] = {
    "relay killed": Scenario(relay_killed, ("mark-after-confirm",)),
    "relay frozen": Scenario(relay_frozen, ("relay-lock",)),
    "consumer killed": Scenario(consumer_killed, ("inbox", "ack-after-commit")),
    "consumer frozen": Scenario(consumer_frozen, ("held-after-admit",)),
    "same event thrice": Scenario(same_event_thrice, ("inbox",)),
    "broker gone": Scenario(broker_gone, ("mark-after-confirm",), takes_servers=True),
    "broker frozen": Scenario(broker_frozen, ("inbox",), takes_servers=True, only_full=True),
    "rolling restart": Scenario(rolling_restart, ("orderly-stop", "single-active")),
    "poison": Scenario(poison, ("attempts",)),
    "database gone": Scenario(database_gone, ("outage",), takes_servers=True),
    "disk full": Scenario(disk_full, ("outage",), takes_servers=True),
    "timers": Scenario(timers, ("timer-version",)),
    "caller killed": Scenario(caller_killed, ("unknown-outcome",)),
    "poisoned clocks": Scenario(poisoned_clocks, ("patient-timers",)),
    "killed while waiting": Scenario(killed_while_waiting, ("held-subject", "hold-in-commit", "one-settlement")),
    "one percent bad": Scenario(one_percent_bad, ("named-culprit",), only_full=True),
}


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one run. failure: "" when every promise held; says what did not, and with which seed."""

    name: str
    seed: int
    took_s: float
    said: str
    failure: str
    notes: Mapping[str, Any]


def play(stage: Stage, name: str, seed: int, size: Size, weakened: str = "") -> Result:
    """Play a scenario, perhaps with a guard switched off, and judge it; only a defect of the rig is raised."""
    started, notes, said, failure = time.monotonic(), dict[str, Any](), "", ""
    try:
        verdict = SCENARIOS[name].play(replace(stage, weakened=weakened, notes=notes), seed, size)
        said = str(verdict)
        if verdict.faults:
            failure = f"{name}, seed {seed}: {verdict}"
    except AssertionError as error:
        said = str(error)
        failure = "\n".join((f"{name}, seed {seed}: {error}", *getattr(error, "__notes__", ())))
    return Result(name, seed, round(time.monotonic() - started, 1), said, failure, notes)


def play_at_once(stage: Stage, name: str, seeds: Sequence[int], size: Size) -> list[Result]:
    """Play a scenario with several seeds side by side, each in a house of its own."""
    with ThreadPoolExecutor(len(seeds)) as pool:
        return list(pool.map(lambda seed: play(stage, name, seed, size), seeds))
