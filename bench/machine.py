"""Which machine the figures come from."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from deploy.local.postgresql import binaries

_PACKAGES = ("nameko", "eventlet", "kombu", "amqp", "SQLAlchemy", "psycopg2-binary", "msgspec", "faststream", "asyncpg")


def describe() -> dict[str, str]:
    """Return what the figures depend on, by name: processor, cores, load, versions."""
    described = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "load before": " ".join(f"{one:.2f}" for one in os.getloadavg()),
        "system": platform.platform(),
        "Python": platform.python_version(),
        "PostgreSQL": _first_line([str(binaries() / "postgres"), "--version"]),
        "RabbitMQ": _first_line(["dpkg-query", "-W", "-f", "${Version}", "rabbitmq-server"]),
    }
    return described | {name: version(name) for name in _PACKAGES}


def busy_share() -> float:
    """Return the load of the last minute as a share of the cores: above 0.2, others are at work on the machine."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def _processor() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"))
    return found[1] if found else platform.machine()


def _first_line(command: list[str]) -> str:
    try:
        output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return output.strip().partition("\n")[0]
