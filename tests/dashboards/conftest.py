"""The services under a real Prometheus, with a story told to the metrics service."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest

from deploy.local.account import parts_account
from deploy.local.servers import Servers
from liaison.installation import Installation
from tests.dashboards.unwell import make_unwell, muted
from tests.dashboards.watched import RUNNING, Watched, WatchedSystem
from tests.metrics.stories import told


@pytest.fixture(scope="module")
def watched(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Services that Prometheus reads, some of them unwell, after a month of a desk has been told to metrics."""
    servers = Servers(installation, parts_account())
    system = WatchedSystem(installation, tmp_path_factory.mktemp("watched"))
    try:
        system.prepare()
        with muted(system), closing(Watched(system)) as watched:
            system.start(RUNNING)
            make_unwell(system)
            # For five minutes Prometheus shows the last values of whom it read in an earlier test.
            shutil.rmtree(installation.home / "prometheus" / "data", ignore_errors=True)
            servers.start("prometheus")
            watched.keep_busy()
            watched.tell(told(4, tickets=120, others=60, now=datetime.now(UTC)))
            yield watched
    finally:
        servers.stop("prometheus")
        # Only Prometheus is ours; broker and database belong to whoever started the installation.
        servers._keeper.close()
        system.stop()
        system.clear_broker()
