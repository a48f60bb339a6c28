"""What the notify service tells about messages to people. The subject is the delivery's id."""

from __future__ import annotations

from typing import ClassVar

from contracts.fact import EmployeeNumber, Fact, Name, Word


class Medium(Word):
    """The channel to the outside by which a person is reached (N1)."""

    MAIL = "mail"
    OTHER = "other"


class _DeliveryFact(Fact, frozen=True, kw_only=True):
    """One message to one person by one channel about one event.

    `recipient`: for whom it was, absent for the desk itself. `by_desk`: there was no way to reach them, so the desk
    got it.
    """

    delivery_id: Name
    medium: Medium
    rule: Name
    about_type: Name
    about_subject: Name
    priority: int = 3
    recipient: EmployeeNumber | None = None
    by_desk: bool = False


class NotificationAccepted(_DeliveryFact, frozen=True, kw_only=True):
    """The outside took the message over. `delay_s`: from the event's arrival to then."""

    TYPE: ClassVar[str] = "liaison.notification.accepted.v1"

    delay_s: float = 0.0


class NotificationFailed(_DeliveryFact, frozen=True, kw_only=True):
    """The message did not go out, or nobody knows whether it did (`outcome` is then `unknown`)."""

    TYPE: ClassVar[str] = "liaison.notification.failed.v1"

    outcome: Name
    reason: str = ""
