"""A wheel built from the checkout holds what the services read when they run: not their modules alone."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.house.source import PRODUCT, ROOT, files, named


def packaged() -> list[Path]:
    """Return the files of the repository that belong to what is installed."""
    return [path for path in files() if path.relative_to(ROOT).parts[0] in PRODUCT]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names in the wheel. It is built from a copy, since the builder leaves its own folders behind."""
    copy, built = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    for path in (ROOT / "pyproject.toml", *packaged()):
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    compiled = (
        copy / "services" / "tickets" / "migrations" / "versions" / "__pycache__" / "t0001_tables.cpython-311.pyc"
    )
    compiled.parent.mkdir()
    compiled.touch()
    command = ["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(built)]
    done = subprocess.run([sys.executable, *command, str(copy)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [found] = built.glob("*.whl")
    return zipfile.ZipFile(found).namelist()


def test_whatever_lies_beside_the_modules_is_in_the_wheel(wheel: list[str]) -> None:
    beside = [named(path) for path in packaged() if path.suffix != ".py"]
    assert len(beside) > 90
    assert [name for name in beside if name not in wheel] == []


def test_so_is_every_module_and_nothing_that_git_does_not_know(wheel: list[str]) -> None:
    assert {name for name in wheel if ".dist-info/" not in name} == {named(path) for path in packaged()}
    assert "services/tickets/migrations/versions/t0001_tables.py" in wheel
