"""What a service does, as data: which events it handles, which timers fire, which jobs call out, what it answers.

The nameko host builds a definition from a decorated class; the gateway and tests build one by hand. Nothing below
this line knows which of them it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.fact import Fact
from eventkit.envelope import Event
from eventkit.timers import Timer
from eventkit.work import Work


@dataclass(frozen=True, slots=True)
class Handler:
    """How one event type is handled.

    handle: changes `work` for one event. preload: reads, in few statements, what `handle` will need for all of them.
    emits: the facts that `handle` may announce. ordered: False when the order within a subject does not matter.
    """

    fact: type[Fact]
    handle: Callable[[Work, Event[Any]], None]
    preload: Callable[[Work, Sequence[Event[Any]]], None] | None = None
    emits: frozenset[type[Fact]] = frozenset()
    ordered: bool = True


@dataclass(frozen=True, slots=True)
class Effect:
    """What a kind of timer does when it fires. `preload` must lock the rows of the timers' subjects."""

    kind: str
    fire: Callable[[Work, Timer], None]
    preload: Callable[[Work, Sequence[Timer]], None] | None = None
    emits: frozenset[type[Fact]] = frozenset()


@dataclass(frozen=True, slots=True)
class Done:
    """The call returned; `value` is what it returned."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """The call raised."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Unknown:
    """The process died during the call, and the job's policy is not to repeat it."""


@dataclass(frozen=True, slots=True)
class Job:
    """A call to the outside: claimed and committed, made, recorded and committed.

    call: makes it, without a transaction. record: writes what came of it, and may arm the job anew; several are
    recorded in one transaction, for which preload reads what they will need.
    repeat_after_crash: make the call again when its outcome was lost; otherwise it is recorded as Unknown.
    lease_s: seconds that a call may take before its process is taken for dead.
    """

    kind: str
    call: Callable[[Timer], Any]
    record: Callable[[Work, Timer, Done | Failed | Unknown], None]
    repeat_after_crash: bool
    lease_s: float = 60.0
    emits: frozenset[type[Fact]] = frozenset()
    preload: Callable[[Work, Sequence[Timer]], None] | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """A question or a command that waits for its answer; a command's answer is kept under the caller's key.

    emits: the facts that a command may announce.
    """

    name: str
    call: Callable[[Work, Mapping[str, Any]], Any]
    is_command: bool
    emits: frozenset[type[Fact]] = frozenset()


@dataclass(frozen=True, slots=True)
class ServiceDefinition:
    """All that a service does, by the name of what sets it off.

    gather_s: for how long the first event of a batch waits for others. A service that nobody waits for handles many
    events in the transaction that would have been one's.
    """

    name: str
    handlers: Mapping[str, Handler] = field(default_factory=dict)
    effects: Mapping[str, Effect] = field(default_factory=dict)
    jobs: Mapping[str, Job] = field(default_factory=dict)
    methods: Mapping[str, Method] = field(default_factory=dict)
    takes_everything: bool = False
    gather_s: float = 0.0

    @property
    def source(self) -> str:
        """The CloudEvents source of what this service emits."""
        return f"/liaison/{self.name}"
