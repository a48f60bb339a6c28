"""`liaison status` names every part, and says by its exit code whether one is away."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploy.local.status import Part
from liaison import local
from liaison.installation import Installation

PARTS = [
    "gateway",
    "tickets",
    "training",
    "knowledge",
    "notify",
    "metrics",
    "prometheus",
    "rabbitmq",
    "postgresql",
    "elasticsearch",
    "alertmanager",
    "smtp",
]


@pytest.fixture
def without_services(liaison: Any, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """An installation whose broker and database run, and nothing else, whatever other tests keep running."""
    nobody = {name: 1 for name in installation.ports if not name.startswith(("rabbitmq", "postgresql"))}
    alone = Installation(installation.home, {**installation.ports, **nobody}, installation.passwords)
    monkeypatch.setattr(Installation, "load", lambda: alone)
    return alone


def test_programs_are_told_name_address_and_health_of_every_part(liaison: Any, without_services: Installation) -> None:
    result = liaison("status", "--json")
    [(key, parts)] = json.loads(result.output).items()
    assert key == "parts"
    assert [part["name"] for part in parts] == PARTS
    assert all(list(part) == ["name", "url", "healthy"] for part in parts)
    assert [part["name"] for part in parts if part["healthy"]] == ["rabbitmq", "postgresql"]
    ports = without_services.ports
    addresses = {part["name"]: part["url"] for part in parts}
    assert addresses["gateway"] == without_services.gateway_url
    assert addresses["rabbitmq"] == f"amqp://127.0.0.1:{ports['rabbitmq']}/liaison"
    assert addresses["postgresql"] == f"postgresql://127.0.0.1:{ports['postgresql']}"
    assert not any(password in result.output for password in without_services.passwords.values())


def test_people_are_told_why_a_part_is_away(liaison: Any, without_services: Installation) -> None:
    output = liaison("status").output
    assert all(part in output for part in PARTS)
    assert "refused" in output


def test_the_exit_code_says_whether_a_part_is_away(
    liaison: Any, without_services: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert liaison("status").exit_code == liaison("status", "--json").exit_code == 1
    monkeypatch.setattr(local, "parts", lambda installation: [Part(name, "http://x", True, None) for name in PARTS])
    assert liaison("status").exit_code == liaison("status", "--json").exit_code == 0


def test_without_an_installation_it_says_what_to_run(
    liaison: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("LIAISON_HOME", str(tmp_path))
    result = liaison("status", "--json")
    assert result.exit_code == 1
    assert "make run" in result.output
