"""What a process keeps of people and rosters holds only as long as nobody changes them, from wherever they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event, text

from services.tickets.storage import TicketStore
from tests.eventkit.desk import Desk
from tests.tickets.rehearsal import Rehearsal, on
from tests.tickets.stories import engineer

NOON, GROUP = on("02 12:00"), "华东支持组"


@pytest.fixture
def rehearsal(tickets: Desk) -> Rehearsal:
    assert tickets.folder is not None
    known = Rehearsal(tickets, tickets.folder)
    known.receive("02 08:00", engineer("E1", GROUP))
    known.receive("02 08:00", engineer("E2", GROUP))
    return known


def holders(rehearsal: Rehearsal) -> list[str]:
    """Return who is on duty in the group, as a new transaction sees it."""
    with rehearsal.work("02 12:00") as work:
        found = TicketStore(work).duty.candidates(GROUP, 2, NOON, 5)
        return sorted(one.person for one in found if one.on_duty and one.active)


@contextmanager
def statements(desk: Desk) -> Iterator[list[str]]:
    sent: list[str] = []

    def note(*call: object) -> None:
        sent.append(str(call[2]))

    event.listen(desk.engine, "before_cursor_execute", note)
    yield sent
    event.remove(desk.engine, "before_cursor_execute", note)


def test_who_serves_a_group_is_read_once_while_nobody_changes(rehearsal: Rehearsal) -> None:
    with statements(rehearsal.desk) as first:
        assert holders(rehearsal) == ["E1", "E2"]
    with statements(rehearsal.desk) as second:
        assert holders(rehearsal) == ["E1", "E2"]
    assert [sum("FROM person " in one or "FROM duty_s" in one for one in sent) for sent in (first, second)] == [3, 0]


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ("update person set groups = '{}' where employee_number = 'E2'", ["E1"]),
        ("update person set active = false where employee_number = 'E1'", ["E2"]),
        ("delete from person where employee_number = 'E1'", ["E2"]),
        (
            "insert into duty_shift (group_name, level, person, begin_at, end_at) values"
            " ('华东支持组', 2, 'E2', '2026-03-02 00:00+08', '2026-03-03 00:00+08')",
            ["E2"],
        ),
    ],
)
def test_the_next_transaction_sees_what_anybody_changed(rehearsal: Rehearsal, changed: str, left: list[str]) -> None:
    assert holders(rehearsal) == ["E1", "E2"]
    rehearsal.desk.execute(changed)
    assert holders(rehearsal) == left


def test_what_is_being_changed_is_not_kept_before_it_is_there_and_never_if_it_is_taken_back(
    rehearsal: Rehearsal,
) -> None:
    with rehearsal.desk.engine.connect() as elsewhere:
        elsewhere.execute(text("delete from person where employee_number = 'E1'"))
        assert holders(rehearsal) == ["E1", "E2"]
        elsewhere.rollback()
    assert holders(rehearsal) == ["E1", "E2"]
    with rehearsal.desk.engine.connect() as elsewhere:
        elsewhere.execute(text("delete from person where employee_number = 'E1'"))
        assert holders(rehearsal) == ["E1", "E2"]
        elsewhere.commit()
    assert holders(rehearsal) == ["E2"]


def test_a_roster_that_ended_while_it_was_kept_binds_nobody_any_more(rehearsal: Rehearsal) -> None:
    rehearsal.desk.execute(
        "insert into duty_shift (group_name, level, person, begin_at, end_at)"
        " values ('华东支持组', 2, 'E2', '2026-03-01 00:00+08', '2026-03-03 00:00+08')"
    )
    assert holders(rehearsal) == ["E2"]
    with rehearsal.work("11 12:00") as work:
        found = TicketStore(work).duty.candidates(GROUP, 2, on("11 12:00"), 5)
    assert sorted(one.person for one in found if one.on_duty) == ["E1", "E2"]
