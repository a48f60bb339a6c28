"""What compose.yaml needs and cannot say.

python -m deploy.compose secrets      write deploy/compose/secrets, once; run again, it adds what is missing
python -m deploy.compose databases    give each service its role and its database (the service `migrate` runs this)
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

import click

from deploy.local import accounts, elasticsearch
from liaison.installation import ALERTMANAGER_TOKEN, HOST, SERVICES, Installation

FOLDER = Path(__file__).parent / "secrets"

MAILBOX_SECRET = "gateway_mailbox_password"

#: Where the parts listen among the containers: host and port by part of the installation.
PLACES: Mapping[str, tuple[str, int]] = {
    "rabbitmq": ("rabbitmq", 5672),
    "rabbitmq_management": ("rabbitmq", 15672),
    "rabbitmq_prometheus": ("rabbitmq", 15692),
    "postgresql": ("postgresql", 5432),
    "elasticsearch": ("elasticsearch", 9200),
    "prometheus": ("prometheus", 9090),
    "alertmanager": ("alertmanager", 9093),
    "gateway": ("gateway", 8480),
    **{f"{service}_page": (service, 8481) for service in SERVICES},
}


@click.group(help=__doc__)
def main() -> None:
    """Take a command."""


@main.command(name="secrets")
@click.option("--folder", type=click.Path(path_type=Path), default=FOLDER, show_default=True)
@click.option("--smtp-uri", help="Your mail server: smtp+starttls://account:password@host; or fill in the file.")
@click.option("--mailbox-password", help="Of the mailbox that LIAISON_MAILBOX in .env names, if there is one.")
def write_secrets(folder: Path, smtp_uri: str | None, mailbox_password: str | None) -> None:
    """Write the secrets as files, in a folder that only you can enter."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name, content in contents(_kept(folder)).items():
        _write(folder / name, content)
    if not (folder / "grafana_password").exists():
        _write(folder / "grafana_password", secrets.token_urlsafe(24))
    if smtp_uri:
        _write(folder / "notify_smtp_uri", smtp_uri)
    if mailbox_password or not (folder / MAILBOX_SECRET).exists():
        _write(folder / MAILBOX_SECRET, mailbox_password or "there is no mailbox")
    click.echo(f"written to {folder}")
    if not (folder / "notify_smtp_uri").exists():
        click.echo(f"{folder / 'notify_smtp_uri'} is missing: put your mail server there, or use --smtp-uri", err=True)


@main.command()
def databases() -> None:
    """Give each service one role and one database that only this role may enter."""
    accounts.provision_databases(Installation.load())


def contents(installation: Installation) -> dict[str, str]:
    """Return the files of an installation whose passwords are kept in the first of them."""
    found = {
        "installation.json": _document(installation),
        "rabbitmq_administrator.conf": _administrator(installation),
        "postgresql_password": installation.passwords["postgresql:postgres"],
        "elasticsearch_password": installation.passwords["elasticsearch:elastic"],
        "link_keys": installation.passwords["liaison:links"],
        "alertmanager_token": installation.passwords[ALERTMANAGER_TOKEN],
    }
    for service in SERVICES:
        found[f"{service}_amqp_uri"] = _among_containers(installation.amqp_uri(service), "rabbitmq")
        found[f"{service}_database_uri"] = _among_containers(installation.database_uri(service), "postgresql")
    for service in elasticsearch.SEARCHERS:
        found[f"{service}_elasticsearch_url"] = _among_containers(installation.search_url(service), "elasticsearch")
    for name, content in elasticsearch.accounts(installation).items():
        found[f"elasticsearch_{name.removesuffix('.yml')}"] = content
    return found


def _kept(folder: Path) -> Installation:
    """Return the installation of the folder, with new passwords for what is new, and the containers' ports."""
    kept = Installation.open_or_make(folder)
    return Installation(kept.home, {part: port for part, (_, port) in PLACES.items()}, kept.passwords)


def _document(installation: Installation) -> str:
    hosts = {part: host for part, (host, _) in PLACES.items()}
    document = {"ports": dict(installation.ports), "hosts": hosts, "passwords": dict(installation.passwords)}
    return json.dumps(document, indent=2) + "\n"


def _administrator(installation: Installation) -> str:
    name, password = installation.management_auth
    return f"default_user = {name}\ndefault_pass = {password}\n"


def _among_containers(uri: str, part: str) -> str:
    return uri.replace(f"@{HOST}:", f"@{PLACES[part][0]}:")


def _write(path: Path, content: str) -> None:
    """Write a file that the containers' own users can read; the folder keeps everybody else out."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(content, "utf-8")
    fresh.chmod(0o444)
    fresh.rename(path)


if __name__ == "__main__":
    main()
