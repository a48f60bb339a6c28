"""What Alertmanager's webhook (version 4) says, as events. Pure: it reads no clock and no database.

Alertmanager repeats a notification until it gets a 2xx, at every `repeat_interval`, and again with every change of the
group; the event's id is made of what makes an alert the same one, so that each is announced once.
Source: Alertmanager's documentation of `webhook_config`; notes/notify-metrics.md 0.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from contracts.fact import Moment
from contracts.gateway import AlertFired, AlertResolved
from contracts.words import ALERTS_SOURCE, Severity, is_our_watchdog
from eventkit.envelope import Event, decode_data, encode_data, encode_time, partitionkey_of
from eventkit.errors import BadMessage
from services.gateway.verdicts import Accepted, printable

# Two of them in Chinese stay far below the 64 KiB of an event.
_MAX_TEXT = 4_000
_MAX_URL = 2_000


class Alert(msgspec.Struct, frozen=True, rename="camel"):
    """One alert of a notification, as far as we read it."""

    status: Literal["firing", "resolved"]
    labels: Mapping[str, str]
    starts_at: Moment
    ends_at: Moment
    fingerprint: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[0-9a-zA-Z]+$")]
    annotations: Mapping[str, str] = {}


class Notification(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a notification: alerts of one group that fire, or are over."""

    version: Literal["4"]
    alerts: tuple[Alert, ...]


_DECODER = msgspec.json.Decoder(Notification)


def read(body: bytes) -> Notification:
    """Return a notification. Raises BadMessage naming the field."""
    try:
        return _DECODER.decode(body)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$.")
        raise BadMessage(reason, field=path.rstrip("`") or "body") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"not JSON: {error}", field="body") from None


def accepted(notification: Notification, token_name: str, now: datetime) -> list[Accepted]:
    """Return the events that a notification stands for. now: aware; the moment of its arrival."""
    return [
        Accepted(token_name, f"alertmanager.{one.status}", _event(one, token_name, now)) for one in notification.alerts
    ]


def event_id(alert: Alert, now: datetime) -> str:
    """Return what makes a second notification of an alert a repeat; our watchdog's is a new one every minute."""
    parts = [alert.fingerprint, alert.status, encode_time(alert.starts_at)]
    if is_our_watchdog(alert.labels.get("alertname"), alert.labels.get("about"), ALERTS_SOURCE):
        parts.append(encode_time(now.replace(second=0, microsecond=0)))
    return " ".join(parts)


def _event(alert: Alert, token_name: str, now: datetime) -> Event[AlertFired | AlertResolved]:
    fact = _fact(alert)
    # What is emitted must be readable for everybody, whatever the texts were.
    decode_data(fact.TYPE, encode_data(fact))
    happened_at = alert.starts_at if isinstance(fact, AlertFired) else alert.ends_at
    return Event(
        id=event_id(alert, now),
        source=ALERTS_SOURCE,
        type=fact.TYPE,
        subject=alert.fingerprint,
        time=min(happened_at, now),
        data=fact,
        partitionkey=partitionkey_of(ALERTS_SOURCE, alert.fingerprint),
        actor=f"token {token_name}",
        arrived_at=now,
    )


def _fact(alert: Alert) -> AlertFired | AlertResolved:
    labels, annotations = alert.labels, alert.annotations
    values: dict[str, Any] = {
        "fingerprint": alert.fingerprint,
        "alert": printable(labels.get("alertname", "")) or "?",
        "severity": Severity(labels.get("severity", "")),
        "starts_at": alert.starts_at,
        "service": printable(labels.get("service") or labels.get("job") or "") or None,
        "summary": _text(annotations.get("summary", "")),
        "description": _text(annotations.get("description", "")),
        "runbook_url": printable(annotations.get("runbook_url", ""), _MAX_URL),
        "about": printable(labels.get("about", "")) or None,
    }
    if alert.status == "firing":
        return AlertFired(**values)
    return AlertResolved(**values, ended_at=alert.ends_at)


def _text(text: str) -> str:
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:_MAX_TEXT]
