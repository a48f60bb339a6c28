"""One running gateway for all tests of the doors; each test begins with empty tables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.local.accounts import provision_databases
from liaison.installation import Installation
from tests.gateway.desk_stub import Tickets, running_tickets
from tests.gateway.door import Door


@pytest.fixture(scope="session")
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
def tickets(door: Door) -> Iterator[Tickets]:
    with running_tickets(door.installation) as stub:
        yield stub
