"""Knowledge under test, one for each test that asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from liaison.installation import Installation
from tests.knowledge.library import Library, library_of


@pytest.fixture
def library(installation: Installation, search_server: Installation) -> Iterator[Library]:
    """Knowledge with an index of its own; one replica runs."""
    with library_of(installation, search_server) as library:
        library.start()
        yield library
