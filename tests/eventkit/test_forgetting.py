"""What a forgotten person wrote neither stays in what eventkit keeps nor leaves it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from contracts.tickets import TicketCommented, TicketReopened
from contracts.words import Channel, TicketState
from eventkit.definition import Handler
from eventkit.envelope import Event, encode_data, to_headers
from eventkit.errors import BadMessage, Unavailable
from eventkit.forgetting import forget
from eventkit.handling import EventHandling
from eventkit.inbox import receive
from eventkit.telemetry import ServiceMetrics
from eventkit.work import Work
from tests.eventkit.desk import Desk, reported

WORDS = "我是龙傲天"
AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
TICKET: dict[str, Any] = {
    "number": "T-1",
    "title": "打印机坏了",
    "state": TicketState.NEW,
    "priority": 3,
    "channel": Channel.WEB,
    "opened_at": AT,
    "requester": "E7",
}
SAID = (
    TicketCommented(comment_id="c-1", text=WORDS, **TICKET),
    TicketReopened(reopened_at=AT, reason=WORDS, **TICKET),
)


def refuse(work: Work, event: Event[Any]) -> None:
    raise BadMessage("planted")


@pytest.fixture
def service(desk: Callable[..., Desk]) -> Desk:
    """A service that does not run, and that would take every word for a bad message."""
    return desk(handlers={type(fact).TYPE: Handler(type(fact), refuse) for fact in SAID})


def kept(service: Desk, table: str, column: str) -> int:
    """Return in how many rows the words still stand."""
    statement = f"select count(*) from eventkit.{table} where position(convert_to(:words, 'UTF8') in {column}) > 0"
    return int(service.one(statement, words=WORDS))


@pytest.mark.parametrize("number", ["E4", "E7"], ids=["the writer", "the requester"])
def test_nobody_is_forgotten_while_their_words_are_still_on_their_way(service: Desk, number: str) -> None:
    # Given words that wait for the broker
    with service.engine.begin() as connection:
        work = Work(connection, source="/liaison/tickets", now=AT)
        for fact in SAID:
            work.emit(fact, subject="T-1", actor="E4")
        work.flush()
    # Then they would reach those who have forgotten the person by then
    with pytest.raises(Unavailable, match="on its way"):
        forget(service.engine, number, ())
    assert forget(service.engine, "E9", ()) == 0
    # When they have left, nothing of them stays
    with service.engine.begin() as connection:
        connection.execute(text("update eventkit.outbox set sent_at = now()"))
    assert kept(service, "outbox", "payload") == 2
    assert forget(service.engine, number, ()) == 2
    assert kept(service, "outbox", "payload") == 0


@pytest.mark.parametrize("number", ["E4", "E7"], ids=["the writer", "the requester"])
def test_what_a_forgotten_person_wrote_is_in_no_dead_event(service: Desk, number: str) -> None:
    events = [reported(fact, f"T-{n}", source="/liaison/tickets", actor="E4") for n, fact in enumerate(SAID, 1)]
    handling = EventHandling(
        service.definition, service.engine, ServiceMetrics(service.definition.name), lambda work: None
    )
    handling.handle([receive(to_headers(event), encode_data(event.data)) for event in events])
    dead = "select count(*) from eventkit.held_event where state = 'dead'"
    assert (service.one(dead), kept(service, "held_event", "body")) == (2, 2)
    assert forget(service.engine, number, ()) == 2
    assert (service.one(dead), kept(service, "held_event", "body")) == (2, 0)
