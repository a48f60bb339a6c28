"""The whole way of an alert on real parts: services, Prometheus, Alertmanager, broker, database and mail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.local import alertmanager, prometheus
from deploy.local.account import parts_account
from deploy.local.mailbox import MailFolder
from deploy.local.mailserver import MailServer
from deploy.local.servers import Servers
from liaison.installation import Installation
from liaison.tokens import let_alertmanager_in
from tests.alerts.monitored import RUNNING, Monitored
from tests.alerts.rules import ROUTES, RULES
from tests.system import System

_QUICK = {"group_wait": "1s", "group_interval": "2s", "repeat_interval": "3s"}


def _in_a_hurry(folder: Path) -> tuple[Path, Path]:
    """Write rules of little patience and routes that repeat every few seconds; they are otherwise the shipped ones."""
    (folder / RULES.name).write_text(re.sub(r"for: \d+m", "for: 12s", RULES.read_text("utf-8")), "utf-8")
    document = yaml.safe_load(ROUTES.read_text("utf-8"))
    document["route"] |= _QUICK
    document["route"]["routes"][0] |= _QUICK
    routes = folder / "alertmanager.yml"
    routes.write_text(yaml.safe_dump(document), "utf-8")
    return folder, routes


@pytest.fixture(scope="package")
def monitored(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    """Four services with everything that watches them."""
    folder = tmp_path_factory.mktemp("monitored")
    mails = MailFolder(tmp_path_factory.mktemp("mails"))
    rules, routes = _in_a_hurry(folder)
    servers = Servers(installation, parts_account())
    with (
        pytest.MonkeyPatch.context() as patch,
        MailServer(mails, installation.ports["smtp"], installation.ports["smtp_page"]),
    ):
        patch.setattr(prometheus, "RULES", rules)
        patch.setattr(alertmanager, "CONFIGURATION", routes)
        system = System(installation, folder)
        try:
            system.prepare()
            let_alertmanager_in(installation)
            system.start(RUNNING)
            monitored = Monitored(system, servers, mails)
            monitored.forget_the_watchdog()
            servers.start("prometheus", "alertmanager")
            yield monitored
        finally:
            for part in ("prometheus", "alertmanager"):
                servers.stop(part)
            # Only these two are ours; broker and database belong to whoever started the installation.
            servers._keeper.close()
            system.stop()
            system.clear_broker()
