"""How long the import of another desk's log takes, with every service up: published, and handled by everybody."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from bench import whole
from bench.figures import Figure, console
from bench.lab import Lab
from bench.plan import Plan
from liaison.replay import replay_log

ROW = "replay"
PARTS = whole.PARTS
_LOG = Path(__file__).resolve().parents[2] / "shared" / "data" / "servicenow-incidents.csv"


def measure(lab: Lab, plan: Plan) -> list[Figure]:
    """Replay the ServiceNow log once; seconds until it is published, and until nothing is left to do."""
    if not _LOG.exists():
        console.print(f"  not measured: there is no {_LOG}")
        return []
    content = _LOG.read_bytes()
    if plan.quick:
        content = b"".join(content.splitlines(keepends=True)[:500])
    with whole.all_services(lab):
        begun = time.monotonic()
        summary = replay_log(lab.installation, content, say=Console(quiet=True))
        published_s = time.monotonic() - begun
        whole.settle(lab)
        settled_s = time.monotonic() - begun
    plan.details[ROW] = {"events": summary.published, "published s": published_s, "settled s": settled_s}
    console.print(
        f"  {summary.published} events: published in {published_s:.1f} s, all handled after {settled_s:.1f} s"
    )
    what = f"ServiceNow log, {summary.published:,} events, until every service has handled all"
    return [Figure(ROW, what, settled_s, "s")]
