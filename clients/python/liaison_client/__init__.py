"""Publish events to Liaison (联络台) and lose none.

    from liaison_client import Publisher
    from liaison_client.facts import TicketRequested

    with Publisher() as liaison:
        liaison.publish(TicketRequested(title="报表导出失败", region="华南"), externalref="case-1")

`publish` returns when the event is durable on this machine; README.md says what follows from that.
"""

from __future__ import annotations

import logging

from liaison_client.errors import BadEvent, BadSettings, CannotSpool, Closed, LiaisonClientError, SpoolFull
from liaison_client.event import Event, new_id
from liaison_client.publisher import Publisher
from liaison_client.settings import Settings
from liaison_client.spool import Refusal, SpoolStatus

__all__ = [
    "BadEvent",
    "BadSettings",
    "CannotSpool",
    "Closed",
    "Event",
    "LiaisonClientError",
    "Publisher",
    "Refusal",
    "Settings",
    "SpoolFull",
    "SpoolStatus",
    "new_id",
]

logging.getLogger("liaison_client").addHandler(logging.NullHandler())
