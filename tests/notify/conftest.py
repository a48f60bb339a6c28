"""Notify under test, one for each test that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from liaison.installation import Installation
from tests.notify.office import Office, office_of


@pytest.fixture
def office(installation: Installation, tmp_path: Path) -> Iterator[Office]:
    """Notify with its mail server; the test starts the replicas."""
    with office_of(installation, tmp_path / "mails", {}) as office:
        yield office
