"""A call belongs to the trace of the request that asked for it, or begins one."""

from __future__ import annotations

import re

import pytest

from tests.gateway.desk_stub import Tickets
from tests.gateway.door import Door

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_VALID = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01")


def test_a_call_carries_the_trace_of_its_request(door: Door, tickets: Tickets) -> None:
    answer = door.ask("POST", "/v1/tickets", door.token("admin"), {"title": "x"}, traceparent=TRACE)
    assert answer.status_code == 201
    assert tickets.traces == [TRACE]


@pytest.mark.parametrize("given", [{}, {"traceparent": "00-not-a-trace-01"}], ids=["none", "malformed"])
def test_a_request_without_a_trace_begins_one_of_its_own(door: Door, tickets: Tickets, given: dict[str, str]) -> None:
    token = door.token("admin")
    for _ in range(2):
        door.ask("POST", "/v1/tickets", token, {"title": "x"}, **given)
    first, second = tickets.traces
    assert _VALID.fullmatch(first or "")
    assert _VALID.fullmatch(second or "")
    assert first != second


def test_an_anonymous_call_does_not_carry_a_trace_that_leads_to_the_caller(door: Door, tickets: Tickets) -> None:
    body = {"text": "慢", "anonymous": True}
    door.ask("POST", "/v1/feedback", door.token("requester", person="E7"), body, traceparent=TRACE)
    [trace] = tickets.traces
    assert _VALID.fullmatch(trace or "")
    assert trace != TRACE
