"""`liaison events` shows what the journal holds: the newest, one subject's life, one event whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.gateway import TicketRequested
from eventkit.envelope import Event, new_id
from liaison.installation import Installation
from tests.eventkit.desk import reported
from tests.metrics.house import House

START = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def journalled(databases: Installation) -> list[Event[Any]]:
    """Three events in the journal: two of one subject, one of another and from elsewhere."""
    mark = new_id()[-8:]
    subjects = [(f"A{mark}", "/erp"), (f"B{mark}", f"/oa{mark}"), (f"A{mark}", "/erp")]
    house = House(databases.database_uri("metrics"))
    events = []
    for number, (subject, source) in enumerate(subjects):
        fact = TicketRequested(title=f"打印机 {number}")
        event = reported(fact, subject, number, source, time=START + timedelta(minutes=number))
        house.hand_in([event])
        events.append(event)
    house.engine.dispose()
    return events


def ids(output: str, events: list[Event[Any]]) -> list[str]:
    """Return the ids of these events that an output names, in its order."""
    return sorted((event.id for event in events if event.id in output), key=output.index)


def test_a_subjects_life_is_listed_from_its_beginning(liaison: Any, journalled: list[Event[Any]]) -> None:
    first, other, last = journalled
    result = liaison("events", "list", "--subject", first.subject)
    assert result.exit_code == 0
    assert ids(result.output, journalled) == [first.id, last.id]
    assert "ticket.requested" in result.output
    assert first.time.astimezone().strftime("%Y-%m-%d %H:%M") in result.output
    assert other.subject not in result.output


def test_the_newest_events_come_first_and_as_many_as_asked_for(liaison: Any, journalled: list[Event[Any]]) -> None:
    _, other, last = journalled
    assert ids(liaison("events", "list", "--limit", "2").output, journalled) == [last.id, other.id]


def test_events_are_listed_by_source_and_by_type(liaison: Any, journalled: list[Event[Any]]) -> None:
    _, other, _ = journalled
    assert ids(liaison("events", "list", "--source", other.source).output, journalled) == [other.id]
    assert ids(liaison("events", "list", "--type", TicketRequested.TYPE).output, journalled)
    assert not ids(liaison("events", "list", "--type", "liaison.ticket.closed.v1").output, journalled)


def test_an_event_is_shown_whole(liaison: Any, journalled: list[Event[Any]]) -> None:
    _, other, _ = journalled
    result = liaison("events", "show", other.id)
    assert result.exit_code == 0
    assert f'"ce-subject": "{other.subject}"' in result.output
    assert '"title": "打印机 1"' in result.output


def test_an_event_that_the_journal_does_not_know_is_said_to_be_unknown(liaison: Any, databases: Installation) -> None:
    result = liaison("events", "show", "nothing")
    assert (result.exit_code, "no event nothing in the journal" in result.output) == (1, True)


def test_a_subjects_life_is_whole_however_long_it_is(liaison: Any, databases: Installation) -> None:
    subject = new_id()[-8:]
    house = House(databases.database_uri("metrics"))
    life = [reported(TicketRequested(title="打印机"), subject, number) for number in range(60)]
    house.hand_in(life)
    house.engine.dispose()
    assert len(ids(liaison("events", "list", "--subject", subject).output, life)) == 60
    assert len(ids(liaison("events", "list").output, life)) == 50
