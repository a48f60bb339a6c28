"""What is reckoned into a year whose holidays are not published yet says so, once for each process and year."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from services.tickets.sla.unpublished import warn_of_year
from tests.eventkit.desk import Desk
from tests.tickets.rehearsal import Rehearsal

#: So long that it reaches into years whose notice will not be there for a while.
DECADES = {
    "solution: {1: 4h, 2: 8h, 3: 24h, 4: 72h}\npri": "solution: {any: 9000 workdays, calendar: 5x8}\npri",
    "default_group": "closing: {silence: 9500 workdays, calendar: 5x8}\ndefault_group",
}


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Callable[[], list[int]]:
    """The years that a process was warned of since it was started, which it is now."""
    warn_of_year.cache_clear()
    return lambda: [vars(one)["year"] for one in caplog.records if "not published" in one.getMessage()]


def test_a_clock_and_a_wait_for_an_answer_warn_of_each_unpublished_year_once(
    desk_under: Callable[..., Desk], tmp_path: Path, warned: Callable[[], list[int]]
) -> None:
    desk = Rehearsal(desk_under(DECADES), tmp_path / "policy.yaml")
    number = desk.opened("02 09:00")
    due_at = desk.call("02 09:00", "get_ticket", number=number)["due_solution_at"]
    by_clocks = warned()
    assert by_clocks == list(range(by_clocks[0], due_at.year + 1))
    # Another clock that is due then says it no second time; the wait for an answer goes on further.
    desk.opened("02 09:00")
    assert warned() == by_clocks
    desk.call("02 10:00", "resolve_ticket", number=number, solution="重启")
    silent_at = desk.desk.one("select due_at from eventkit.timer where kind = 'silence'")
    assert silent_at.year > due_at.year
    assert warned() == list(range(by_clocks[0], silent_at.year + 1))


def test_a_target_of_this_year_warns_of_nothing(
    desk_under: Callable[..., Desk], tmp_path: Path, warned: Callable[[], list[int]]
) -> None:
    Rehearsal(desk_under({"calendar: 7x24": "calendar: 5x8"}), tmp_path / "policy.yaml").opened("02 09:00")
    assert warned() == []
