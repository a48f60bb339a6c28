"""What other systems install: the wheel builds, holds what it should, and runs where nothing of ours is."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pika
import pytest

from tests.house.source import ROOT

SOURCE = ROOT / "clients" / "python"
MODULES = sorted((SOURCE / "liaison_client").glob("*.py"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, since the builder leaves its own folders behind."""
    folder = tmp_path_factory.mktemp("wheel")
    copied = folder / "python"
    (copied / "liaison_client").mkdir(parents=True)
    for path in (SOURCE / "pyproject.toml", SOURCE / "README.md", SOURCE / "liaison_client" / "py.typed", *MODULES):
        (copied / path.relative_to(SOURCE)).write_bytes(path.read_bytes())
    built = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder, copied],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    [found] = folder.glob("*.whl")
    return found


def test_the_wheel_holds_the_library_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == "liaison_client-0.1.0-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    own = {f"liaison_client/{path.name}" for path in MODULES} | {"liaison_client/py.typed"}
    assert {name for name in names if not name.startswith("liaison_client-0.1.0.dist-info/")} == own
    with zipfile.ZipFile(wheel) as opened:
        metadata = opened.read("liaison_client-0.1.0.dist-info/METADATA").decode()
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: ")]
    assert [line.split()[1].split("<")[0].split(">")[0] for line in required] == ["pika", "tomli"]
    assert "Requires-Python: >=3.9" in metadata


def test_it_runs_where_nothing_of_ours_is_installed(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel],
        check=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    # Its one dependency, without asking any registry.
    [site] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (site / "pika").symlink_to(Path(pika.__file__).parent)
    env = {
        "PATH": "/usr/bin:/bin",
        "LIAISON_AMQP": "amqp://crm:x@127.0.0.1:1/liaison",
        "LIAISON_SPOOL": str(tmp_path / "crm.spool"),
    }
    command = [str(python.with_name("liaison-publish")), "publish", "-", "--wait", "0.1"]
    told = subprocess.run(
        command, input='{"type": "crm.x"}', env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout.split(" are ")[0]) == (3, "1 events"), told.stderr
    code = "import sys, liaison_client.facts; print(len(liaison_client.facts.FACTS), *sys.modules)"
    loaded = subprocess.run([python, "-I", "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert not {"msgspec", "contracts", "eventkit", "sqlalchemy"} & set(loaded.split())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_it_is_written_for_python_3_9(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 9))
    # With it, annotations are never evaluated, and may be written as in later versions.
    assert any(isinstance(one, ast.ImportFrom) and one.module == "__future__" for one in tree.body)


def test_the_types_of_the_library_are_whole() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", SOURCE / "pyproject.toml", "-p", "liaison_client"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
