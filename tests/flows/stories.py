"""One story for each row of the flow table: what is published, who is killed over it, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.eventkit.desk import eventually
from tests.system import System

#: Who must notice, whatever is killed: the columns of the flow table.
CONSUMERS = ("notify", "knowledge", "metrics")
#: How long a cell may take from the moment at which its killed consumer is back (issue: flows).
WITHIN_S = 5.0


@dataclass(slots=True)
class Story:
    """What came of one row. took_s: seconds to each cell's effect after its consumer came back."""

    took_s: dict[str, float] = field(default_factory=dict)
    known: dict[str, Any] = field(default_factory=dict)


def play(
    system: System,
    publish: Callable[[], None],
    learn: Callable[[], Mapping[str, Any]],
    effects: Callable[..., Mapping[str, Any]],
) -> Story:
    """Publish, kill all three consumers over it, wait for every cell's effect, and publish everything once more.

    They are frozen first, so that each has the event in its hands and has done nothing about it when it is killed; what
    a kill at other moments does, the fault scenarios try.
    learn: waits until the emitting service has told of it, and returns what the effects need to know. effects: by
    consumer, a condition that holds once the effect is there.
    """
    for name in CONSUMERS:
        system.freeze(name)
    publish()
    known = learn()
    for name in CONSUMERS:
        system.kill9(name)
    system.start(CONSUMERS)
    story, back_at = Story(known=dict(known)), time.monotonic()
    waiting = dict(effects(**known))
    while waiting and time.monotonic() < back_at + WITHIN_S:
        for name in [name for name, has_happened in waiting.items() if has_happened()]:
            story.took_s[name] = time.monotonic() - back_at
            del waiting[name]
        time.sleep(0.05)
    system.settle()
    system.publish_again()
    return story


def facts(system: System) -> dict[str, float]:
    """Return every series of the facts page, as Prometheus would read it."""
    page = httpx.get(f"http://127.0.0.1:{system.installation.page_port('metrics')}/facts", timeout=20).text
    lines = (line.rpartition(" ") for line in page.splitlines() if line and not line.startswith("#"))
    return {series: float(value) for series, _, value in lines}


def total(numbers: Mapping[str, float], name: str, **labels: str) -> float:
    """Return the sum over the series of a metric that carry these labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    series = (one for one in numbers if one.partition("{")[0] == name)
    return sum(numbers[one] for one in series if all(label in one for label in wanted))


def deliveries(system: System, about: str) -> dict[tuple[str, str], int]:
    """Return how many messages about a subject were accepted, by rule and recipient."""
    rows = system.rows(
        "notify",
        "select rule, recipient, count(*) as n from delivery where about_subject = :about and state = 'accepted'"
        " group by rule, recipient",
        about=about,
    )
    return {(row.rule, row.recipient): row.n for row in rows}


def emitted(system: System, service: str, kind: str, subject: str) -> list[Any]:
    """Return the data of the events of a type that a service has told about a subject."""
    rows = system.rows(
        service,
        "select convert_from(payload, 'UTF8')::jsonb as data from eventkit.outbox"
        " where type = :type and aggregateid = :subject",
        type=f"liaison.{kind}.v1",
        subject=subject,
    )
    return [row.data for row in rows]


def number_of(system: System, externalref: str) -> str:
    """Return the number of the ticket that a request with this key became."""
    found = eventually(
        lambda: system.rows("tickets", "select number from ticket where externalref = :ref", ref=externalref)
    )
    return str(found[0].number)
