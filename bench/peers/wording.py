"""What every peer writes and says, so that the contenders differ in nothing but how."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import uuid_utils

from contracts.tickets import TicketOpened

EXCHANGE = "liaison.events"
TYPE = TicketOpened.TYPE
SOURCE = "/liaison/bench"
INBOX = (
    "insert into eventkit.inbox (source, id, type, state) values ({}, {}, {}, 'handled')"
    " on conflict do nothing returning id"
)
ROW = "insert into bench_row (event_id, subject, title) values ({}, {}, {})"
SEQUENCE = (
    "insert into eventkit.subject_sequence as s (partitionkey, last) values ({}, 1)"
    " on conflict (partitionkey) do update set last = s.last + 1 returning last"
)
OUTBOX = (
    "insert into eventkit.outbox (id, aggregatetype, aggregateid, type, headers, payload)"
    " values ({}, {}, {}, {}, {}, {})"
)


def told(headers: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of the outgoing event."""
    return {
        "number": headers["ce-subject"],
        "title": data["title"],
        "state": "new",
        "priority": 3,
        "channel": data.get("channel", "event"),
        "opened_at": headers["ce-time"],
    }


def heading(headers: Mapping[str, Any], sequence: int | None = None) -> dict[str, str]:
    """Return the headers of the outgoing event."""
    subject = headers["ce-subject"]
    found = {
        "ce-specversion": "1.0",
        "ce-id": str(uuid_utils.uuid7()),
        "ce-source": SOURCE,
        "ce-type": TYPE,
        "ce-subject": subject,
        "ce-time": datetime.now(UTC).isoformat(),
        "ce-partitionkey": f"{SOURCE} {subject}",
        "ce-traceparent": headers["ce-traceparent"],
    }
    return found if sequence is None else {**found, "ce-sequence": str(sequence)}
