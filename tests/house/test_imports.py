"""The contracts of import-linter see what they are for: each is broken once in a copy of the tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import PRODUCT, ROOT, files


def told(folder: Path) -> str:
    """Run import-linter there and return what it says."""
    command = "import sys; sys.path.insert(0, ''); from importlinter.cli import lint_imports_command as run; run()"
    said = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    ).stdout
    assert "Contracts: " in said, said
    return said


def broken_contracts(said: str) -> list[str]:
    """Return the names of the contracts that are broken."""
    return [line.partition(" BROKEN")[0] for line in said.splitlines() if " BROKEN" in line]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what import-linter reads."""
    copied = tmp_path_factory.mktemp("tree")
    for path in files():
        inside = path.relative_to(ROOT)
        if path.suffix == ".py" and inside.parts[0] in PRODUCT:
            (copied / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copied / inside)
    shutil.copy(ROOT / "pyproject.toml", copied)
    return copied


def test_every_contract_is_kept(tree: Path) -> None:
    said = told(tree)
    assert broken_contracts(said) == [], said


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        pytest.param(
            "services/notify/wording.py", "import services.tickets.rules", "Services meet", id="service to service"
        ),
        pytest.param("eventkit/inbox.py", "import services.tickets.rules", "Shared code", id="eventkit to a service"),
        pytest.param("contracts/tickets.py", "import eventkit.errors", "Shared code", id="contracts to eventkit"),
        pytest.param(
            "eventkit/inbox.py", "import contracts.documents.files", "Nothing that runs", id="the tool at run time"
        ),
        pytest.param("deploy/local/ports.py", "import eventkit.errors", "The platform", id="the platform to eventkit"),
        pytest.param(
            "services/tickets/usecases.py",
            "import services.tickets.storage",
            "Inside a service",
            id="use case to storage",
        ),
        pytest.param(
            "services/metrics/rules.py", "import services.metrics.usecases", "Inside a service", id="rule to use case"
        ),
        pytest.param("services/tickets/rules.py", "import sqlalchemy", "Rules, use cases", id="a rule with a database"),
        pytest.param(
            "services/notify/usecases.py", "import eventkit.work", "Rules, use cases", id="a database by detour"
        ),
        pytest.param("services/notify/channels.py", "import pika", "Only eventkit", id="a service speaks AMQP"),
        pytest.param("liaison/dead.py", "import nameko", "Only eventkit", id="a command knows the framework"),
        pytest.param("services/metrics/page.py", "import fastapi", "Only the gateway", id="a second web server"),
    ],
)
def test_a_contract_breaks(tree: Path, file: str, line: str, broken: str) -> None:
    path = tree / file
    text = path.read_text()
    path.write_text(f"{text}\n{line}\n")
    try:
        said = told(tree)
    finally:
        path.write_text(text)
    assert any(name.startswith(broken) for name in broken_contracts(said)), said
    module = file.removesuffix(".py").replace("/", ".")
    assert f"{module} -> {line.removeprefix('import ')}" in said, said
