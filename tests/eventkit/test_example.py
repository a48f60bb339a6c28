"""The service that ARCHITECTURE.md shows whole does what the words around it say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from nameko.containers import ServiceContainer
from sqlalchemy import Engine, text

from contracts.fact import Fact
from contracts.tickets import TicketResolved
from contracts.words import Channel, TicketState
from eventkit.calling import JobCalling
from eventkit.definition import Done, Failed, ServiceDefinition, Unknown
from eventkit.envelope import Event, encode_data, to_headers
from eventkit.firing import TimerFiring
from eventkit.handling import EventHandling
from eventkit.inbox import receive
from eventkit.service import Outside, Stored, define, definition_from, fires, handles, records
from eventkit.telemetry import ServiceMetrics
from eventkit.timers import Timer
from eventkit.work import Work
from tests.eventkit.desk import Desk, reported

ARCHITECTURE = Path(__file__).resolve().parents[2] / "ARCHITECTURE.md"


class ThanksPlanned(Fact, frozen=True, kw_only=True):
    """Somebody will be thanked."""

    TYPE: ClassVar[str] = "liaison.thanks.planned.v1"

    number: str


class Post:
    """Sends nothing, and remembers what it was asked to send."""

    sent: ClassVar[list[str]] = []

    def __init__(self, environment: Mapping[str, str], engine: Engine) -> None:
        self.sent.clear()

    def send(self, number: str) -> str:
        self.sent.append(number)
        return "250 kept"


class ThanksStore:
    """Notes what came of the thanks. noted: (number, outcome)."""

    noted: ClassVar[list[tuple[str, Done | Failed | Unknown]]] = []

    def __init__(self, work: Work) -> None:
        self.work = work

    def note(self, number: str, outcome: Done | Failed | Unknown) -> None:
        self.noted.append((number, outcome))


@pytest.fixture(scope="module")
def thanks_service() -> type:
    """The class as it stands in the document, with the names that it takes for granted."""
    [block] = [
        code
        for code in re.findall(r"```python\n(.*?)```", ARCHITECTURE.read_text("utf-8"), re.DOTALL)
        if "class ThanksService" in code
    ]
    known = (Stored, Outside, handles, fires, records, Event, Timer, Done, Failed, Unknown, timedelta)
    names: dict[str, Any] = {each.__name__: each for each in (*known, TicketResolved, ThanksPlanned, ThanksStore, Post)}
    exec(compile(block, str(ARCHITECTURE), "exec"), names | {"__name__": __name__}, names)
    found: type = names["ThanksService"]
    return found


def test_it_is_defined_as_the_document_says(thanks_service: type) -> None:
    definition = define(thanks_service)
    assert (definition.name, definition.source) == ("thanks", "/liaison/thanks")
    assert list(definition.handlers) == [TicketResolved.TYPE]
    assert definition.handlers[TicketResolved.TYPE].emits == {ThanksPlanned}
    assert list(definition.effects) == ["thank"]
    assert list(definition.jobs) == ["send_thanks"]
    assert not definition.jobs["send_thanks"].repeat_after_crash
    assert definition.methods == {}


def test_people_are_thanked_once_a_minute_after_their_ticket_was_solved(
    thanks_service: type, desk: Callable[..., Desk]
) -> None:
    service = desk()
    definition = reaching_outside(thanks_service, service.engine)
    # Given a solved ticket, told twice
    event = reported(solved("T1"), "T1", source="/liaison/tickets")
    handling = EventHandling(definition, service.engine, ServiceMetrics("thanks"))
    handling.handle([receive(to_headers(event), encode_data(event.data)) for _ in range(2)])
    assert [row.type for row in service.rows("select type from eventkit.outbox")] == [ThanksPlanned.TYPE]
    # Then nothing happens before a minute is over
    firing = TimerFiring(definition, service.engine, ServiceMetrics("thanks"))
    calling = JobCalling(definition, service.engine, ServiceMetrics("thanks"))
    firing.step()
    calling.step()
    assert Post.sent == []
    assert 0 < service.one("select extract(epoch from due_at - now()) from eventkit.timer") <= 60
    # And once when it is
    ThanksStore.noted.clear()
    with service.engine.begin() as connection:
        connection.execute(text("update eventkit.timer set due_at = due_at - interval '1 minute'"))
    for _ in range(2):
        firing.step()
        calling.step()
    assert Post.sent == ["T1"]
    assert ThanksStore.noted == [("T1", Done("250 kept"))]
    assert service.one("select count(*) from eventkit.timer") == 0


def solved(number: str) -> TicketResolved:
    now = datetime.now(UTC)
    return TicketResolved(
        number=number,
        title="",
        state=TicketState.RESOLVED,
        priority=3,
        channel=Channel.WEB,
        opened_at=now,
        resolved_at=now,
    )


def reaching_outside(service_class: type, engine: Engine) -> ServiceDefinition:
    """Define a service whose calls to the outside can be made, as hosting it would let them."""
    container = ServiceContainer(service_class, {})
    process: Any = SimpleNamespace(glance=engine)
    for provider in container.dependencies:
        if isinstance(provider, Outside):
            provider.attach(process)
    return definition_from(container)
