"""`liaison dead` shows what waits for a person, and lets the person decide."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from contracts.gateway import TicketRequested
from eventkit.envelope import Event, encode_data, to_headers
from eventkit.errors import RuleBroken
from eventkit.handling import EventHandling
from eventkit.inbox import receive
from eventkit.telemetry import ServiceMetrics
from eventkit.work import Work
from tests.eventkit.desk import definition, request


def refuse(work: Work, event: Event[TicketRequested]) -> None:
    raise RuleBroken("nobody teaches that")


def accept(work: Work, event: Event[TicketRequested]) -> None:
    """Take everything."""


def handling(engine: Engine, handle: Any) -> EventHandling:
    return EventHandling(definition("training", handle), engine, ServiceMetrics("training"))


def rows(engine: Engine, statement: str) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(statement)).all())


def states(engine: Engine) -> list[str]:
    """Return what became of the events, in the order in which they were emitted (an id rises with time)."""
    return [row.state for row in rows(engine, "select state from eventkit.inbox order by id")]


@pytest.fixture
def number(training: Engine) -> str:
    """The number of an event that is dead; another one waits behind it."""
    events = [request("A", 1, "课程"), request("A", 2)]
    handling(training, refuse).handle([receive(to_headers(event), encode_data(event.data)) for event in events])
    assert states(training) == ["dead", "held"]
    [row] = rows(training, "select position from eventkit.held_event where state = 'dead'")
    return str(row.position)


def test_dead_events_are_listed_with_their_reason_and_how_many_wait(liaison: Any, number: str) -> None:
    result = liaison("dead", "list")
    assert result.exit_code == 0
    [line] = [line for line in result.output.splitlines() if "training" in line]
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert [*cells[:5], *cells[6:]] == [
        "training",
        number,
        TicketRequested.TYPE,
        "/erp",
        "dead",
        "1",
        "RuleBroken: nobody teaches that",
    ]


def test_those_that_wait_by_themselves_are_listed_when_asked_for(liaison: Any, number: str) -> None:
    assert "waits behind" not in liaison("dead", "list").output
    assert "waits behind" in liaison("dead", "list", "--held").output


def test_an_event_is_shown_with_its_headers_its_bytes_and_why(liaison: Any, number: str) -> None:
    output = liaison("dead", "show", "training", number).output
    assert "RuleBroken: nobody teaches that" in output
    assert "waiting behind it: 1" in output
    assert f'"ce-type": "{TicketRequested.TYPE}"' in output
    assert '"title":"课程"' in output


def test_a_replayed_event_is_tried_again_in_its_place(liaison: Any, training: Engine, number: str) -> None:
    assert liaison("dead", "replay", "training", number).exit_code == 0
    assert states(training) == ["held", "held"]
    handling(training, accept).drain()
    assert states(training) == ["handled", "handled"]


def test_an_event_is_discarded_only_after_a_yes(liaison: Any, training: Engine, number: str) -> None:
    refused = liaison("dead", "discard", "training", number, answer="n\n")
    assert (refused.exit_code, "never take effect" in refused.output) == (1, True)
    assert states(training) == ["dead", "held"]
    assert liaison("dead", "discard", "training", number, "--yes").exit_code == 0
    handling(training, accept).drain()
    assert states(training) == ["discarded", "handled"]


@pytest.mark.parametrize("verb", [["show"], ["replay"], ["discard", "--yes"]])
def test_a_number_that_nobody_has_is_refused(liaison: Any, training: Engine, verb: list[str]) -> None:
    result = liaison("dead", *verb, "training", "0")
    assert (result.exit_code, "dead event 0" in result.output) == (1, True)


def test_a_service_that_there_is_not_is_refused(liaison: Any) -> None:
    result = liaison("dead", "show", "payroll", "1")
    assert (result.exit_code, "payroll" in result.output) == (2, True)
