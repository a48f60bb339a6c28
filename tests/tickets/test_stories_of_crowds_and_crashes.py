"""What happened to other desks when there was much to do, or when a process died (notes/tickets.md 2.4).

These stories are played by the service's own loops, on a real broker and database.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.words import TicketState
from eventkit import timers
from eventkit.firing import BATCH, TimerFiring
from eventkit.telemetry import ServiceMetrics
from eventkit.work import Work
from tests.eventkit.desk import Desk, eventually
from tests.tickets.stories import asked, told, types, update

SUPPORT = "support:\n  2: {target: 1h, auto: true}\n  3: {target: 8h}\ndefault_group"


class Killed(BaseException):
    """The process is gone: nothing after it runs, as with kill -9."""


def die(*_: Any) -> None:
    raise Killed


def fire_and_die(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fire a batch of timers in a process that dies before it has taken them away."""
    firing = TimerFiring(desk.definition, desk.engine, ServiceMetrics(desk.definition.name))
    with monkeypatch.context() as dying:
        dying.setattr(timers, "remove", die)
        with pytest.raises(Killed):
            firing.step()


def keep(desk: Desk, *events: Any) -> None:
    """Have the service take events in, without a process that would fire what is due."""
    with desk.engine.begin() as connection:
        work = Work(connection, source=desk.definition.source, now=datetime.now(UTC))
        for event in events:
            work.cause = event
            desk.definition.handlers[event.type].handle(work, event)
        work.flush()


def long_ago(ref: str, **span: float) -> Any:
    now = datetime.now(UTC)
    return asked(ref, time=now - timedelta(**span), arrived_at=now)


def armed(desk: Desk, kind: str) -> int:
    return int(desk.one("select count(*) from eventkit.timer where kind = :kind", kind=kind))


def test_a_miss_is_told_although_nobody_looks_at_the_ticket(tickets: Desk) -> None:
    # Frappe #3279: until 2026 no job looked for what was missed; a ticket said so when somebody opened it.
    tickets.start()
    tickets.publish(long_ago("ERP-1", minutes=59, seconds=59))
    eventually(lambda: "sla.breached" in types(tickets))
    [missed] = [data for kind, data in told(tickets) if kind == "sla.breached"]
    assert missed["target"] == "first_response"
    assert datetime.fromisoformat(missed["due_at"]) <= datetime.now(UTC)


def test_an_escalation_survives_the_process_that_dies_over_it(
    desk_under: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    # GLPI: the row of the level is deleted before the ticket is updated, so that a crash loses the escalation.
    desk = desk_under({"default_group": SUPPORT})
    keep(desk, long_ago("ERP-1", hours=1, minutes=1))
    fire_and_die(desk, monkeypatch)
    assert (desk.one("select support_level from ticket"), armed(desk, "sla_breach")) == (2, 3)
    assert not {"ticket.escalated", "sla.breached"} & set(types(desk))
    desk.start()
    eventually(lambda: "ticket.escalated" in types(desk))
    assert (desk.one("select support_level from ticket"), types(desk).count("ticket.escalated")) == (3, 1)


@pytest.fixture
def silent(tickets: Desk) -> Desk:
    """A desk with 420 solutions that nobody has answered in time."""
    refs = [f"ERP-{number}" for number in range(420)]
    keep(tickets, *(asked(ref) for ref in refs))
    keep(tickets, *(update(ref, 2, state=TicketState.RESOLVED, solution="重启") for ref in refs))
    tickets.fast_forward("silence")
    return tickets


def closed(desk: Desk) -> int:
    return int(desk.one("select count(*) from ticket where state = 'closed'"))


def test_four_hundred_and_twenty_tickets_are_closed_batch_by_batch(silent: Desk) -> None:
    # GLPI #336: the job that closes tickets runs into its time limit with 420 of them, and closes none.
    firing = TimerFiring(silent.definition, silent.engine, ServiceMetrics(silent.definition.name))
    assert closed(silent) == 0
    firing.step()
    # What is done stays done, whatever becomes of the rest.
    assert 0 < closed(silent) <= BATCH
    silent.start()
    eventually(lambda: closed(silent) == 420)
    assert (types(silent).count("ticket.closed"), armed(silent, "silence")) == (420, 0)


def test_closing_goes_on_when_a_process_died_over_it(silent: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    # GLPI #5558: a job that died stays "running", and no other one ever begins.
    fire_and_die(silent, monkeypatch)
    assert (closed(silent), armed(silent, "silence")) == (0, 420)
    silent.start()
    eventually(lambda: closed(silent) == 420)
    assert types(silent).count("ticket.closed") == 420
