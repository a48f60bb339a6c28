"""A service that is added is known wherever services are listed."""

from __future__ import annotations

import tomllib

import pytest

from liaison import installation, services
from services.gateway.rules import BEHIND_THE_DOOR
from tests.house.source import ROOT, files

LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def packages() -> set[str]:
    """Return the folders of `services/` that hold a service."""
    found = (path.relative_to(ROOT).parts for path in files() if path.name == "service.py")
    return {parts[1] for parts in found if parts[0] == "services" and len(parts) == 3}


def contract(name: str, key: str) -> set[str]:
    """Return the services that a contract of import-linter lists."""
    [found] = [one[key] for one in LINTER if one["name"].startswith(name)]
    return {module.removeprefix("services.") for module in found if module.startswith("services.")}


@pytest.mark.parametrize(
    "listed",
    [
        pytest.param(set(services.ALL), id="liaison/services.py"),
        pytest.param(set(installation.SERVICES), id="liaison/installation.py"),
        pytest.param({services.GATEWAY, *BEHIND_THE_DOOR}, id="services/gateway/rules.py"),
        pytest.param(contract("Inside a service", "containers"), id="import-linter: layers"),
        pytest.param(
            {services.GATEWAY} | contract("Only the gateway knows", "source_modules"), id="import-linter: web framework"
        ),
    ],
)
def test_every_list_of_services_has_them_all(listed: set[str]) -> None:
    assert listed == packages()
