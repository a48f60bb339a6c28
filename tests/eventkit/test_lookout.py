"""One look tells a process what is due, also what another replica left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from eventkit import lookout
from eventkit.work import Work
from tests.eventkit.test_relay_windows import tell

Change = Callable[[Work], Any]


class Look:
    """A lookout on a service that does not run, and whom it has woken."""

    def __init__(self, service: Any) -> None:
        self.service = service
        self.woken: list[str] = []
        names = (lookout.OUTBOX, lookout.TIMERS, lookout.JOBS, lookout.HELD)
        wakes = {name: lambda name=name: self.woken.append(name) for name in names}
        self.step = lookout.Lookout(service.engine, wakes).step

    def write(self, change: Change) -> None:
        """Commit a change as another replica would."""
        with self.service.engine.begin() as connection:
            work = Work(connection, source="/test", now=connection.execute(text("select now()")).scalar_one())
            change(work)
            work.flush()


@pytest.fixture
def look(desk: Any) -> Look:
    return Look(desk())


def hold(work: Work, due_in_s: float = 0) -> None:
    """Put a subject aside whose events are to be tried again in so many seconds."""
    work.connection.execute(
        text(
            "insert into eventkit.held_subject (partitionkey, reason, due_at)"
            " values ('a', 'away', now() + make_interval(secs => :s))"
        ),
        {"s": due_in_s},
    )


def ring(work: Work, due_in_s: float = 0) -> None:
    """Arm a timer."""
    work.arm("ring", key="a", subject="a", due_at=work.now + timedelta(seconds=due_in_s), payload={})


def test_where_nothing_is_due_nobody_is_woken(look: Look) -> None:
    assert look.step() == lookout.LOOK_S
    assert look.woken == []


@pytest.mark.parametrize(
    ("change", "woken"),
    [
        (lambda work: tell(work, "S1"), lookout.OUTBOX),
        (ring, lookout.TIMERS),
        (lambda work: work.job("send", key="a", subject="a", payload={}), lookout.JOBS),
        (hold, lookout.HELD),
    ],
    ids=["outbox", "timer", "job", "held"],
)
def test_what_is_due_wakes_those_who_do_it_and_nobody_else(look: Look, change: Change, woken: str) -> None:
    look.write(change)
    look.step()
    assert look.woken == [woken]


@pytest.mark.parametrize("arm", [ring, hold])
def test_the_next_look_is_when_the_next_thing_falls_due(
    look: Look, arm: Callable[[Work, float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "LOOK_S", 3600.0)
    look.write(lambda work: arm(work, 600))
    assert 0 < look.step() <= 600
    assert look.woken == []


def test_behind_a_timer_that_is_due_the_next_one_is_looked_for_at_once(look: Look) -> None:
    look.write(ring)
    assert look.step() < lookout.LOOK_S / 10


def test_what_falls_due_much_later_is_left_to_a_later_look(look: Look) -> None:
    look.write(lambda work: ring(work, 3600))
    assert look.step() == lookout.LOOK_S
    assert look.woken == []
