"""What can go wrong, named by what happens next."""

from __future__ import annotations


class LiaisonClientError(Exception):
    """Everything that this library raises by itself."""


class BadEvent(LiaisonClientError, ValueError):
    """The event would be refused at the door, so it was not taken. field: the attribute or the field of the data."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class CannotSpool(LiaisonClientError):
    """The event could not be made durable and was not taken: publish it again when the reason is gone."""


class SpoolFull(CannotSpool):
    """The spool holds as much as it may: too long without a way to Liaison. The message names the limit."""


class BadSettings(LiaisonClientError):
    """The client cannot run as it is configured: the message says what to change."""


class Closed(LiaisonClientError):
    """The publisher was closed and takes no more events."""
