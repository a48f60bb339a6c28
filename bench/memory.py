"""Row 10: the memory that each process and each server takes after a load, with every service up."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path

from bench import mail, whole
from bench.figures import Figure, console
from bench.lab import Lab
from bench.plan import Plan
from deploy.local import processes

ROW = "memory"
PARTS = whole.PARTS
# What a load has borrowed and gives back at once is not what the desk takes.
_REST_S = 5.0
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def measure(lab: Lab, plan: Plan) -> list[Figure]:
    """Hold the load of the mail row, rest, and look. MiB; pages that processes share count for each in its part."""
    with whole.all_services(lab) as running:
        mail.prepare(lab)
        mail.hold(lab, running, plan.steady(), ROW)
        time.sleep(_REST_S)
        taken = {name: pss_mib(process.pid) for name, process in running.items()}
        taken |= {part: pss_mib(lab.servers.pid(part)) for part in lab.parts}
    plan.details[ROW] = {name: round(mib, 1) for name, mib in taken.items()}
    console.print("  " + ", ".join(f"{name} {mib:.0f}" for name, mib in taken.items()) + " MiB")
    after = f"after {plan.hold_s:.0f} s at {plan.per_second:g}/s"
    lines = [Figure(ROW, f"{name}, {after}", mib, "MiB") for name, mib in taken.items()]
    return [*lines, Figure(ROW, f"all together, {after}", sum(taken.values()), "MiB")]


def pss_mib(pid: int) -> float:
    """Return the memory of a process and its children in MiB: what they share with others counts in its part (PSS)."""
    kib = 0
    for one in processes.tree(pid):
        with suppress(OSError):
            found = _PSS.search(Path(f"/proc/{one}/smaps_rollup").read_text("utf-8"))
            kib += int(found[1]) if found else 0
    return kib / 1024
