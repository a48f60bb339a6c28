"""Deliveries that wait to be sent: whoever makes the call takes one up here, just before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ARRAY, Engine, Text, any_, bindparam, func, select, update

from contracts.fact import Fact
from eventkit.envelope import decode_data
from services.notify.rules import Contact, State
from services.notify.storage import companion_id
from services.notify.tables import companion, delivery, person


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery that is being sent, as it was just before the call.

    people: those whom its event names, and who caused it, by number. companion: the event that its text takes in too,
    if it came.
    """

    id: str
    recipient: str
    medium: str
    template: str
    priority: int
    by_desk: bool
    attempts: int
    about: Fact
    people: Mapping[str, Contact]
    companion: Fact | None = None


class PendingDeliveries:
    """Takes up, one by one, what is to be sent, for the one who makes the call.

    engine: one whose statements each stand for themselves, so that what is written is committed before the call.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take(self, delivery_id: str) -> Taken | None:
        """Mark a pending delivery as being sent and return it; None when there is nothing to send any more."""
        with self._engine.connect() as connection:
            row = connection.execute(_TAKE, {"delivery_id": delivery_id}).one_or_none()
            if row is None:
                return None
            came_with = row.companion_data
            if row.waits_for and came_with is None:
                # It may have come in a transaction that ran beside the one that decided to wait for it.
                early = companion_id(row.waits_for, row.about_type, row.about_subject)
                came_with = connection.execute(_EARLY, {"id": early}).scalar()
        # Past the commit: an event that cannot be read any more must count as a try, or it would be tried for ever.
        return Taken(
            row.id,
            row.recipient,
            row.medium,
            row.template,
            row.priority,
            row.by_desk,
            row.attempts,
            decode_data(row.about_type, bytes(row.about_data)),
            {one.employee_number: one for one in (Contact(*known) for known in row.contacts or ())},
            decode_data(row.waits_for, bytes(came_with)) if came_with else None,
        )


_TAKEN = (
    update(delivery)
    .where(delivery.c.id == bindparam("delivery_id"), delivery.c.state == State.PENDING.value)
    .values(state=State.SENDING.value, attempts=delivery.c.attempts + 1, tried_at=func.clock_timestamp())
    .returning(delivery)
    .cte("taken")
)
_CONTACT = func.jsonb_build_array(*(person.c[name] for name in Contact.__dataclass_fields__))
_NAMED = person.c.employee_number == any_(func.array_append(_TAKEN.c.people, _TAKEN.c.recipient, type_=ARRAY(Text)))
_TAKE = select(_TAKEN, select(func.jsonb_agg(_CONTACT)).where(_NAMED).scalar_subquery().label("contacts"))
_EARLY = select(companion.c.data).where(companion.c.id == bindparam("id"))
