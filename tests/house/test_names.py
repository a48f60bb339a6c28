"""A name says what is in a file; no drawer takes whatever has no place. Source: notes/style.md 3.2."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.source import ROOT, files

DRAWERS = {"util", "helper", "common", "manager", "base", "misc", "core"}
# conftest.py is pytest's name; a file of ours with that ending would be a drawer.


def drawers(path: Path) -> list[str]:
    """Return the parts of a path that name a drawer, alone or at the end of a longer name, in singular or plural."""
    words = [part.partition(".")[0].lower().replace("-", "_").split("_")[-1] for part in path.parts]
    return [word for word in words if word in DRAWERS or word.removesuffix("s") in DRAWERS]


def test_no_file_or_folder_is_a_drawer() -> None:
    found = [path.relative_to(ROOT) for path in files() if drawers(path.relative_to(ROOT))]
    assert found == []


@pytest.mark.parametrize(
    "path",
    ["eventkit/utils.py", "services/tickets/sla_helper.py", "liaison/core/cli.py", "tests/common.py", "base.html"],
)
def test_a_drawer_is_seen(path: str) -> None:
    assert drawers(Path(path))


@pytest.mark.parametrize("path", ["eventkit/database.py", "services/notify/channels.py", "liaison/scores.py"])
def test_a_name_that_only_looks_like_a_drawer_may_stay(path: str) -> None:
    assert not drawers(Path(path))
