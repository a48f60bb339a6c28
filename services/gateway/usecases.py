"""What happens at the doors: judge, record, tell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from contracts.fact import Fact
from contracts.gateway import EventRefused
from eventkit.envelope import Event
from services.gateway.mappings import Mappings
from services.gateway.verdicts import Accepted, Directory, Offer, Refused, Verdict, judge


class Store(Protocol):
    """What the use cases need of the database; see `storage.GatewayStore`."""

    def known(self, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]: ...

    def record(self, verdicts: Sequence[Accepted], door: str) -> set[tuple[str, str]]: ...

    def count_repeats(self, keys: Sequence[tuple[str, str]]) -> None: ...

    def refuse(self, verdicts: Sequence[Refused], door: str) -> set[tuple[str, str]]: ...

    def emit(self, event: Event[Fact]) -> None: ...

    def tell(self, fact: Fact, *, subject: str) -> None: ...


class Outcome(msgspec.Struct, frozen=True):
    """A verdict, and whether the same was there before: then it changed nothing."""

    verdict: Verdict
    is_repeat: bool


def receive(
    store: Store, offers: Sequence[Offer], directory: Directory, mappings: Mappings, *, door: str, now: datetime
) -> list[Outcome]:
    """Judge what came to a door, record it and announce what is new, in the order in which it came."""
    verdicts = [judge(offer, directory, mappings, now) for offer in offers]
    return settle(store, verdicts, door=door)


def settle(store: Store, verdicts: Sequence[Verdict], *, door: str) -> list[Outcome]:
    """Record verdicts and announce what is new. The same event twice in one batch is a repeat as well."""
    accepted = {one.key: one for one in reversed(verdicts) if isinstance(one, Accepted)}
    refused = {(one.publisher, one.digest): one for one in reversed(verdicts) if isinstance(one, Refused)}
    fresh = store.record(list(accepted.values()), door) if accepted else set()
    fresh_refusals = store.refuse(list(refused.values()), door) if refused else set()
    outcomes, repeats = [], []
    for verdict in verdicts:
        if isinstance(verdict, Accepted):
            is_first = verdict.key in fresh
            fresh.discard(verdict.key)
            if is_first:
                store.emit(verdict.event)
            else:
                repeats.append(verdict.key)
        else:
            key = (verdict.publisher, verdict.digest)
            is_first = key in fresh_refusals
            fresh_refusals.discard(key)
            if is_first:
                store.tell(_refused(verdict), subject=verdict.publisher)
        outcomes.append(Outcome(verdict, not is_first))
    if repeats:
        store.count_repeats(repeats)
    return outcomes


def preview(
    store: Store, offers: Sequence[Offer], directory: Directory, mappings: Mappings, *, now: datetime
) -> list[Outcome]:
    """Return what would come of offers, and change nothing."""
    verdicts = [judge(offer, directory, mappings, now) for offer in offers]
    known = store.known([one.key for one in verdicts if isinstance(one, Accepted)])
    return [Outcome(one, isinstance(one, Accepted) and one.key in known) for one in verdicts]


def _refused(verdict: Refused) -> EventRefused:
    return EventRefused(
        publisher=verdict.publisher,
        event_id=verdict.event_id,
        event_type=verdict.event_type,
        field=verdict.field,
        reason=verdict.reason,
    )
