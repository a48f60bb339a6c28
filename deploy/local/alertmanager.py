"""A private Alertmanager: deploy/alertmanager/alertmanager.yml with the addresses of this installation."""

import json
from pathlib import Path
from typing import Any

import yaml

from deploy.local.account import UnixAccount
from deploy.local.pages import unanswered_because
from deploy.local.program import Program, required
from liaison.installation import ALERTMANAGER_TOKEN, HOST, Installation

PORTS = ("alertmanager",)

#: Routes and receivers of the checkout; read at start.
CONFIGURATION = Path(__file__).resolve().parents[1] / "alertmanager" / "alertmanager.yml"


def prepare(installation: Installation, account: UnixAccount) -> None:
    """Write the configuration, and the token with which alerts come through the gateway's door."""
    folder = account.folder(installation.home / "alertmanager")
    account.folder(folder / "data")
    token = account.file(folder / "gateway-token", installation.passwords[ALERTMANAGER_TOKEN])
    document = yaml.safe_load(CONFIGURATION.read_text("utf-8"))
    account.file(folder / "alertmanager.yml", configuration(installation, document, token))


def configuration(installation: Installation, document: dict[str, Any], token: Path) -> str:
    """Return the configuration as YAML (its subset JSON): our gateway, and the mail server that keeps what it gets."""
    document["global"] |= {
        "smtp_smarthost": f"{HOST}:{installation.ports['smtp']}",
        "smtp_hello": "localhost",
        "smtp_require_tls": False,
    }
    for receiver in document["receivers"]:
        for webhook in receiver.get("webhook_configs", ()):
            webhook["url"] = f"{installation.gateway_url}/v1/alerts"
            webhook["http_config"] = {
                **webhook["http_config"],
                "authorization": {"credentials_file": str(token)},
            }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


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
