"""Servers for the tests of the local platform itself: their own, since they are killed."""

from collections.abc import Iterator

import pytest

from deploy.local.servers import Servers, running_servers


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """A running broker and database in a folder that is removed afterwards."""
    with running_servers() as running:
        yield running
