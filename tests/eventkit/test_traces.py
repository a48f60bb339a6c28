"""Whatever an event or a call sets off, now or later, belongs to its trace."""

from __future__ import annotations

from collections.abc import Mapping
from time import time
from typing import Any

import msgspec
from sqlalchemy import text

from contracts.gateway import TicketRequested
from contracts.tickets import TicketOpened
from eventkit.calling import JobCalling
from eventkit.definition import Done, Effect, Failed, Job, Method, Unknown
from eventkit.envelope import Event, encode_data, to_headers
from eventkit.firing import TimerFiring
from eventkit.handling import EventHandling
from eventkit.inbox import receive
from eventkit.rpc import Call, MethodCalling
from eventkit.telemetry import ServiceMetrics
from eventkit.timers import Timer
from eventkit.work import Work
from tests.eventkit.desk import Desk, opened, request

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TELLS = frozenset({TicketOpened})
OTHER = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"


def tell(work: Work, subject: str, step: str) -> None:
    work.emit(opened(request(subject, 1, step)), subject=subject)


def open_and_arm(work: Work, event: Event[TicketRequested]) -> None:
    tell(work, event.subject, "opened")
    work.arm("ring", key=event.subject, subject=event.subject, due_at=work.now, payload={})


def resolve_and_post(work: Work, timer: Timer) -> None:
    tell(work, timer.subject, "resolved")
    work.job("post", key=timer.key, subject=timer.subject, payload={})


def close(work: Work, job: Timer, outcome: Done | Failed | Unknown) -> None:
    tell(work, job.subject, "closed")


def open_by_call(work: Work, arguments: Mapping[str, Any]) -> None:
    open_and_arm(work, request(arguments["number"], 1))


class Steps:
    """A service whose loops are taken one step at a time."""

    def __init__(self, desk: Any) -> None:
        self.desk: Desk = desk(
            handle=open_and_arm,
            effects={"ring": Effect("ring", resolve_and_post, emits=TELLS)},
            jobs={"post": Job("post", lambda job: None, close, repeat_after_crash=True, emits=TELLS)},
            methods={"open": Method("open", open_by_call, is_command=True, emits=TELLS)},
        )

    def handle(self, **trace_of: str | None) -> None:
        """Handle an event for each subject in one batch."""
        events = [
            msgspec.structs.replace(request(subject, 1), traceparent=trace) for subject, trace in trace_of.items()
        ]
        metrics = ServiceMetrics("traces")
        handling = EventHandling(self.desk.definition, self.desk.engine, metrics)
        handling.handle([receive(to_headers(event), encode_data(event.data)) for event in events])

    def call(self, number: str, trace: str | None) -> None:
        calling = MethodCalling(self.desk.definition, self.desk.engine, lambda work: None)
        # As it goes over the wire.
        sent = msgspec.json.encode(Call("open", {"number": number}, time() + 60, traceparent=trace))
        assert calling.answer(msgspec.json.decode(sent, type=Call)).error is None

    def go_on(self) -> None:
        """Fire the timers that are due, then make and record the calls."""
        TimerFiring(self.desk.definition, self.desk.engine, ServiceMetrics("traces")).step()
        JobCalling(self.desk.definition, self.desk.engine, ServiceMetrics("traces")).step()

    def told(self) -> list[tuple[str, str, str | None]]:
        """Return subject, step and trace of everything emitted, by subject, in order."""
        rows = self.desk.rows(
            "select aggregateid as subject, convert_from(payload, 'UTF8')::json ->> 'title' as step,"
            " headers ->> 'ce-traceparent' as trace from eventkit.outbox order by aggregateid, position"
        )
        return [(row.subject, row.step, row.trace) for row in rows]


def test_what_an_event_sets_off_carries_its_trace_through_timers_and_jobs(desk: Any) -> None:
    steps = Steps(desk)
    # Given events of two traces and of none, whose timers and jobs share transactions
    steps.handle(A=TRACE, B=None, C=OTHER)
    steps.go_on()
    assert steps.told() == [
        (subject, step, trace)
        for subject, trace in (("A", TRACE), ("B", None), ("C", OTHER))
        for step in ("opened", "resolved", "closed")
    ]


def test_what_a_call_sets_off_carries_the_trace_of_the_call(desk: Any) -> None:
    steps = Steps(desk)
    steps.call("A", TRACE)
    steps.call("B", None)
    steps.go_on()
    assert [trace for subject, _, trace in steps.told()] == [TRACE] * 3 + [None] * 3


def test_a_timer_that_is_armed_anew_belongs_to_who_armed_it_last(desk: Any) -> None:
    steps = Steps(desk)
    steps.call("A", TRACE)
    steps.call("A", OTHER)
    steps.go_on()
    assert [trace for _, _, trace in steps.told()] == [TRACE, OTHER, OTHER, OTHER]
    assert steps.desk.one("select count(*) from eventkit.timer") == 0


def test_a_timer_of_the_release_before_fires_without_a_trace(desk: Any) -> None:
    steps = Steps(desk)
    with steps.desk.engine.begin() as connection:
        columns = "(kind, key, subject, due_at, payload)"
        connection.execute(text(f"insert into eventkit.timer {columns} values ('ring', 'A', 'A', now(), '{{}}')"))
    steps.go_on()
    assert steps.told() == [("A", "resolved", None), ("A", "closed", None)]
