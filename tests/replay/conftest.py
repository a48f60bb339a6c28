"""Servers of their own for replays, which empty every service's database; and what the real log says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.servers import private_servers
from liaison.installation import Installation
from tests.replay.truth import LOG, IncidentTruth, truth_of


@pytest.fixture(scope="package")
def servers() -> Iterator[Installation]:
    """RabbitMQ, PostgreSQL and a mail server that keeps what it gets."""
    running = os.environ.get("LIAISON_TEST_HOME")
    if running:
        yield Installation.load(Path(running))
        return
    with private_servers(parts=("rabbitmq", "postgresql", "smtp")) as installation:
        yield installation


@pytest.fixture(scope="package")
def truth() -> dict[str, IncidentTruth]:
    """What the real log says, by incident."""
    return truth_of(LOG)
