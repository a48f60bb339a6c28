"""A metrics service for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from liaison.installation import Installation
from tests.metrics.house import House, house_in
from tests.metrics.replica import Replicas, replicas_of


@pytest.fixture
def house(installation: Installation) -> Iterator[House]:
    """The metrics service with an empty database."""
    with house_in(installation) as house:
        yield house


@pytest.fixture
def replicas(installation: Installation, house: House, tmp_path: Path) -> Iterator[Replicas]:
    """Queues of the metrics service on the broker, and a way to start and kill its processes."""
    with replicas_of(installation, house, tmp_path / "replicas.log") as replicas:
        yield replicas
