"""Servers that tests share: private ones, on free ports, gone when the run is."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local import elasticsearch
from deploy.local.servers import private_servers
from eventkit import broker
from liaison.installation import Installation

pytest_plugins = ["tests.seeds"]

_MEMORY, _ROOM_BYTES = Path("/dev/shm"), 10 * 2**30
if "TMPDIR" not in os.environ and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM_BYTES:
    # A database is made and dropped for each of two thousand tests: 15 ms in memory, ten times that on many a disk.
    # Processes may be killed all the same; what is written there is lost only with the machine.
    os.environ["TMPDIR"] = str(_MEMORY)
# A search server that lives for minutes is worth no second compiler: that took half of its processor time.
os.environ.setdefault("ES_JAVA_OPTS", "-XX:TieredStopAtLevel=1")
# Services and clients within the test's own process are stopped after each test: they look for that more often.
broker.LOOK_S = 0.02


# Folders whose tests all want the search server, which takes a processor ten seconds to start.
_SEARCHING = ("tests/flows/", "tests/knowledge/")


def pytest_collection_finish() -> None:
    """Leave what was collected alone: it stays until the end, and looking it over again took a tenth of the time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process a file at a time, and one process the whole of a folder that has a server of its own."""
    from xdist.scheduler import LoadFileScheduling

    def folder_or_file(test: str) -> str:
        return next((folder for folder in _SEARCHING if test.startswith(folder)), test.partition("::")[0])

    scheduling: Any = LoadFileScheduling(config, log)
    scheduling._split_scope = folder_or_file
    return scheduling


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
