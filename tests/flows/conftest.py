"""The whole system for stories that cross services."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local.mailbox import MailFolder
from deploy.local.mailserver import MailServer
from liaison.installation import Installation
from services.knowledge.search import SearchIndex
from services.knowledge.settings import SEARCH_PREFIX
from tests.system import System, running_system

_SEARCH = "elasticsearch"


@pytest.fixture(scope="module")
def mails(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailFolder]:
    """Where mails arrive."""
    folder = MailFolder(tmp_path_factory.mktemp("mails"))
    with MailServer(folder, installation.ports["smtp"], installation.ports["smtp_page"]):
        yield folder


@pytest.fixture(scope="module")
def system(
    installation: Installation,
    search_server: Installation,
    mails: MailFolder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[System]:
    """Every service as a process of its own, with empty databases, and a search server."""
    searching = {name: secret for name, secret in search_server.passwords.items() if name.startswith(_SEARCH)}
    whole = replace(
        installation,
        ports={**installation.ports, _SEARCH: search_server.ports[_SEARCH]},
        passwords={**installation.passwords, **searching},
    )
    _empty_the_search(whole)
    with running_system(whole, Path(tmp_path_factory.mktemp("logs"))) as system:
        yield system


def _empty_the_search(installation: Installation) -> None:
    """Let no story find the articles of the story before, whose ids begin at the same number."""
    with closing(SearchIndex(installation.search_url("knowledge"), SEARCH_PREFIX, timeout_s=30)) as index:
        for generation in index.generations():
            index.remove(generation)
