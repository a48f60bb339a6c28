"""The whole system for stories that cross services."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.mailbox import MailFolder
from deploy.local.mailserver import MailServer
from liaison.installation import Installation
from tests.replay.system import System, running_system


@pytest.fixture(scope="module")
def mails(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailFolder]:
    """Where mails arrive."""
    folder = MailFolder(tmp_path_factory.mktemp("mails"))
    with MailServer(folder, installation.ports["smtp"], installation.ports["smtp_page"]):
        yield folder


@pytest.fixture(scope="module")
def system(installation: Installation, mails: MailFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Four services as processes of their own, with empty databases."""
    with running_system(installation, Path(tmp_path_factory.mktemp("logs"))) as system:
        yield system
