"""When an event counts (design: the event): at its own time while that can be believed, else at its arrival."""

from __future__ import annotations

from datetime import datetime, timedelta

#: A live event's own time is believed when it lies this close to its arrival.
BELIEVED_BEFORE = timedelta(hours=24)
BELIEVED_AFTER = timedelta(seconds=60)


def believed_moment(time: datetime, arrived_at: datetime | None, *, history: bool) -> datetime:
    """Return the moment at which something counts: its own time when believable or history, else its arrival.

    arrived_at: None when it equals `time`, as in the envelope.
    """
    if history or arrived_at is None or arrived_at - BELIEVED_BEFORE <= time <= arrived_at + BELIEVED_AFTER:
        return time
    return arrived_at
