"""A training service for each test, and ways to call it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from eventkit.rpc import RpcClient
from liaison.installation import Installation
from services.training.service import TrainingService
from tests.eventkit.desk import Desk, desk_for, eventually
from tests.training.stories import ALL, MATERIALS, MODULES


@pytest.fixture
def training(installation: Installation) -> Iterator[Desk]:
    with desk_for(installation, TrainingService, {}) as desk:
        yield desk


@pytest.fixture
def call(training: Desk) -> Iterator[Any]:
    training.start()
    client = RpcClient(training.uri, "gateway")
    eventually(lambda: client.connected)
    yield lambda method, **arguments: client.call(
        training.definition.name, method, {"scope": ALL} | arguments, actor="E1", key=arguments.pop("key", None)
    )
    client.close()


@pytest.fixture
def month_end(call: Any) -> Any:
    """The catalogue: month end, then consolidation."""
    call("put_course", code="FIN-02", title="合并报表")
    return call(
        "put_course", code="FIN-01", title="总账月结", modules=MODULES, materials=MATERIALS, next_course="FIN-02"
    )
