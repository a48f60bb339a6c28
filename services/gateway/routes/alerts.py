"""The route of the monitoring: Alertmanager's webhook, whose alerts become events.

Alertmanager tries again after a 5xx and drops what is answered with a 4xx for good (notes/notify-metrics.md 0.7): a
database that is away must be a 503, and only what nobody can ever read is a 400, which is kept and counted.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from eventkit.errors import BadMessage
from services.gateway import alerts
from services.gateway.access import Permitted, Who, action, guarded_router, parts_of
from services.gateway.intake import HTTP
from services.gateway.models.events import AlertReceipt
from services.gateway.problems import Problem
from services.gateway.verdicts import Offer, refused

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "description": "Alertmanager's webhook, version 4", "required": ["alerts"]}
            }
        },
    }
}
router = guarded_router(tags=["alerts"])


async def read_body(request: Request) -> bytes:
    """Return the request's body."""
    return await request.body()


@router.post(
    "/v1/alerts",
    status_code=202,
    response_model=AlertReceipt,
    summary="接收告警",
    **action("alerts.report", problems=(400,), **_BODY),
)
def report_alerts(request: Request, who: Who, body: Annotated[bytes, Depends(read_body)]) -> Any:
    """Take a notification of Alertmanager; 202 when its alerts are committed, each announced once."""
    intake = parts_of(request).intake
    try:
        notification = alerts.read(body)
        outcomes = intake.announce(lambda now: alerts.accepted(notification, who.caller.name, now), HTTP)
    except BadMessage as bad:
        no = refused(_offer(request, who, body), who.caller.name, bad.field, bad.reason, status=400)
        intake.announce(lambda now: [no], HTTP)
        raise Problem.of_field(400, bad.field, bad.reason) from None
    repeats = sum(one.is_repeat for one in outcomes)
    return AlertReceipt(accepted=len(outcomes) - repeats, repeated=repeats)


def _offer(request: Request, who: Permitted, body: bytes) -> Offer:
    content_type = request.headers.get("content-type", "")
    return Offer(door=HTTP, content_type=content_type, headers=(), body=body, publisher=who.caller.name)
