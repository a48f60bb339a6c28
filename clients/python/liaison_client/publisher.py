"""The publisher: what an application uses."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Union

from liaison_client.draining import Draining
from liaison_client.errors import BadEvent, Closed
from liaison_client.event import Event, pack
from liaison_client.fact import Fact
from liaison_client.session import OnRefusal, Session
from liaison_client.settings import Settings
from liaison_client.spool import Refusal, Spool, SpoolStatus

Publishable = Union[Event, Fact, Mapping[str, Any]]
"""An event; or a typed fact, whose event needs no further attributes; or a CloudEvents JSON object."""
_NEVER = 2**62
_LIVING: weakref.WeakSet[Publisher] = weakref.WeakSet()


class Publisher:
    """Publishes events to Liaison and loses none that `publish` has returned for.

    An event is first made durable in the spool, then sent by a thread in the background, in order, each one confirmed
    by the broker. While Liaison or the network is down, events wait. Safe for threads; may be used after a fork;
    several processes may share one spool, of which one at a time sends for all.

    settings: by default what `Settings.load` finds. on_refusal: called from the background thread with each answer of
    the door to an event that it did not take, once, in the process that sends; it should be quick.
    """

    def __init__(self, settings: Settings | None = None, *, on_refusal: OnRefusal | None = None) -> None:
        self.settings = settings or Settings.load()
        self._on_refusal = on_refusal
        self.spool = Spool.of(self.settings)
        self._lock = threading.Lock()
        self._draining: Draining | None = None
        self._closed = False
        self._newest = 0
        # A wrong spool, or one that cannot be written, should be told now and not at the first event.
        self.spool.status()
        self._drain()
        _LIVING.add(self)

    def publish(self, event: Publishable, **attributes: Any) -> str:
        """Return the event's id when the event is durable: from here on, it arrives.

        attributes: for a typed fact, those of `Event`, such as `subject` and `externalref`.
        Raises: BadEvent naming the field, SpoolFull naming the limit, CannotSpool, Closed; then nothing was taken.
        """
        [event_id] = self.publish_many([_event(event, attributes)])
        return event_id

    def publish_many(self, events: Iterable[Publishable]) -> list[str]:
        """Do as `publish` for events that are taken all or none; quicker than one by one."""
        packed = [pack(_event(one, {}), self.settings.source) for one in events]
        if self._closed:
            raise Closed(f"the publisher of {self.settings.account} was closed")
        if packed:
            newest = self.spool.append(packed)
            with self._lock:
                self._newest = max(self._newest, newest)
            self._drain().wake()
        return [one.id for one in packed]

    def status(self) -> SpoolStatus:
        """Return how full the spool is and why it does not empty, if so."""
        return self.spool.status()

    def refusals(self, *, limit: int = 100) -> list[Refusal]:
        """Return the newest answers of the door to events that it did not take, newest first."""
        return self.spool.refusals(limit=limit)

    def flush(self, *, timeout_s: float, everything: bool = False) -> bool:
        """Wait until the broker has all that was published here so far; False when it has not in time.

        everything: also what other processes, and runs before this one, have left in the spool.
        """
        deadline = time.monotonic() + timeout_s
        while not self.spool.is_sent(_NEVER if everything else self._newest):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def close(self, *, timeout_s: float = 5.0) -> bool:
        """Flush, then stop. False: some events stay in the spool, and are sent when it is opened again."""
        self._closed = True
        is_empty = self.flush(timeout_s=timeout_s)
        with self._lock:
            draining, self._draining = self._draining, None
        if draining is not None:
            draining.stop(timeout_s=5.0)
        self.spool.close()
        _LIVING.discard(self)
        return is_empty

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _drain(self) -> Draining:
        """Return the thread that sends; after a fork the child starts its own with its first event."""
        with self._lock:
            if self._draining is None:
                self._draining = Draining(self.spool, lambda: Session(self.settings, self.spool, self._on_refusal))
            return self._draining

    def _before_fork(self) -> None:
        self._lock.acquire()

    def _after_fork_in_parent(self) -> None:
        self._lock.release()

    def _after_fork_in_child(self) -> None:
        self._lock = threading.Lock()
        if self._draining is not None:
            self._draining.begin_after_fork()
            # Its connection is the parent's: kept, so that nothing of it is closed here.
            _ABANDONED.append(self._draining)
            self._draining = None
        # What the parent has published is the parent's to flush.
        self._newest = 0


_ABANDONED: list[Draining] = []
_HELD: list[Publisher] = []


def _event(event: Publishable, attributes: Mapping[str, Any]) -> Event:
    if isinstance(event, Fact):
        return Event.of(event, **attributes)
    if attributes:
        raise BadEvent("event", "attributes are for typed facts; an Event has its own")
    return event if isinstance(event, Event) else Event.from_json(event)


def _before_fork() -> None:
    _HELD[:] = list(_LIVING)
    for one in _HELD:
        one._before_fork()


def _after_fork_in_parent() -> None:
    for one in _HELD:
        one._after_fork_in_parent()
    _HELD.clear()


def _after_fork_in_child() -> None:
    for one in _HELD:
        one._after_fork_in_child()
    _HELD.clear()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
