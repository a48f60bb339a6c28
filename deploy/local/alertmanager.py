"""A private Alertmanager that mails every alert to the kept-mail server."""

import json

from deploy.local.account import UnixAccount
from deploy.local.pages import unanswered_because
from deploy.local.program import Program, required
from liaison.installation import HOST, Installation

PORTS = ("alertmanager",)


def prepare(installation: Installation, account: UnixAccount) -> None:
    """Write the configuration: one receiver, reached by mail without us in between."""
    folder = account.folder(installation.home / "alertmanager")
    account.folder(folder / "data")
    configuration = {
        "global": {
            "smtp_smarthost": f"{HOST}:{installation.ports['smtp']}",
            "smtp_from": "alertmanager@liaison.invalid",
            "smtp_hello": "localhost",
            "smtp_require_tls": False,
        },
        "route": {"receiver": "desk", "group_by": ["alertname"], "group_wait": "10s", "repeat_interval": "4h"},
        "receivers": [
            {"name": "desk", "email_configs": [{"to": "desk@liaison.invalid", "send_resolved": True}]},
        ],
    }
    account.file(folder / "alertmanager.yml", json.dumps(configuration, indent=2) + "\n")


def programs(installation: Installation) -> tuple[Program, ...]:
    """Return the server, without the gossip port that several of them would share."""
    folder = installation.home / "alertmanager"
    command = (
        required("/usr/bin/prometheus-alertmanager", "/usr/bin/alertmanager", "/usr/local/bin/alertmanager"),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{installation.ports['alertmanager']}",
        "--cluster.listen-address=",
    )
    return (Program("alertmanager", command, folder),)


def unhealthy_because(installation: Installation) -> str | None:
    """Return None when it takes alerts."""
    return unanswered_because(f"{installation.alertmanager_url}/-/ready")
