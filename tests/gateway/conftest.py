"""One running gateway for all tests of the doors; each test begins with empty tables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.local.accounts import provision_databases
from liaison.installation import Installation
from tests.gateway.desk_stub import Tickets, running_tickets
from tests.gateway.door import Door
from tests.gateway.knowledge_stub import Asked, running_knowledge
from tests.gateway.training_stub import Training, running_training


# Not for the session: between two files of this folder the same process may test others that empty the databases.
@pytest.fixture(scope="package")
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


@pytest.fixture
def training(door: Door) -> Iterator[Training]:
    with running_training(door.installation) as stub:
        yield stub


@pytest.fixture
def knowledge(door: Door) -> Iterator[Asked]:
    with running_knowledge(door.installation) as asked:
        yield asked
