"""Another policy or calendar: what would move, what would be missed, and how little is said when it is applied."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from eventkit.work import Work
from services.tickets.business_time.files import load_calendars
from services.tickets.sla import change_plan
from services.tickets.sla.change_plan import Move
from services.tickets.sla.policy import Policy
from services.tickets.sla.policy_file import read_policy
from services.tickets.sla.usecases import clocks_of
from services.tickets.storage import TicketStore
from tests.eventkit.desk import Desk, eventually
from tests.policies import AROUND_THE_CLOCK
from tests.tickets.stories import asked, told

HOURS_FOUR = "{1: 4h, 2: 8h, 3: 24h, 4: 72h}"


@pytest.fixture
def policy_with(tmp_path: Path) -> Callable[[str], Policy]:
    def made(solution: str) -> Policy:
        path = tmp_path / "next.yaml"
        path.write_text(AROUND_THE_CLOCK.read_text().replace(HOURS_FOUR, solution))
        return read_policy(path, load_calendars())

    return made


@pytest.fixture
def desk(tickets: Desk) -> Desk:
    """Three open tickets of priority 3: of now, of three hours ago, of three hours and three minutes ago."""
    now = datetime.now(UTC)
    for number, ago in enumerate((timedelta(), timedelta(hours=3), timedelta(hours=2, minutes=57))):
        tickets.publish(asked(f"ERP-{number}", time=now - ago, arrived_at=now))
    tickets.start()
    eventually(lambda: tickets.one("select count(*) from clock where missed_due_at is not null") == 2)
    return tickets


def run(desk: Desk, policy: Policy, *, apply: bool) -> list[Move]:
    with desk.engine.begin() as connection:
        work = Work(connection, source="/liaison/tickets", now=connection.execute(text("select now()")).scalar_one())
        store = TicketStore(work)
        rows = [store.tickets.get(number) for number in store.open_numbers("", 100)]
        moves: list[Move] = []
        for row in rows:
            assert row is not None
            if apply:
                moves += change_plan.apply(store, policy, row, work.now)
            else:
                moves += change_plan.moves_of(policy, row, clocks_of(store, policy, row), work.now)
        work.flush()
    return moves


def missed(desk: Desk) -> dict[str, bool]:
    """Return the tickets whose solution was missed, with whether it was found only afterwards."""
    found = [data for kind, data in told(desk) if (kind, data.get("target")) == ("sla.breached", "solution")]
    return {data["number"]: data.get("retroactive", False) for data in found}


def test_the_plan_tells_what_would_move_and_be_missed_and_changes_nothing(
    desk: Desk, policy_with: Callable[[str], Policy]
) -> None:
    before = desk.rows("select id, due_at from clock order by id")
    moves = run(desk, policy_with("2h30m"), apply=False)
    assert [move.misses for move in moves] == [False, True, True]
    assert {move.after.due_at - move.after.started_at for move in moves} == {timedelta(hours=2, minutes=30)}
    assert desk.rows("select id, due_at from clock order by id") == before


def test_applying_tells_nobody_of_what_was_due_more_than_five_minutes_ago(
    desk: Desk, policy_with: Callable[[str], Policy]
) -> None:
    # When the target becomes 2 h 55 min: one was due five minutes ago and more, one two minutes ago, one is not yet
    run(desk, policy_with("2h55m"), apply=True)
    eventually(lambda: len(missed(desk)) == 2)
    assert sorted(missed(desk).values()) == [False, True]
    # The one of a while ago is not warned of; the other's warning went with its miss.
    assert [kind for kind, data in told(desk) if (kind, data.get("target")) == ("sla.warned", "solution")] == []
    # A second run finds nothing to do.
    assert run(desk, policy_with("2h55m"), apply=True) == []


def test_other_tickets_and_their_timers_stay_as_they_are(desk: Desk, policy_with: Callable[[str], Policy]) -> None:
    timers = "select key, due_at from eventkit.timer where key like '%first_response%' order by key"
    before = desk.rows(timers)
    run(desk, policy_with("48h"), apply=True)
    assert desk.rows(timers) == before
    assert {row.due_solution_at - row.opened_at for row in desk.rows("select * from ticket")} == {timedelta(hours=48)}


def test_every_move_is_among_the_tickets_changes(desk: Desk, policy_with: Callable[[str], Policy]) -> None:
    run(desk, policy_with("48h"), apply=True)
    rows: list[Any] = list(desk.rows("select reason, via from ticket_change where field = 'solution due'"))
    assert [(row.reason, row.via) for row in rows] == [("policy or calendar changed", "command")] * 3
