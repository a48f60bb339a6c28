"""What is done to a replica from inside: points at which it dies or freezes, and guards that are switched off.

Only a replica that a test starts imports this module; eventkit itself knows nothing of it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from eventkit import broker, consumer, handling, held, inbox, outbox, timers
from eventkit.calling import JobCalling
from eventkit.firing import TimerFiring
from eventkit.handling import EventHandling

_ACTIONS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class Points:
    """Counts how often each point is passed, and acts when its turn comes."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[signal.Signals, int]] = {}

    def plan(self, spec: str) -> None:
        """Say where to act. spec: `point:kill|stop:nth`, commas between."""
        for one in filter(None, spec.split(",")):
            name, action, nth = one.split(":")
            self._left[name] = (_ACTIONS[action], int(nth))

    def reach(self, name: str) -> None:
        """Pass a point."""
        if name in self._left:
            action, left = self._left.pop(name)
            if left > 1:
                self._left[name] = (action, left - 1)
            else:
                os.kill(os.getpid(), action)


points = Points()


def _before(owner: Any, name: str, act: Callable[[], None]) -> None:
    original = getattr(owner, name)

    def wrapped(*args: Any, **options: Any) -> Any:
        act()
        return original(*args, **options)

    setattr(owner, name, wrapped)


def _after(owner: Any, name: str, act: Callable[[Any], None]) -> None:
    original = getattr(owner, name)

    def wrapped(*args: Any, **options: Any) -> Any:
        result = original(*args, **options)
        act(result)
        return result

    setattr(owner, name, wrapped)


def plant(spec: str) -> None:
    """Plant the points into eventkit."""
    points.plan(spec)
    _after(outbox, "unsent", lambda rows: points.reach("relay.read") if rows else None)
    _before(outbox, "mark_sent", lambda: points.reach("relay.confirmed"))
    _after(EventHandling, "run", lambda _: points.reach("consumer.handled"))
    _after(EventHandling, "handle_messages", lambda _: points.reach("consumer.committed"))
    held_now: list[bool] = []

    def on_hold(_: Any) -> None:
        held_now.append(True)
        points.reach("hold.written")

    def on_batch(_: Any) -> None:
        if held_now:
            held_now.clear()
            points.reach("hold.committed")

    _after(held, "hold", on_hold)
    _after(EventHandling, "handle_messages", on_batch)
    _before(EventHandling, "_drain_marked", lambda: points.reach("drain.marked"))
    _after(handling, "_settle_drained", lambda _: points.reach("drain.written"))
    _after(EventHandling, "drain", lambda found: points.reach("drain.committed") if found else None)
    _after(timers, "remove", lambda _: points.reach("timers.written"))
    _after(timers, "remove_called", lambda _: points.reach("timers.written"))
    _before(JobCalling, "_call", lambda: points.reach("job.claimed"))
    _after(JobCalling, "_outcome", lambda _: points.reach("job.called"))
    _after(JobCalling, "_record_once", lambda _: points.reach("job.recorded"))
    # The settling of dead events: `set_state` is where replay and discard are half done.
    _after(held, "set_state", lambda _: points.reach("settle.written"))


def count_repeats() -> None:
    """Write down what the inbox dropped, in the transaction that dropped it, and what nobody handles."""
    admit = inbox.admit

    def counting(connection: Any, received: Sequence[Any]) -> Any:
        fresh = admit(connection, received)
        if dropped := len(received) - len(fresh):
            connection.execute(
                text("insert into fault_repeat (pid, events) values (:pid, :n)"), {"pid": os.getpid(), "n": dropped}
            )
        return fresh

    inbox.admit = counting
    handle = EventHandling.handle

    def counting_unknown(self: EventHandling, batch: Sequence[Any], *, redelivered: bool = False) -> None:
        strangers = sum(1 for one in batch if one.type and one.type not in self.definition.handlers)
        handle(self, batch, redelivered=redelivered)
        if strangers:
            with self.engine.begin() as connection:
                connection.execute(text("insert into fault_unknown (events) values (:n)"), {"n": strangers})

    EventHandling.handle = counting_unknown  # type: ignore[method-assign]


def sign_messages() -> None:
    """Have every message say which relay sent it."""
    unsent = outbox.unsent

    def signed(connection: Any, **options: Any) -> Any:
        rows = unsent(connection, **options)
        for row in rows:
            row.headers["x-relay"] = str(os.getpid())
        return rows

    outbox.unsent = signed


def _no_inbox() -> None:
    """Every delivery takes effect, seen before or not."""
    admit = inbox.admit

    def admit_all(connection: Any, received: Sequence[Any]) -> Any:
        admit(connection, received)
        return {one.key for one in received}

    inbox.admit = admit_all


def _ack_first() -> None:
    """Deliveries are acknowledged before they are handled, as stock nameko does."""

    def handle_batch(self: Any) -> None:
        batch = self._buffer[: consumer.BATCH]
        self._channel.basic_ack(batch[-1].delivery_tag, multiple=True)
        incoming = [consumer._incoming(message) for message in batch]
        del self._buffer[: consumer.BATCH]
        self._handle_through_outage(incoming, False)

    consumer.QueueConsumer._handle_batch = handle_batch  # type: ignore[method-assign]


def _ack_on_error() -> None:
    """A batch that fails is acknowledged all the same."""

    def swallow(self: Any, batch: Any, redelivered: bool) -> Any:
        try:
            return self._handle(batch, redelivered)
        except DBAPIError:
            return ()

    consumer.QueueConsumer._handle_through_outage = swallow  # type: ignore[method-assign]


def _mark_first() -> None:
    """The relay takes an event for sent before the broker has confirmed it."""
    unsent = outbox.unsent

    def marking(connection: Any, **options: Any) -> Any:
        rows = unsent(connection, **options)
        if rows:
            with connection.engine.begin() as other:
                outbox.mark_sent(other, [row.position for row in rows])
        return rows

    outbox.unsent = marking


def _no_relay_lock() -> None:
    """Every relay leads."""
    broker.relay_lock = lambda service: f"{service}.relay.{os.getpid()}"


def _no_timer_version() -> None:
    """A timer fires in whatever version it was seen, cancelled or not."""
    timers.lock_current = lambda connection, timers: list(timers)


def _hold_alone() -> None:
    """A held event holds nobody behind it."""
    handling.EventHandling._is_ordered = lambda self, one: False  # type: ignore[method-assign]


def _hold_late() -> None:
    """Events are put aside in a transaction of their own, after the one that took them in."""
    hold = held.hold
    waiting: list[Any] = []
    held.hold = lambda connection, holds: waiting.append((connection.engine, holds))
    committed = EventHandling.handle_messages

    def after(self: Any, messages: Any, redelivered: bool) -> Any:
        result = committed(self, messages, redelivered)
        while waiting:
            points.reach("hold.written")
            engine, holds = waiting.pop(0)
            with engine.begin() as connection:
                hold(connection, holds)
        return result

    EventHandling.handle_messages = after  # type: ignore[method-assign]


def _no_attempts() -> None:
    """Tries are not counted, so that an event that kills the process is never found."""
    mark = inbox.mark_attempts

    def first_try(connection: Any, keys: Any, *, alone: bool) -> Any:
        return dict.fromkeys(mark(connection, keys, alone=alone), 1)

    inbox.mark_attempts = first_try


def _abrupt_stop() -> None:
    """SIGTERM ends the process at once, in the middle of whatever it does."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal = lambda *args: None


def _nobody_named() -> None:
    """A bad event does not say that it is the one: its whole batch goes down the slow path."""
    run = EventHandling.run

    def anonymous(self: Any, work: Any, batch: Any, blocked: Any, bad: Any) -> Any:
        holds = run(self, work, batch, blocked, bad)
        if holds and len(batch) > 1:
            raise ValueError("one of them")
        return holds

    EventHandling.run = anonymous  # type: ignore[method-assign]


def _blind_repeat() -> None:
    """A call whose process died is made again, whatever its policy says."""
    claim = JobCalling._claim

    def forgetful(self: Any, kinds: Any, most: int) -> Any:
        claimed = claim(self, kinds, most)
        return [replace(each, timer=replace(each.timer, interrupted=False)) for each in claimed]

    JobCalling._claim = forgetful  # type: ignore[method-assign]


def _no_putting_off() -> None:
    """A timer whose effect cannot be stored takes the whole batch along, and the loop."""
    TimerFiring.step = lambda self: 0.0 if self._fire(200) else 0.2  # type: ignore[method-assign]


def _held_first() -> None:
    """The inbox is asked which subjects are held before it has waited for other consumers of the same events."""
    begin = inbox.begin
    remembered: dict[int, Any] = {}
    admit = inbox.admit

    def early(connection: Any, received: Sequence[Any]) -> Any:
        remembered[id(connection)] = begin(connection, {one.partitionkey for one in received})
        return admit(connection, received)

    inbox.admit = early
    inbox.begin = lambda connection, partitionkeys: (
        remembered.pop(id(connection), None) or begin(connection, partitionkeys)
    )


GUARDS: dict[str, Callable[[], None]] = {
    "inbox": _no_inbox,
    "ack-after-commit": _ack_first,
    "outage": _ack_on_error,
    "mark-after-confirm": _mark_first,
    "relay-lock": _no_relay_lock,
    "timer-version": _no_timer_version,
    "held-subject": _hold_alone,
    "hold-in-commit": _hold_late,
    "attempts": _no_attempts,
    "orderly-stop": _abrupt_stop,
    "named-culprit": _nobody_named,
    "held-after-admit": _held_first,
    "unknown-outcome": _blind_repeat,
    "patient-timers": _no_putting_off,
}


def prepare(environment: Any) -> None:
    """Do to this process what its environment asks for."""
    heartbeat = environment.get("LIAISON_TEST_HEARTBEAT_S")
    if heartbeat:
        broker.HEARTBEAT_S = int(heartbeat)
    broker.EVENTS = environment.get("LIAISON_TEST_EVENTS", broker.EVENTS)
    if guard := environment.get("LIAISON_TEST_WEAKEN"):
        GUARDS.get(guard, lambda: None)()
    count_repeats()
    sign_messages()
    plant(environment.get("LIAISON_TEST_FAULT", ""))
