"""The judge: what went in, what came of it, and what is wrong with that.

After Jepsen's total-queue checker (rabbitmq/jepsen): every event is attempted, perhaps acknowledged, and takes effect
or not. Effects are business rows, and the events that announce them; copies on the wire are no matter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields


@dataclass(frozen=True, slots=True)
class Effect:
    """A row, or a message, in the order in which they came about. key: source and subject."""

    event_id: str
    key: str
    sequence: int


@dataclass(slots=True)
class Evidence:
    """All that a run left behind.

    attempted: ids whose commit was tried; acknowledged: those whose commit returned. expected_dead: ids that must be
    in the dead table; discarded: ids that must have no effect. effects: rows at the consumer. emitted: what the
    source says that it emitted, against outbox, its outbox. told: causes of the outgoing events in the consumer's
    outbox; wire: outgoing events as they arrived. undrained: unsent outbox rows; waiting: held events and subjects.
    dead: id to reason.
    """

    attempted: Collection[str]
    acknowledged: Collection[str]
    effects: Sequence[Effect]
    expected_dead: Collection[str] = ()
    discarded: Collection[str] = ()
    emitted: Collection[str] = ()
    outbox: Collection[str] = ()
    told: Sequence[str] = ()
    outgoing: Collection[str] = ()
    wire: Sequence[Effect] = ()
    undrained: int = 0
    waiting: int = 0
    dead: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts; everything after `ok` must be 0."""

    attempted: int
    acknowledged: int
    ok: int
    lost: int
    unexpected: int
    repeated: int
    inversions: int
    apart: int
    untold: int
    retold: int
    lost_on_wire: int
    inversions_on_wire: int
    undrained: int
    waiting: int
    wrong_dead: int

    @property
    def faults(self) -> dict[str, int]:
        """Return what is wrong, by name."""
        counts = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: n for name, n in counts.items() if n and name not in ("attempted", "acknowledged", "ok")}

    def __str__(self) -> str:
        wrong = ", ".join(f"{name} {count}" for name, count in self.faults.items()) or "nothing wrong"
        return f"attempted {self.attempted}, acknowledged {self.acknowledged}, ok {self.ok}: {wrong}"


def judge(evidence: Evidence) -> Verdict:
    """Return the verdict on a run that has come to rest."""
    effects = Counter(one.event_id for one in evidence.effects)
    attempted, acknowledged = set(evidence.attempted), set(evidence.acknowledged)
    settled = set(effects) | set(evidence.expected_dead) | set(evidence.discarded)
    told = Counter(evidence.told)
    return Verdict(
        attempted=len(attempted),
        acknowledged=len(acknowledged),
        ok=len(attempted & set(effects)),
        lost=len(acknowledged - settled),
        unexpected=len(set(effects) - attempted) + len(set(effects) & set(evidence.discarded)),
        repeated=_surplus(effects),
        inversions=inversions(evidence.effects),
        apart=len(set(evidence.emitted) ^ set(evidence.outbox)),
        untold=len(set(effects) - set(told)),
        retold=_surplus(told) + len(set(told) - set(effects)),
        lost_on_wire=len(set(evidence.outgoing) ^ {one.event_id for one in evidence.wire}),
        inversions_on_wire=inversions(evidence.wire),
        undrained=evidence.undrained,
        waiting=evidence.waiting,
        wrong_dead=len(set(evidence.dead) ^ set(evidence.expected_dead)),
    )


def inversions(effects: Iterable[Effect]) -> int:
    """Return how many first occurrences come after one of the same key with a higher sequence."""
    seen: set[str] = set()
    highest: dict[str, int] = {}
    count = 0
    for one in effects:
        if one.event_id in seen:
            continue
        seen.add(one.event_id)
        count += one.sequence <= highest.get(one.key, -1)
        highest[one.key] = max(one.sequence, highest.get(one.key, -1))
    return count


def _surplus(counts: Counter[str]) -> int:
    return sum(count - 1 for count in counts.values())
