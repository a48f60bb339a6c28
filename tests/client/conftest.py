"""A gateway with its publisher `erp`, and publishers of the library under test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from liaison_client import Publisher, Settings

from deploy.local.accounts import provision_databases
from liaison.installation import Installation
from tests.gateway.door import Door


# Not longer: its own connection does not outlive the minutes of the fault tests.
@pytest.fixture(scope="module")
def open_door(installation: Installation) -> Iterator[Door]:
    provision_databases(installation, ["gateway"])
    door = Door(installation)
    yield door
    door.close()


@pytest.fixture
def door(open_door: Door) -> Door:
    open_door.clean()
    return open_door


@pytest.fixture
def settings(door: Door, tmp_path: Path) -> Settings:
    return Settings.of(door.erp.amqp_uri, spool=tmp_path / "erp.spool")


@pytest.fixture
def publisher(settings: Settings) -> Iterator[Callable[..., Publisher]]:
    """A factory of publishers that are closed at the end."""
    with ExitStack() as stack:

        def make(settings: Settings = settings, **options: Any) -> Publisher:
            made = Publisher(settings, **options)
            stack.callback(made.close, timeout_s=0)
            return made

        yield make


@pytest.fixture
def offline(tmp_path: Path) -> Settings:
    """Settings of an account whose broker is never there."""
    return Settings.of("amqp://erp:secret@127.0.0.1:1/liaison", spool=tmp_path / "erp.spool")
