"""Mapping files: what they make, and how their faults are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eventkit.envelope import RawEvent
from eventkit.errors import BadMessage, BadSettings
from services.gateway import mappings
from tests.gateway.door import FOLDER

HEAD = "publisher: erp\ntypes:\n  erp.x:\n    becomes: liaison.ticket.requested.v1\n"


def made(template: str, data: Any, *, more: str = "", field: str = "description") -> Any:
    """Return what a template makes of data; KeyError when it makes nothing."""
    text = f"{HEAD}{more}    data:\n      title: t\n      {field}: {template}\n"
    _, types, faults = mappings.read("erp.yaml", text.encode())
    assert faults == []
    raw = RawEvent(attributes={"id": "1", "subject": "S1"}, data=json.dumps(data).encode())
    return json.loads(types["erp.x"].apply(raw)[1])[field]


@pytest.mark.parametrize(
    ("template", "data", "value"),
    [
        pytest.param('"{data.a}"', {"a": 5}, 5, id="a lone placeholder keeps the type"),
        pytest.param('"n {data.a}"', {"a": 5}, "n 5", id="in a text it becomes text"),
        pytest.param('"{data.a}"', {"a": False}, False, id="false is given"),
        pytest.param('"{data.a}"', {"a": 0}, 0, id="zero is given"),
        pytest.param('"n {data.a}"', {"a": True}, "n true", id="truth as JSON writes it"),
        pytest.param('"{data.a.b} {subject}"', {"a": {"b": "x"}}, "x S1", id="a path and an attribute"),
        pytest.param('"{{data.a}} {data.a}"', {"a": "x"}, "{data.a} x", id="doubled braces are meant"),
        pytest.param('"{data.a}"', {"a": "{data.b}"}, "{data.b}", id="what was sent is no template"),
        pytest.param("plain", {}, "plain", id="a constant"),
        pytest.param("{from: data.a, map: {1: one, 2: two}}", {"a": 2}, "two", id="a choice by number"),
        pytest.param('{from: data.a, map: {"1": one}, default: other}', {"a": 2}, "other", id="a default"),
        pytest.param('{from: data.a, map: {"1": one}, default: other}', {}, "other", id="a default for nothing"),
    ],
)
def test_templates_make_values(template: str, data: Any, value: Any) -> None:
    assert made(template, data) == value


@pytest.mark.parametrize(
    ("template", "data"),
    [
        pytest.param('"{data.a}"', {}, id="missing"),
        pytest.param('"{data.a}"', {"a": None}, id="null"),
        pytest.param('"n {data.a}"', {"a": "?"}, id="a text that means absent"),
        pytest.param('"{data.a.b}"', {"a": "x"}, id="a path through a text"),
        pytest.param('"{data.a}"', [1], id="data that is no object"),
        pytest.param("{from: data.a, map: {x: y}}", {"a": "?"}, id="a choice of nothing"),
    ],
)
def test_what_a_placeholder_does_not_find_makes_the_field_absent(template: str, data: Any) -> None:
    with pytest.raises(KeyError):
        made(template, data, more='    absent: ["?", ""]\n')


def test_a_choice_that_is_not_mapped_names_the_publishers_field() -> None:
    with pytest.raises(BadMessage) as refused:
        made("{from: data.a, map: {x: y}}", {"a": "z"})
    assert refused.value.field == "data.a"


def test_a_list_and_an_object_are_made_of_templates() -> None:
    text = (
        "publisher: hr\ntypes:\n  hr.x:\n    becomes: liaison.person.changed.v1\n    subject: '{data.no}'\n    data:\n"
        "      employee_number: '{data.no}'\n      version: '{data.v}'\n      name: '{data.name}'\n"
        "      roles: ['{data.role}', staff, '{data.none}']\n"
        "      away: [{begin_at: '{data.from}', end_at: '{data.to}'}]\n"
    )
    _, types, faults = mappings.read("hr.yaml", text.encode())
    assert faults == []
    sent = {
        "no": "E1",
        "v": 3,
        "name": "王",
        "role": "lead",
        "from": "2026-01-01T00:00:00Z",
        "to": "2026-01-02T00:00:00Z",
    }
    envelope, data = types["hr.x"].apply(RawEvent(attributes={}, data=json.dumps(sent).encode()))
    assert envelope == {"subject": "E1"}
    assert json.loads(data)["roles"] == ["lead", "staff"]
    assert json.loads(data)["away"] == [{"begin_at": sent["from"], "end_at": sent["to"]}]


WRONG = """publisher: erp
colour: red
types:
  erp.a:
    becomes: liaison.ticket.opened.v1
  erp.b:
    becomes: liaison.ticket.requested.v1
    absent: none
    data:
      titel: x
      priority: {from: data.p, map: {a: 9}}
      channel: hotlin
      region: "{data.}"
      group: {from: data.g}
      category: {from: data.c, map: {1: a, true: b}}
      region: twice
  liaison.ticket.requested.v1:
    becomes: liaison.ticket.requested.v1
    data: {title: "{"}
"""


def test_every_fault_is_told_at_once_with_file_line_and_reason(tmp_path: Path) -> None:
    (tmp_path / "erp.yaml").write_text(WRONG, "utf-8")
    (tmp_path / "oa.yaml").write_text("types: [", "utf-8")
    (tmp_path / "hr.yaml").write_text("types: {}\n", "utf-8")
    with pytest.raises(BadSettings) as wrong:
        mappings.load(tmp_path)
    told = str(wrong.value)
    found = {line.split(": ")[0] for line in told.splitlines()[1:]}
    lines = {
        2: "colour",
        5: "ticket.opened",
        8: "absent",
        10: "titel",
        11: "9",
        12: "hotlin",
        14: "choice",
        15: "`true` and `1`",
        16: "twice",
    }
    for line, word in lines.items():
        assert any(word in one for one in told.splitlines() if one.startswith(f"erp.yaml:{line}:")), (line, told)
    assert {"hr.yaml:1", "oa.yaml:1"} <= found
    assert "needs `title`" in told
    assert "cannot be a type of a publisher's own" in told
    assert "lone `{`" in told


def test_two_files_of_one_publisher_are_a_fault(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("publisher: erp\ntypes: {}\n", "utf-8")
    with pytest.raises(BadSettings, match=r"b.yaml:1: erp has another"):
        mappings.load(tmp_path)


def test_the_shipped_files_are_right() -> None:
    found = mappings.load(FOLDER / "mappings")
    assert set(found) >= {"erp", "monitoring"}
    assert set(found["erp"]) >= {"erp.user.locked_out", "erp.printer.failed"}
