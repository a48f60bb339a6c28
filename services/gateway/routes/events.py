"""The routes of publishers: send events, and ask what became of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Request

from eventkit.envelope import encode_data, to_headers
from eventkit.errors import BadMessage, LiaisonError
from services.gateway import binding
from services.gateway.access import Who, action, guarded_router, parts_of
from services.gateway.intake import HTTP
from services.gateway.models.events import EventReport, EventVerdict, Verdicts
from services.gateway.parts import Parts
from services.gateway.problems import FieldProblem, Problem
from services.gateway.rules import BEHIND_THE_DOOR
from services.gateway.storage import accepted_event, last_refusal
from services.gateway.usecases import Outcome
from services.gateway.verdicts import Accepted, Offer, Refused

_STATE_DEADLINE_S = 1.0
_EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "time"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "maxLength": 255},
        "source": {"type": "string", "description": "the publisher's own source, such as /erp"},
        "type": {"type": "string", "description": "one of the publisher's own types, or a canonical one"},
        "time": {"type": "string", "format": "date-time"},
        "subject": {"type": "string"},
        "externalref": {"type": "string", "description": "your business key: a second request is an occurrence"},
        "partitionkey": {"type": "string"},
        "traceparent": {"type": "string"},
        "data": {"type": "object"},
    },
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/cloudevents+json": {"schema": _EVENT},
            binding.BATCH_TYPE: {
                "schema": {"type": "array", "maxItems": binding.MAX_BATCH_EVENTS, "items": _EVENT},
            },
            "application/json": {"schema": {"type": "object", "description": "the data; attributes in ce- headers"}},
        },
    }
}
router = guarded_router(tags=["events"])


async def read_body(request: Request) -> bytes:
    """Return the request's body, cut off one byte past the largest that is taken."""
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > binding.MAX_BATCH_BYTES:
            break
    return bytes(found[: binding.MAX_BATCH_BYTES + 1])


@router.post(
    "/v1/events",
    status_code=202,
    response_model=Verdicts,
    response_model_exclude_none=True,
    summary="发布事件",
    **action("events.publish", problems=(400, 413, 415, 422), **_BODY),
)
def publish(request: Request, who: Who, body: Annotated[bytes, Depends(read_body)], dry_run: bool = False) -> Any:
    """Take a CloudEvent (binary or structured mode) or a batch of them; 202 when what was accepted is committed.

    A batch is decided event by event: the good ones are accepted, and the answer is 202 with a verdict for each as
    long as one was accepted, 422 when none was. `dry_run=true` changes nothing and shows the canonical form.
    """
    parts = parts_of(request)
    offers, is_batch = _offers(request, who.caller.name, body)
    outcomes = parts.intake.preview(offers) if dry_run else parts.intake.receive(offers, HTTP)
    if outcomes and all(isinstance(one.verdict, Refused) for one in outcomes):
        raise _refusal(outcomes, is_batch)
    return Verdicts(verdicts=[_shown(index, one, dry_run) for index, one in enumerate(outcomes)])


def _offers(request: Request, publisher: str, body: bytes) -> tuple[list[Offer], bool]:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem.of_field(415, "content-encoding", "only plain bodies are taken")
    content_type = request.headers.get("content-type", "")
    headers = tuple((name, value) for name, value in request.headers.raw if name.lower().startswith(b"ce-"))
    traceparent = request.headers.get("traceparent")
    if content_type.lower().partition(";")[0].strip() != binding.BATCH_TYPE:
        one = Offer(
            door=HTTP,
            content_type=content_type,
            headers=headers,
            body=body,
            publisher=publisher,
            traceparent=traceparent,
        )
        return [one], False
    try:
        bodies = binding.split_batch(body)
    except BadMessage as bad:
        raise Problem.of_field(413 if bad.field == "batch" else 400, bad.field, bad.reason) from None
    return [
        Offer(
            door=HTTP,
            content_type="application/cloudevents+json",
            headers=(),
            body=one,
            publisher=publisher,
            traceparent=traceparent,
        )
        for one in bodies
    ], True


def _refusal(outcomes: Sequence[Outcome], is_batch: bool) -> Problem:
    refusals = [one.verdict for one in outcomes if isinstance(one.verdict, Refused)]
    errors = [
        FieldProblem(index=index if is_batch else None, field=one.field, reason=one.reason)
        for index, one in enumerate(refusals)
    ]
    first = f"{refusals[0].field}: {refusals[0].reason}"
    if is_batch:
        return Problem(422, f"none of {len(refusals)} events was accepted; the first: {first}", errors)
    return Problem(refusals[0].status, first, errors)


def _shown(index: int, outcome: Outcome, dry_run: bool) -> EventVerdict:
    verdict = outcome.verdict
    if isinstance(verdict, Refused):
        return EventVerdict(
            index=index, id=verdict.event_id, verdict="refused", field=verdict.field, reason=verdict.reason
        )
    word: Any = "repeated" if outcome.is_repeat else "accepted"
    return EventVerdict(
        index=index, id=verdict.event.id, verdict=word, event=canonical_form(verdict) if dry_run else None
    )


def canonical_form(verdict: Accepted) -> dict[str, Any]:
    """Return an accepted event as structured JSON, in the form in which the services will see it."""
    attributes = {name.removeprefix("ce-"): value for name, value in to_headers(verdict.event).items()}
    data = msgspec.json.decode(encode_data(verdict.event.data))
    return attributes | {"datacontenttype": "application/json", "data": data}


@router.get(
    "/v1/publishers/me/events/{event_id:path}",
    response_model=EventReport,
    response_model_exclude_none=True,
    summary="查询事件的处理结果",
    **action("events.read", problems=(404,)),
)
def read_event(request: Request, who: Who, event_id: str) -> Any:
    """Tell what became of an event: accepted and handled by whom, or refused and why."""
    parts = parts_of(request)
    name = who.caller.name
    found = parts.read(lambda connection: accepted_event(connection, name, event_id))
    refusal = None if found else parts.read(lambda connection: last_refusal(connection, name, event_id))
    if found is not None:
        states, reasons = _handled_by(parts, found.source, event_id)
        return EventReport(
            id=event_id,
            verdict="accepted",
            type=found.type,
            becomes=found.becomes,
            arrived_at=found.arrived_at,
            repeats=found.repeats,
            handled_by=states,
            reasons=reasons,
        )
    if refusal is None:
        raise Problem.of_field(404, "id", "no event of this id has arrived from you")
    return EventReport(
        id=event_id,
        verdict="refused",
        type=refusal.type,
        refused_at=refusal.refused_at,
        field=refusal.field,
        reason=refusal.reason,
    )


def _handled_by(parts: Parts, source: str, event_id: str) -> tuple[dict[str, str], dict[str, str]]:
    asked = {name: parts.askers.submit(_state_in, parts, name, source, event_id) for name in BEHIND_THE_DOOR}
    answers = {name: future.result() for name, future in asked.items()}
    reasons = {name: reason for name, (_, reason) in answers.items() if reason}
    return {name: state for name, (state, _) in answers.items()}, reasons


def _state_in(parts: Parts, service: str, source: str, event_id: str) -> tuple[str, str | None]:
    try:
        arguments = {"source": source, "id": event_id}
        found = parts.rpc.call(service, "event_state", arguments, deadline_s=_STATE_DEADLINE_S)
    except LiaisonError:
        return "unknown", None
    return (found["state"], found.get("reason")) if found else ("not_seen", None)
