"""Errors, named by what happens next."""

from __future__ import annotations


class LiaisonError(Exception):
    """Anything that Liaison itself raises. field: the field that is at fault, when one is."""

    def __init__(self, reason: str, *, field: str = "") -> None:
        super().__init__(reason)
        self.field = field


class RuleBroken(LiaisonError):
    """A request breaks a business rule: answered 422, never retried."""


class NotFound(RuleBroken):
    """What the request names does not exist, or is not for the caller to see: answered 404."""


class BadMessage(LiaisonError):
    """An event can never be handled as it is: kept as dead with its subject held, until replayed or discarded."""

    def __init__(self, reason: str, *, field: str = "") -> None:
        super().__init__(f"{field}: {reason}" if field else reason, field=field)
        self.reason = reason


class TryLater(LiaisonError):
    """Something that we need is missing for now: held with its subject and tried again after `delay_s` seconds."""

    def __init__(self, reason: str, *, delay_s: float) -> None:
        super().__init__(reason)
        self.delay_s = delay_s


class DeadlinePassed(LiaisonError):
    """A call was not answered, or not begun, before its deadline. It may be sent again with the same key."""


class Unavailable(LiaisonError):
    """A part that we need cannot be reached: the caller should come back in a while."""


class BadSettings(LiaisonError):
    """The process cannot start as it is configured; the message names every fault at once."""


class UnknownSchema(LiaisonError):
    """The database is at a migration that this release does not know: the service refuses to start."""


class BrokenTopology(LiaisonError):
    """The broker returned an event because no queue is bound for it, or lacks what the services need."""
