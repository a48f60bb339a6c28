"""Every type has an example, and what other people learn from it is what our readers take."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from contracts.documents.files import FOLDER, examples, schemas
from contracts.documents.schema import identifier
from contracts.register import FACTS
from eventkit.envelope import CONTENT_TYPE, STRUCTURED_TYPE, decode_data, decode_time, encode_data, read_any
from eventkit.errors import BadMessage

TYPES = sorted(FACTS)
# Nobody holds the ticket, or somebody does: one example cannot say both.
_NOT_BOTH = {
    "liaison.ticket.update_requested.v1": {"unassigned", "ungrouped"},
    # Only what is public, as a comment is unless told, has its text there.
    "liaison.ticket.commented.v1": {"public"},
}
_ONLY_IN_HISTORY = {"retroactive"}


def example(event_type: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "examples" / f"{event_type}.json").read_text())
    return found


@pytest.mark.parametrize("event_type", TYPES)
def test_an_example_replays_to_the_same_data(event_type: str) -> None:
    body = (FOLDER / "examples" / f"{event_type}.json").read_bytes()
    raw = read_any(STRUCTURED_TYPE, {}, body)
    fact = decode_data(raw.attribute("type"), raw.data)
    assert type(fact) is FACTS[event_type]
    assert json.loads(encode_data(fact)) == example(event_type)["data"]


@pytest.mark.parametrize("event_type", TYPES)
@pytest.mark.parametrize("prefix", ["ce-", "cloudEvents:", "cloudEvents_"])
def test_an_example_means_the_same_in_every_form(event_type: str, prefix: str) -> None:
    whole = example(event_type)
    body = msgspec.json.encode(whole.pop("data"))
    headers = {f"{prefix}{name}": value for name, value in whole.items() if name != "datacontenttype"}
    binary = read_any(CONTENT_TYPE, headers, body)
    structured = read_any(STRUCTURED_TYPE, {}, (FOLDER / "examples" / f"{event_type}.json").read_bytes())
    assert binary.attributes == structured.attributes
    assert decode_data(event_type, binary.data) == decode_data(event_type, structured.data)


@pytest.mark.parametrize("event_type", TYPES)
def test_an_example_is_a_whole_envelope_of_its_type(event_type: str) -> None:
    whole = example(event_type)
    assert whole["type"] == event_type
    assert whole["dataschema"] == identifier(event_type)
    assert whole["partitionkey"] == f"{whole['source']} {whole['subject']}"
    assert int(whole["sequence"]) > 0
    assert decode_time(whole["time"]).tzinfo is not None
    owner = FACTS[event_type].emitter()
    passed_on = owner == "gateway" and event_type != "liaison.event.refused.v1"
    assert whole["source"].startswith("/liaison/") != passed_on


@pytest.mark.parametrize("event_type", TYPES)
def test_an_example_keeps_the_schema(event_type: str) -> None:
    schema = schemas()[event_type]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(example(event_type)["data"])


@pytest.mark.parametrize("event_type", TYPES)
def test_an_example_shows_every_field(event_type: str) -> None:
    shown = set(example(event_type)["data"])
    left_out = set(FACTS[event_type].__struct_fields__) - shown - _ONLY_IN_HISTORY
    assert left_out == _NOT_BOTH.get(event_type, set())


def test_examples_have_different_ids() -> None:
    ids = [whole["id"] for whole in examples(FOLDER).values()]
    assert len(set(ids)) == len(FACTS)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("priority", 5, id="a bound"),
        pytest.param("priority", "2", id="a type"),
        pytest.param("title", "", id="a length"),
        pytest.param("requester", "E 2041", id="a pattern"),
        pytest.param("title", None, id="null where it must not be"),
        pytest.param("channel", 7, id="not a word"),
    ],
)
def test_what_the_schema_forbids_our_reader_refuses(field: str, value: Any) -> None:
    event_type = "liaison.ticket.requested.v1"
    data = {**example(event_type)["data"], field: value}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schemas()[event_type]).validate(data)
    with pytest.raises(BadMessage, match=field):
        decode_data(event_type, msgspec.json.encode(data))


def test_a_moment_without_an_offset_is_refused() -> None:
    event_type = "liaison.ticket.opened.v1"
    data = {**example(event_type)["data"], "opened_at": "2026-03-02T09:12:31"}
    with pytest.raises(BadMessage, match="timezone"):
        decode_data(event_type, msgspec.json.encode(data))


def test_an_unknown_word_and_an_unknown_field_are_taken() -> None:
    event_type = "liaison.ticket.requested.v1"
    data = {**example(event_type)["data"], "channel": "hologram", "colour": "red"}
    fact: Any = decode_data(event_type, msgspec.json.encode(data))
    assert fact.channel == "other"
