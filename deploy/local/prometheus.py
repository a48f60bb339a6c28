"""A private Prometheus that reads the pages of every part."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from deploy.local.account import UnixAccount
from deploy.local.pages import unanswered_because
from deploy.local.program import Program, required
from liaison.installation import HOST, VHOST, Installation

PORTS = ("prometheus",)

#: Where the alert rules of the checkout lie (`*.rules.yml`); read at start.
RULES = Path(__file__).resolve().parents[1] / "prometheus"
_QUEUES = {"family": ("queue_coarse_metrics", "queue_consumer_count"), "vhost": (VHOST,)}


class Target(NamedTuple):
    """One page to read: address is host:port, parameters those of the query."""

    job: str
    address: str
    path: str = "/metrics"
    parameters: Mapping[str, Sequence[str]] = MappingProxyType({})


def targets(installation: Installation) -> tuple[Target, ...]:
    """Return the pages of the installation: each service's own, the facts, and the servers' that have one."""
    services = [name.removesuffix("_page") for name in installation.ports if name.endswith("_page")]
    pages = [Target(service, f"{HOST}:{installation.page_port(service)}") for service in services if service != "smtp"]
    return (
        *pages,
        Target("facts", f"{HOST}:{installation.page_port('metrics')}", "/facts"),
        Target("rabbitmq", f"{HOST}:{installation.ports['rabbitmq_prometheus']}"),
        Target("queues", f"{HOST}:{installation.ports['rabbitmq_prometheus']}", "/metrics/detailed", _QUEUES),
        Target("prometheus", f"{HOST}:{installation.ports['prometheus']}"),
        Target("alertmanager", f"{HOST}:{installation.ports['alertmanager']}"),
    )


def prepare(installation: Installation, account: UnixAccount) -> None:
    """Write the configuration for `targets(installation)`, and the rules, since the server may not see the checkout."""
    folder = account.folder(installation.home / "prometheus")
    account.folder(folder / "data")
    rules = account.folder(folder / "rules")
    for old in rules.glob("*.rules.yml"):
        old.unlink()
    for file in RULES.glob("*.rules.yml"):
        account.file(rules / file.name, file.read_text("utf-8"))
    account.file(folder / "prometheus.yml", configuration(installation, targets(installation)))


def configuration(installation: Installation, pages: Sequence[Target]) -> str:
    """Return the configuration as YAML (its subset JSON) that reads these pages every 5 s, and waits that long for one.

    Business numbers have one address and keep no instance label, so that a second replica cannot double them.
    """
    jobs: dict[str, dict[str, object]] = {}
    for page in pages:
        job: dict[str, object] = {"job_name": page.job, "metrics_path": page.path}
        if page.job == "facts":
            job["metric_relabel_configs"] = [{"regex": "instance", "action": "labeldrop"}]
        if page.parameters:
            job["params"] = {name: list(values) for name, values in page.parameters.items()}
        addresses = [other.address for other in pages if other.job == page.job]
        jobs[page.job] = {**job, "static_configs": [{"targets": addresses}]}
    alertmanager = f"{HOST}:{installation.ports['alertmanager']}"
    document = {
        "global": {"scrape_interval": "5s", "scrape_timeout": "5s", "evaluation_interval": "5s"},
        "rule_files": [str(installation.home / "prometheus" / "rules" / "*.rules.yml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": list(jobs.values()),
    }
    return json.dumps(document, indent=2) + "\n"


def programs(installation: Installation) -> tuple[Program, ...]:
    """Return the server."""
    folder = installation.home / "prometheus"
    command = (
        required("/usr/bin/prometheus", "/usr/local/bin/prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{installation.ports['prometheus']}",
    )
    return (Program("prometheus", command, folder),)


def unhealthy_because(installation: Installation) -> str | None:
    """Return None when it answers queries."""
    return unanswered_because(f"{installation.prometheus_url}/-/ready")
