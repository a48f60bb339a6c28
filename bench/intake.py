"""Row 5: from a publisher's hand, through either door, to the ticket's commit, with every service up."""

from __future__ import annotations

from bench import whole
from bench.door import by_amqp, by_http
from bench.figures import Figure, console, percentiles, quantile, spread
from bench.lab import Lab
from bench.latency import since_published
from bench.mail import warm_up
from bench.plan import Plan

ROW = "intake"
PARTS = whole.PARTS
_COMMITTED = "select externalref, cast(extract(epoch from pg_xact_commit_timestamp(xmin)) as float8) from ticket"


def measure(lab: Lab, plan: Plan) -> list[Figure]:
    """Hold the load at the AMQP door, then at the HTTP door. Milliseconds to the commit in the tickets service."""
    lines = []
    with whole.all_services(lab) as running:
        warm_up(lab, running, plan, ROW)
        account = whole.publisher(lab)
        for door, send in (("AMQP", by_amqp), ("HTTP", by_http)):
            with whole.cores_used(lab, running) as busy:
                published = dict(send(account, plan.steady(), f"bench-{door}"))
            taken = _taken(lab, published, f"bench-{door}")
            plan.details.setdefault(ROW, {})[door] = {"cores used": busy} | percentiles(taken)
            console.print(f"  by {door}: {spread(taken)}")
            console.print("  cores used: " + ", ".join(f"{name} {share:.2f}" for name, share in busy.items()))
            lines += _lines(f"{door} door → ticket committed at {plan.per_second:g}/s", taken)
    return lines


def _taken(lab: Lab, published: dict[str, float], run: str) -> list[float]:
    with lab.reading(lab.installation.database_uri("tickets")) as rows:
        statement = f"{_COMMITTED} where externalref like '{run}-%'"
        lab.until(lambda: len(rows(statement)) == len(published), within_s=120, what=f"the tickets of {run}")
        return since_published(published, rows(statement))


def _lines(what: str, taken: list[float]) -> list[Figure]:
    lines = []
    for share, label, bar, goal in ((0.5, "p50", 15, 8), (0.99, "p99", 60, 25)):
        value = quantile(taken, share)
        lines.append(
            Figure(ROW, f"{what}, {label}", value, "ms", bar=f"≤ {bar} ms", goal=f"≤ {goal} ms", kept=value <= bar)
        )
    return lines
