"""Promise 2 with two windows under way: everything leaves once, in order, also what was committed late."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from contracts.tickets import TicketOpened
from contracts.words import Channel, TicketState
from eventkit import outbox, relay
from eventkit.work import Work
from tests.eventkit.desk import eventually
from tests.eventkit.test_relay import received


def tell(work: Work, subject: str) -> None:
    """Announce that something was opened."""
    fact = TicketOpened(
        number=subject, title=subject, state=TicketState.NEW, priority=3, channel=Channel.WEB, opened_at=work.now
    )
    work.emit(fact, subject=subject)


def write(service: Any, subjects: list[str]) -> None:
    """Commit one event for each subject."""
    with service.engine.begin() as connection:
        work = Work(connection, source="/test", now=connection.execute(text("select now()")).scalar_one())
        for subject in subjects:
            tell(work, subject)
        work.flush()


def test_more_than_two_windows_leave_once_and_in_order(desk: Any) -> None:
    service = desk()
    tap = service.open_tap()
    subjects = [f"S{number}" for number in range(3 * relay.WINDOW + 7)]
    write(service, subjects)
    service.start()
    found = [one["ce-subject"] for one in received(service, tap, len(subjects))]
    assert found == subjects
    eventually(lambda: service.one("select count(*) from eventkit.outbox where sent_at is null") == 0)
    assert service.one("select count(*) from eventkit.outbox") == len(subjects)


def test_what_is_on_its_way_is_not_read_again_and_what_was_committed_late_is(desk: Any) -> None:
    service = desk()
    write(service, ["A", "B", "C"])
    with service.engine.connect() as connection:
        first = outbox.unsent(connection, limit=2)
        rest = outbox.unsent(connection, limit=10, besides=[row.position for row in first])
        late = outbox.unsent(connection, limit=10, besides=[row.position for row in rest])
    assert [row.headers["ce-subject"] for row in first] == ["A", "B"]
    assert [row.headers["ce-subject"] for row in rest] == ["C"]
    assert [row.headers["ce-subject"] for row in late] == ["A", "B"]
