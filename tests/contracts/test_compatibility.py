"""What may change between releases, and what needs a new version: each rule broken once."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from contracts.documents.compatibility import breaks

NAME = "liaison.parcel.sent.v1"
Schema = dict[str, Any]


def parcel() -> Schema:
    return {
        "type": "object",
        "title": "ParcelSent",
        "properties": {
            "number": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^\S+$"},
            "weight_g": {"type": "integer", "minimum": 0, "maximum": 30_000},
            "sent_at": {"type": "string", "format": "date-time"},
            "state": {"$ref": "#/$defs/State"},
            "size": {"$ref": "#/$defs/Size", "default": "s"},
            "note": {"anyOf": [{"type": "string", "maxLength": 80}, {"type": "null"}], "default": None},
            "stops": {"type": "array", "items": {"$ref": "#/$defs/Stop"}, "default": []},
        },
        "required": ["number", "weight_g", "sent_at", "state"],
        "$defs": {
            "State": {"enum": ["sent", "lost", "other"]},
            "Size": {"enum": ["s", "l"]},
            "Stop": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
        },
    }


def changed(change: Callable[[Schema], object]) -> list[str]:
    current = parcel()
    change(current)
    return breaks({NAME: parcel()}, {NAME: current})


def fields(schema: Schema) -> Schema:
    found: Schema = schema["properties"]
    return found


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda s: None, id="nothing"),
        pytest.param(lambda s: fields(s).update(colour={"type": "string", "default": ""}), id="an optional field"),
        pytest.param(lambda s: s["$defs"]["State"]["enum"].insert(1, "returned"), id="a word, where there is `other`"),
        pytest.param(lambda s: s.update(title="Parcel", description="More words."), id="what it says of itself"),
        pytest.param(lambda s: fields(s)["note"].update(description="For the carrier."), id="a field's description"),
        pytest.param(lambda s: fields(s)["note"]["anyOf"].reverse(), id="the order of alternatives"),
        pytest.param(
            lambda s: s["$defs"]["Stop"]["properties"].update(street={"type": "string", "default": ""}),
            id="an optional field further in",
        ),
        pytest.param(
            lambda s: (
                s["$defs"].update(Condition=s["$defs"].pop("State")),
                fields(s).update(state={"$ref": "#/$defs/Condition"}),
            ),
            id="the name of a class",
        ),
    ],
)
def test_what_may_change(change: Callable[[Schema], object]) -> None:
    assert changed(change) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda s: fields(s).pop("note"), "data.note was removed", id="a field removed"),
        pytest.param(
            lambda s: (fields(s).update(colour={"type": "string"}), s["required"].append("colour")),
            "data.colour was added, but is required",
            id="a required field added",
        ),
        pytest.param(lambda s: s["required"].append("note"), "data.note became required", id="made required"),
        pytest.param(
            lambda s: (s["required"].remove("number"), fields(s)["number"].update(default="")),
            "data.number became optional",
            id="made optional, as old readers insist on it",
        ),
        pytest.param(
            lambda s: fields(s).update(weight_g={"type": "string"}),
            "data.weight_g was integer and is now string",
            id="another type",
        ),
        pytest.param(
            lambda s: fields(s)["number"].update(maxLength=64),
            "narrowed: maxLength 255 became 64",
            id="an upper bound lowered",
        ),
        pytest.param(
            lambda s: fields(s)["weight_g"].update(minimum=1), "narrowed: minimum 0 became 1", id="a lower bound raised"
        ),
        pytest.param(
            lambda s: fields(s)["sent_at"].update(maxLength=40),
            "narrowed: maxLength absent became 40",
            id="a bound added",
        ),
        pytest.param(
            lambda s: fields(s)["number"].pop("maxLength"),
            "widened: maxLength 255 became absent",
            id="a bound taken away",
        ),
        pytest.param(
            lambda s: fields(s)["number"].update(pattern=r"^\d+$"), "data.number changed pattern", id="another pattern"
        ),
        pytest.param(lambda s: fields(s)["sent_at"].pop("format"), "data.sent_at changed format", id="a format lost"),
        pytest.param(
            lambda s: fields(s)["note"]["anyOf"].pop(),
            "data.note was narrowed: it can no longer be null",
            id="null lost",
        ),
        pytest.param(
            lambda s: fields(s).update(note={"type": "string", "maxLength": 80, "default": None}),
            "data.note was narrowed: it can no longer be null",
            id="an alternative lost, told in another way",
        ),
        pytest.param(
            lambda s: fields(s)["number"].update(anyOf=[{"type": "string"}, {"type": "null"}]),
            "data.number was widened: it can now be null",
            id="null added",
        ),
        pytest.param(
            lambda s: fields(s)["note"]["anyOf"][0].update(maxLength=20),
            "data.note was narrowed: maxLength 80 became 20",
            id="an alternative narrowed",
        ),
        pytest.param(
            lambda s: s["$defs"]["State"]["enum"].remove("lost"), "data.state lost the word 'lost'", id="a word lost"
        ),
        pytest.param(
            lambda s: s["$defs"]["Size"]["enum"].append("xl"),
            "data.size got the word 'xl'",
            id="a word, without `other`",
        ),
        pytest.param(
            lambda s: fields(s)["size"].update(default="l"),
            "data.size changed its default: 's' became 'l'",
            id="a default",
        ),
        pytest.param(
            lambda s: fields(s)["note"].update(default=""),
            "data.note changed its default",
            id="a default of alternatives",
        ),
        pytest.param(lambda s: fields(s).update(state={"type": "string"}), "data.state", id="a closed list opened"),
        pytest.param(
            lambda s: s["$defs"]["Stop"]["properties"].pop("town"),
            "data.stops[].town was removed",
            id="a field further in",
        ),
        pytest.param(
            lambda s: fields(s)["stops"].pop("items"),
            "data.stops says something else of its items",
            id="items of any kind",
        ),
        pytest.param(
            lambda s: s.update(additionalProperties=False), "data changed additionalProperties", id="no strange fields"
        ),
    ],
)
def test_what_needs_a_new_version(change: Callable[[Schema], object], said: str) -> None:
    found = changed(change)
    assert found, "nothing was said"
    assert all(line.startswith(f"{NAME}: data") for line in found)
    assert any(said in line for line in found), found


def test_a_type_may_vanish_only_beside_a_newer_version() -> None:
    released = {NAME: parcel()}
    assert breaks(released, {}) == [f"{NAME}: vanished, and no newer version of it exists"]
    assert breaks(released, {"liaison.parcel.lost.v2": parcel()}) != []
    assert breaks({"liaison.parcel.sent.v2": parcel()}, {NAME: parcel()}) != []
    assert breaks(released, {"liaison.parcel.sent.v10": parcel()}) == []


def test_a_new_type_is_free() -> None:
    assert breaks({NAME: parcel()}, {NAME: parcel(), "liaison.parcel.lost.v1": {"type": "object"}}) == []


def test_comparing_changes_neither_side() -> None:
    old, new = {NAME: parcel()}, {NAME: parcel()}
    kept = deepcopy(old)
    breaks(old, new)
    assert old == kept == new
