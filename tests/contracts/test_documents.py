"""The generated files: up to date, valid, and telling who really sends and receives."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from contracts.documents.asyncapi import EXCHANGE, VIRTUAL_HOST
from contracts.documents.files import FOLDER, check, examples, project_version, release, released, schemas, write
from contracts.register import FACTS
from eventkit import broker, topology
from eventkit.envelope import Event, to_headers
from liaison.services import ALL, definition

# The schema of the AsyncAPI Initiative, from its npm package @asyncapi/specs 6.11.1 (Apache-2.0), without white space.
STANDARD = Path(__file__).with_name("asyncapi-3.0.0.json")


@cache
def asyncapi() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "asyncapi.json").read_text())
    return found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the folder of contracts, to be spoilt."""
    shutil.copytree(FOLDER, tmp_path / "contracts", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    shutil.copy(FOLDER.parent / "pyproject.toml", tmp_path)
    return tmp_path / "contracts"


def test_what_is_checked_in_is_what_would_be_written() -> None:
    assert list(check(FOLDER)) == []


def test_writing_again_changes_nothing(copy: Path) -> None:
    before = {path: path.read_bytes() for path in copy.rglob("*.json")}
    assert list(write(copy)) == []
    assert {path: path.read_bytes() for path in copy.rglob("*.json")} == before


def test_a_changed_a_missing_and_a_strange_file_are_told(copy: Path) -> None:
    (copy / "asyncapi.json").write_text("{}")
    (copy / "schemas" / "liaison.ticket.opened.v1.json").unlink()
    (copy / "schemas" / "liaison.ticket.eaten.v1.json").write_text("{}")
    (copy / "examples" / "liaison.ticket.eaten.v1.json").write_text("{}")
    told = " ".join(check(copy))
    for part in ("asyncapi.json is out of date", "opened.v1.json is missing", "schemas/liaison.ticket.eaten.v1.json"):
        assert part in told
    assert "examples/liaison.ticket.eaten.v1.json belongs to no event type" in told


def test_an_event_without_an_example_is_told(copy: Path) -> None:
    (copy / "examples" / "liaison.ticket.opened.v1.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"liaison\.ticket\.opened\.v1"):
        list(check(copy))


def test_a_break_of_the_last_release_is_told_and_cannot_be_released_over(copy: Path) -> None:
    older = released(copy)
    older["liaison.ticket.opened.v1"]["properties"]["smell"] = {"type": "string", "default": ""}
    (copy / "released" / "0.0.9.json").write_text(json.dumps(older))
    (copy / "released" / "0.0.10.json").write_text(json.dumps(schemas()))
    (copy / "released" / f"{project_version(copy)}.json").unlink()
    assert list(check(copy)) == []
    assert list(release(copy)) == []
    assert released(copy) == schemas()
    (copy / "released" / f"{project_version(copy)}.json").unlink()
    (copy / "released" / "0.0.10.json").unlink()
    assert list(release(copy)) == ["liaison.ticket.opened.v1: data.smell was removed"]
    shutil.copy(copy / "released" / "0.0.9.json", copy / "released" / f"{project_version(copy)}.json")
    assert list(check(copy)) == ["liaison.ticket.opened.v1: data.smell was removed"]


def test_a_version_is_released_once(copy: Path) -> None:
    kept = copy / "released" / f"{project_version(copy)}.json"
    kept.write_text("{}")
    [told] = release(copy)
    assert f"released/{kept.name}" in told
    assert "raise the version in pyproject.toml" in told
    assert kept.read_text() == "{}"


def test_the_document_keeps_the_standard() -> None:
    standard = json.loads(STANDARD.read_text())
    jsonschema.Draft7Validator(standard).validate(asyncapi())


def test_every_reference_leads_somewhere() -> None:
    references = [node["$ref"] for node in _nodes(asyncapi()) if "$ref" in node]
    assert references
    for reference in references:
        found = asyncapi()
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _nodes(each)


def test_a_channel_is_a_type_on_the_exchange_of_events() -> None:
    assert set(asyncapi()["channels"]) == set(FACTS)
    assert (EXCHANGE, VIRTUAL_HOST) == (broker.EVENTS, topology.VHOST)
    assert {channel["address"] for channel in asyncapi()["channels"].values()} == set(FACTS)


@pytest.mark.parametrize("service", ALL)
def test_operations_are_what_the_service_does(service: str) -> None:
    received = {
        operation["channel"]["$ref"].removeprefix("#/channels/")
        for operation in asyncapi()["operations"].values()
        if operation["tags"] == [{"name": service}] and operation["action"] == "receive"
    }
    assert received == set(definition(service).handlers)
    sent = {
        operation["channel"]["$ref"].removeprefix("#/channels/")
        for operation in asyncapi()["operations"].values()
        if operation["tags"] == [{"name": service}] and operation["action"] == "send"
    }
    assert sent == {event_type for event_type, fact in FACTS.items() if fact.emitter() == service}


def test_the_headers_are_those_that_the_envelope_writes() -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    least: dict[str, Any] = {"id": "1", "source": "/a", "type": "t", "subject": "s", "time": now, "data": None}
    least["partitionkey"] = "/a s"
    most: dict[str, Any] = {"sequence": 1, "traceparent": "00", "actor": "E1", "externalref": "x", "history": True}
    headers = asyncapi()["components"]["messageTraits"]["cloudEvent"]["headers"]
    assert headers["required"] == list(to_headers(Event(**least)))
    every = to_headers(Event(**least, **most, arrived_at=datetime(2026, 3, 3, tzinfo=UTC)))
    assert list(headers["properties"]) == list(every)


def test_the_examples_in_the_document_keep_its_own_schemas() -> None:
    components = asyncapi()["components"]
    whole = {"components": components}
    for message in components["messages"].values():
        for shown in message["examples"]:
            for part, schema in (
                (shown["payload"], message["payload"]),
                (shown["headers"], components["messageTraits"]["cloudEvent"]["headers"]),
            ):
                jsonschema.Draft7Validator({**whole, **schema}).validate(part)
    assert len(examples(FOLDER)) == len(components["messages"])


@pytest.mark.parametrize("event_type", sorted(FACTS))
def test_every_schema_says_in_words_what_it_is(event_type: str) -> None:
    whole = schemas()[event_type]
    for part in (whole, *whole.get("$defs", {}).values()):
        assert part["title"]
        assert len(part["description"]) > 15, part["title"]
