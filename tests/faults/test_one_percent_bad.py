"""One bad event in a hundred costs no more than the clean work again: counted in transactions, not in seconds.

`make faults` measures the speed itself, in the scenario "one percent bad".
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event as happening

from eventkit.envelope import encode_data, to_headers
from eventkit.errors import RuleBroken
from eventkit.handling import EventHandling
from eventkit.inbox import receive
from eventkit.telemetry import ServiceMetrics
from eventkit.work import Work
from tests.eventkit.desk import Desk, record_effect, request
from tests.faults.sabotage import GUARDS

BATCHES, BATCH = 5, 200


def refuse_bad(work: Work, event: Any) -> None:
    if event.data.title == "bad":
        raise RuleBroken("bad title")
    record_effect(work, event)


def transactions(service: Desk, *, bad_share: float, seed: int) -> int:
    """Handle full batches in which so many events are bad, and return how many transactions were begun for them."""
    dice, begun = random.Random(seed), list[Any]()

    def count_it(connection: Any) -> None:
        begun.append(connection)

    handling = EventHandling(service.definition, service.engine, ServiceMetrics("desk"))
    happening.listen(service.engine, "begin", count_it)
    count = BATCHES * BATCH
    bad = set(dice.sample(range(count), round(count * bad_share)))
    events = [request(f"S{seed}-{number}", 1, "bad" if number in bad else "good") for number in range(count)]
    received = [receive(to_headers(one), encode_data(one.data)) for one in events]
    for first in range(0, count, BATCH):
        handling.handle(received[first : first + BATCH])
    happening.remove(service.engine, "begin", count_it)
    assert service.one("select count(*) from effect where subject like :s", s=f"S{seed}-%") == count - len(bad)
    return len(begun)


@pytest.fixture
def service(desk: Callable[..., Desk]) -> Desk:
    return desk(handle=refuse_bad)


def test_one_percent_of_bad_events_keeps_half_of_the_clean_work(service: Desk, random_seed: int) -> None:
    clean = transactions(service, bad_share=0, seed=random_seed)
    assert clean == BATCHES
    assert transactions(service, bad_share=0.01, seed=random_seed + 1) <= 2 * clean


def test_it_would_not_if_nobody_named_the_culprit(service: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EventHandling, "run", EventHandling.run)
    GUARDS["named-culprit"]()
    assert transactions(service, bad_share=0.01, seed=1) > BATCH
