"""The typed facts are the contracts': written from them, and read back by them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, get_type_hints

import msgspec
import pytest
from liaison_client import facts
from liaison_client.event import Event, pack

from contracts.gateway import ONLY_BY_MAIL
from contracts.register import FACTS
from eventkit.envelope import decode_data
from services.gateway.rules import ASKABLE
from tests.house.source import ROOT

TOOL = ROOT / "clients" / "python" / "write_facts.py"
BY_TYPE = {one.TYPE: one for one in facts.FACTS}


def test_the_module_is_what_the_contracts_say() -> None:
    checked = subprocess.run([sys.executable, TOOL, "check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_type_that_others_may_send_has_its_class() -> None:
    assert set(BY_TYPE) == set(ASKABLE)


@pytest.mark.parametrize("event_type", sorted(ASKABLE))
def test_an_example_goes_through_the_typed_class_unchanged(event_type: str) -> None:
    content = json.loads((ROOT / "contracts" / "examples" / f"{event_type}.json").read_text("utf-8"))["data"]
    content = {name: value for name, value in content.items() if name not in ONLY_BY_MAIL}
    typed = BY_TYPE[event_type](**content)
    assert decode_data(event_type, pack(Event.of(typed), "/x").body) == decode_data(
        event_type, json.dumps(content).encode()
    )


@pytest.mark.parametrize("event_type", sorted(ASKABLE))
def test_required_fields_are_required_and_all_fields_are_there(event_type: str) -> None:
    wanted = {one.name: one.required for one in msgspec.structs.fields(FACTS[event_type])}
    wanted = {name: required for name, required in wanted.items() if name not in ONLY_BY_MAIL}
    kind: Any = BY_TYPE[event_type]
    assert {one.name: one.default is MISSING for one in fields(kind)} == wanted
    if any(wanted.values()):
        with pytest.raises(TypeError, match="missing"):
            kind()


def test_a_module_that_drifted_is_noticed(tmp_path: Path) -> None:
    drifted = tmp_path / "facts.py"
    drifted.write_text(Path(facts.__file__).read_text("utf-8").replace("title: str", "heading: str", 1), "utf-8")
    checked = subprocess.run(
        [sys.executable, TOOL, "check", drifted], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 1
    assert "is not what the contracts say" in checked.stdout


def test_hints_can_be_read_by_tools() -> None:
    for kind in facts.FACTS:
        assert get_type_hints(kind, localns={"Literal": Literal})
