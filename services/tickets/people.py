"""What becomes of tickets when people change: engineers come, go and are away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.gateway import PersonChanged
from services.tickets.duty import usecases as duty
from services.tickets.sla.policy import Policy
from services.tickets.telling import Change

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore


def change_person(store: TicketStore, policy: Policy, person: PersonChanged, change: Change) -> None:
    """Keep what tickets need of a person; a leaver's open tickets are handed over."""
    known = store.people.get(person.employee_number)
    if known is not None and known["version"] >= person.version:
        return
    values = {
        "version": person.version,
        "department": person.department,
        "region": person.region,
        "groups": list(person.groups),
        "is_engineer": "engineer" in person.roles,
        "is_key_user": "key_user" in person.roles,
        "active": person.active,
        "skills": list(person.skills),
        "capacity": person.capacity,
        "email": person.email.lower() if person.email else None,
        "away": [[span.begin_at.isoformat(), span.end_at.isoformat()] for span in person.away],
    }
    row = store.put_person(person.employee_number, known, values)
    if change.history:
        return
    if not person.active and (known is None or known["active"]):
        duty.hand_over(store, policy, row, change, reason="the holder left")
    for span in person.away if person.active else ():
        if span.end_at > store.work.now:
            key = f"{person.employee_number}/{span.begin_at.isoformat()}"
            store.work.arm(
                "absence",
                key=key,
                subject=f"person {person.employee_number}",
                due_at=span.begin_at,
                payload={"person": person.employee_number},
            )
    for group in person.groups:
        # Once for all who change with them: who is there now, and when that changes next.
        store.work.arm("duty_turn", key=group, subject=f"queue {group}", due_at=store.work.now, payload={})
