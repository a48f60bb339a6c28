"""Row 4: from published to committed at a steady 100 events/s, one service alone, beside stock nameko."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bench.contenders import NAMEKO, OURS, Contender, prepare, running
from bench.figures import Figure, console, percentiles, quantile, spread
from bench.lab import Lab
from bench.load import Publisher, encoded, request, to_message
from bench.plan import WARM_S, Plan, Steady
from contracts.gateway import TicketRequested
from eventkit import broker

ROW = "latency"
_WORKERS = 10
_COMMITTED = "select event_id, cast(extract(epoch from pg_xact_commit_timestamp(xmin)) as float8) from bench_row"
NAMEKO_CLASSIC = replace(NAMEKO, name="stock nameko, classic queue", quorum=False)


def measure(lab: Lab, plan: Plan) -> list[Figure]:
    """Hold the load for each in turn, round by round. Milliseconds to the commit that the database recorded."""
    found: dict[str, list[float]] = {}
    for number in range(plan.rounds):
        for contender in (OURS, NAMEKO_CLASSIC, NAMEKO):
            taken = _held(lab, contender, plan.steady(plan.hold_s / plan.rounds))
            found.setdefault(contender.name, []).extend(taken)
            console.print(f"  round {number + 1}: {contender.name}: {spread(taken)}")
    plan.details[ROW] = {name: percentiles(taken) for name, taken in found.items()}
    # The bar names the stock one, whose queue is classic; ours is a quorum queue in any case.
    at = f"{plan.per_second:g}/s"
    return [
        *_lines(found, at, NAMEKO_CLASSIC.name, judged=True),
        *_lines(found, at, NAMEKO.name, judged=False),
    ]


def _lines(found: dict[str, list[float]], at: str, peer: str, *, judged: bool) -> list[Figure]:
    lines = []
    for share, label, factor in ((0.5, "p50", 2), (0.99, "p99", 3)):
        value, other = quantile(found[OURS.name], share), quantile(found[peer], share)
        lines.append(
            Figure(
                ROW,
                f"published → committed at {at}, {label}",
                value,
                "ms",
                f"{peer}: {other:.1f} ms",
                value / other,
                f"≤ {factor} ×" if judged else "",
                "≤ 8 ms" if judged and share > 0.5 else "",
                value <= factor * other if judged else None,
            )
        )
    return lines


def _held(lab: Lab, contender: Contender, steady: Steady) -> list[float]:
    uri = prepare(lab, contender)
    exchange, key = (
        (broker.partition_exchange("bench", 1), TicketRequested.TYPE) if contender.ours else ("", contender.queue)
    )
    publisher = Publisher(lab.uri)
    with running(lab, contender, _WORKERS, uri) as [process], lab.reading(uri) as rows:
        publisher.publish(to_message(*encoded(request(0))), exchange, key)
        lab.until(lambda: rows(_COMMITTED), within_s=30, what=f"{contender.name} at work", process=process)
        time.sleep(1.0)
        published = dict(publisher.pace(steady, exchange, key))
        lab.until(
            lambda: rows("select count(*) from bench_row")[0][0] == len(published) + 1,
            within_s=30,
            what=f"{contender.name} done",
            process=process,
        )
        publisher.close()
        return since_published(published, rows(_COMMITTED))


def since_published(published: dict[str, float], committed: Sequence[Sequence[Any]]) -> list[float]:
    """Return the milliseconds from publishing to committing of each event but those of the warm-up."""
    begun = min(published.values()) + WARM_S
    counted = [one for one, moment in published.items() if moment >= begun]
    moments: dict[str, float] = {key: moment for key, moment in committed}
    return [(moments[one] - published[one]) * 1000 for one in counted]
