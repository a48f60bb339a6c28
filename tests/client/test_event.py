"""What an application writes is checked before it is kept, with the field and the reason."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pika
import pytest
from liaison_client import BadEvent, Event, new_id
from liaison_client.event import MAX_EVENT_BYTES, MAX_EXTENSIONS, MAX_NAME_BYTES, pack
from liaison_client.facts import AwaySpan, PersonChanged, TicketRequested

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("event", "field", "reason"),
    [
        pytest.param(Event("crm.x", {}, id=""), "id", "required", id="no id"),
        pytest.param(Event("crm.x", {}, id="号" * 86), "id", "255 bytes", id="a long id in bytes"),
        pytest.param(Event("crm.x", {}, id="a\x00"), "id", "control", id="an id with NUL"),
        pytest.param(Event("", {}), "type", "required", id="no type"),
        pytest.param(Event("crm case", {}), "type", "words", id="a type with a space"),
        pytest.param(Event("crm.*", {}), "type", "words", id="a pattern as a type"),
        pytest.param(Event("crm.x", {}, subject=""), "subject", "leave it out", id="an empty subject"),
        pytest.param(Event("crm.x", {}, externalref=7), "externalref", "int", id="a number as a key"),  # type: ignore[arg-type]  # What the test is about.
        pytest.param(Event("crm.x", {}, time=datetime(2026, 3, 2)), "time", "time zone", id="a naive time"),  # noqa: DTZ001
        pytest.param(Event("crm.x", {}, extensions={"Case": "x"}), "extensions", "'Case'", id="a bad extension"),
        pytest.param(Event("crm.x", {}, extensions={"subject": "x"}), "extensions", "'subject'", id="a hidden one"),
        pytest.param(
            Event("crm.x", {}, extensions={f"n{n}": "x" for n in range(MAX_EXTENSIONS + 1)}),
            "extensions",
            "65 further attributes; an event may have 64",
            id="more attributes than a frame may hold",
        ),
        pytest.param(Event("crm.x", {"a": object()}), "data", "object", id="data that is not JSON"),
        pytest.param(Event("crm.x", {"a": float("nan")}), "data", "JSON", id="a number that JSON lacks"),
        pytest.param(Event("crm.x", {"a": "\x00"}), "data", "U+0000", id="a text with NUL"),
        pytest.param(Event("crm.x", {"a": "\ud800"}), "data", "JSON", id="half a character"),
        pytest.param(Event("crm.x", {"at": datetime(2026, 3, 2)}), "data", "time zone", id="a naive moment inside"),  # noqa: DTZ001
        pytest.param(Event("crm.x", "x" * MAX_EVENT_BYTES), "data", "65536", id="too large"),
    ],
)
def test_what_the_door_would_refuse_is_not_taken(event: Event, field: str, reason: str) -> None:
    with pytest.raises(BadEvent, match=re.escape(reason)) as refused:
        pack(event, "/crm")
    assert refused.value.field == field


def test_the_largest_event_is_taken() -> None:
    assert len(pack(Event("crm.x", "x" * (MAX_EVENT_BYTES - 2)), "/crm").body) == MAX_EVENT_BYTES


def test_the_largest_attributes_that_are_taken_fit_into_a_frame() -> None:
    longest = "x" * MAX_NAME_BYTES
    texts: dict[str, Any] = dict.fromkeys(
        ("id", "source", "subject", "externalref", "partitionkey", "actor", "traceparent"), longest
    )
    further = {f"{n:020d}": longest for n in range(MAX_EXTENSIONS)}
    packed = pack(Event(longest, {}, history=True, extensions=further, **texts), "/crm")
    properties = pika.BasicProperties(headers=dict(packed.headers), message_id=packed.id, type=packed.type)
    assert len(pika.frame.Header(1, len(packed.body), properties).marshal()) < 128 * 1024


def test_an_event_travels_in_binary_mode() -> None:
    person = PersonChanged(
        employee_number="E1",
        version=3,
        name="王芳",
        away=[AwaySpan(begin_at=NOW, end_at=NOW)],
        joined_on=date(2026, 1, 2),
    )
    packed = pack(
        Event.of(person, id="p1", time=NOW.astimezone(timezone(timedelta(hours=8))), subject="E1", history=True), "/hr"
    )
    assert packed.headers == {
        "ce-specversion": "1.0",
        "ce-id": "p1",
        "ce-source": "/hr",
        "ce-type": "liaison.person.changed.v1",
        "ce-time": "2026-03-02T09:30:00Z",
        "ce-subject": "E1",
        "ce-history": "true",
    }
    assert json.loads(packed.body) == {
        "employee_number": "E1",
        "version": 3,
        "name": "王芳",
        "away": [{"begin_at": "2026-03-02T09:30:00Z", "end_at": "2026-03-02T09:30:00Z"}],
        "joined_on": "2026-01-02",
    }


def test_an_id_is_made_once_and_rises_with_time() -> None:
    event = Event.of(TicketRequested(title="x"))
    assert pack(event, "/crm").id == pack(event, "/crm").id == event.id
    made = [uuid.UUID(new_id()) for _ in range(1000)]
    assert {(one.version, one.variant) for one in made} == {(7, uuid.RFC_4122)}
    assert len(set(made)) == 1000
    moments_ms = [one.int >> 80 for one in made]
    assert moments_ms == sorted(moments_ms)
    assert abs(moments_ms[0] / 1000 - datetime.now(UTC).timestamp()) < 60


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ([], "event"),
        ({"data": {}}, "type"),
        ({"type": "crm.x", "specversion": "0.3"}, "specversion"),
        ({"type": "crm.x", "time": "yesterday"}, "time"),
        ({"type": "crm.x", "time": "2026-03-02T10:00:00"}, "time"),
        ({"type": "crm.x", "data_base64": "eA=="}, "data_base64"),
        ({"type": "crm.x", "more": [1]}, "more"),
    ],
)
def test_a_json_event_is_checked(given: Any, field: str) -> None:
    with pytest.raises(BadEvent) as refused:
        Event.from_json(given)
    assert refused.value.field == field


def test_a_json_event_keeps_what_it_says() -> None:
    given = {"specversion": "1.0", "id": "1", "source": "/crm", "type": "crm.x", "time": "2026-03-02T17:30:00+08:00"}
    packed = pack(Event.from_json({**given, "externalref": "k", "tenant": 7, "data": [1]}), "/other")
    assert packed.headers["ce-source"] == "/crm"
    assert packed.headers["ce-time"] == "2026-03-02T09:30:00Z"
    assert (packed.headers["ce-externalref"], packed.headers["ce-tenant"], packed.body) == ("k", "7", b"[1]")
