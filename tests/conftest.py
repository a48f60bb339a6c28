"""Servers that tests share: private ones, on free ports, gone when the run is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local import elasticsearch
from deploy.local.servers import private_servers
from liaison.installation import Installation

pytest_plugins = ["tests.seeds"]


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """RabbitMQ and PostgreSQL of this test run; LIAISON_TEST_HOME names running ones, for quick rounds by hand."""
    running = os.environ.get("LIAISON_TEST_HOME")
    if running:
        yield Installation.load(Path(running))
        return
    with private_servers() as servers:
        yield servers


@pytest.fixture
def desk(installation: Installation) -> Iterator[Callable[..., Any]]:
    """A factory of services under test: `desk(handle=…)`."""
    from contextlib import ExitStack

    from tests.eventkit.desk import desk_of

    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(desk_of(installation, **options))


@pytest.fixture(scope="session")
def search_server() -> Iterator[Installation]:
    """Elasticsearch of this test run, with the services' accounts; one for all tests that ask for it."""
    running = os.environ.get("LIAISON_TEST_HOME")
    if running and elasticsearch.unhealthy_because(found := Installation.load(Path(running))) is None:
        yield found
        return
    with private_servers(parts=("elasticsearch",)) as servers:
        yield servers
