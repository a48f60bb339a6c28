"""Every form in which CloudEvents may come, and the binding's rules for header values (notes/messaging 3)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings import http as sdk_http
from cloudevents.core.bindings import rabbitmq as sdk_rabbitmq
from cloudevents.core.v1.event import CloudEvent

from eventkit.errors import BadMessage
from services.gateway import binding
from services.gateway.verdicts import Offer, read_envelope
from tests.gateway.door import LOCKED_OUT, Door, as_json, attributes, data, percent

STRUCTURED = "application/cloudevents+json"
CHINESE = {"id": '订单/1 号 "急" 7%', "subject": "张伟"}


def sdk_event(**changes: Any) -> CloudEvent:
    given = attributes(time=datetime(2026, 1, 1, tzinfo=UTC), datacontenttype="application/json", **changes)
    return CloudEvent(given, data())


@pytest.mark.parametrize("prefix", ["ce-", "CE-", "cloudEvents:", "cloudEvents_"])
def test_amqp_binary_mode_is_taken_with_every_prefix(door: Door, prefix: str) -> None:
    given = attributes(**CHINESE)
    headers = {prefix + name: value for name, value in given.items()}
    door.publish(door.erp, LOCKED_OUT, headers, as_json(data()), content_type="application/json")
    [(emitted, _)] = door.emitted()
    assert (emitted["ce-id"], emitted["ce-subject"]) == (CHINESE["id"], CHINESE["subject"])


@pytest.mark.parametrize("content_type", [STRUCTURED, "application/cloudevents+json; charset=UTF-8"])
def test_amqp_structured_mode_is_taken(door: Door, content_type: str) -> None:
    given = attributes(**CHINESE)
    door.publish(door.erp, LOCKED_OUT, {}, as_json({**given, "data": data()}), content_type=content_type)
    [(emitted, _)] = door.emitted()
    assert emitted["ce-id"] == CHINESE["id"]


def test_what_the_official_sdk_writes_for_rabbitmq_is_taken(door: Door) -> None:
    for message in (sdk_rabbitmq.to_binary_event(sdk_event()), sdk_rabbitmq.to_structured_event(sdk_event())):
        door.publish(door.erp, LOCKED_OUT, message.headers, message.body, content_type=message.content_type or "")
    assert len({headers["ce-id"] for headers, _ in door.emitted(2)}) == 2


def test_what_the_official_sdk_writes_for_http_is_taken(door: Door) -> None:
    event = sdk_event(**CHINESE)
    for message in (sdk_http.to_binary_event(event), sdk_http.to_structured_event(event)):
        assert door.post(message.body, message.headers).status_code == 202
    assert door.one("select repeats from accepted where id = :id", id=CHINESE["id"]) == 1


def test_http_takes_binary_structured_and_batch(door: Door) -> None:
    assert door.post_binary(attributes(), data()).status_code == 202
    assert door.post_structured(attributes(), data()).status_code == 202
    batch = [{**attributes(), "data": data()} for _ in range(3)]
    answer = door.post(batch, {"content-type": binding.BATCH_TYPE})
    assert [one["verdict"] for one in answer.json()["verdicts"]] == ["accepted"] * 3
    assert door.one("select count(*) from accepted") == 5


def test_a_batch_is_decided_event_by_event(door: Door) -> None:
    batch = [{**attributes(), "data": data()}, {**attributes(source="/oa"), "data": {}}, 7]
    answer = door.post(batch, {"content-type": binding.BATCH_TYPE})
    assert answer.status_code == 202
    assert [(one["verdict"], one.get("field")) for one in answer.json()["verdicts"]] == [
        ("accepted", None),
        ("refused", "source"),
        ("refused", "event"),
    ]


def test_an_event_that_is_nested_too_deeply_is_refused_alone(door: Door) -> None:
    # Text with brackets, quotes and commas belongs to its event, also where the batch is not read as JSON.
    odd = {**attributes(), "data": data(login='a\\", [{"b')}
    deep = b'{"id": "deep", "data": ' + b"[" * 2000 + b"]" * 2000 + b"}"
    batch = b"[" + b", ".join([as_json(odd), deep, b"7", as_json({**attributes(), "data": data()})]) + b"]"
    answer = door.post(batch, {"content-type": binding.BATCH_TYPE})
    assert answer.status_code == 202
    assert [(one["index"], one["verdict"], one.get("reason")) for one in answer.json()["verdicts"]] == [
        (0, "accepted", None),
        (1, "refused", "is nested too deeply"),
        (2, "refused", "not a JSON object: Expected `object`, got `int`"),
        (3, "accepted", None),
    ]


def test_a_batch_of_which_nothing_is_taken_is_a_problem_that_names_index_and_field(door: Door) -> None:
    batch = [{**attributes(id=None), "data": data()}, {**attributes(), "data": data(login=None)}]
    answer = door.post(batch, {"content-type": binding.BATCH_TYPE})
    assert answer.status_code == 422
    assert [(one["index"], one["field"]) for one in answer.json()["errors"]] == [(0, "id"), (1, "data.title")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"[]", 202, id="an empty batch"),
        pytest.param(b"{}", 400, id="no list"),
        pytest.param(b"[", 400, id="not JSON"),
        pytest.param(b'{"a": ' + b"[" * 2000 + b"]" * 2000 + b"}", 400, id="deep, but no list"),
        pytest.param(b"[" * 2000 + b'"' + b'\\"' * 400_000 + b"]", 422, id="deep, with a string that nothing closes"),
        pytest.param(json.dumps([{}] * 501).encode(), 413, id="too many"),
        pytest.param(b"[" + b" " * binding.MAX_BATCH_BYTES + b"]", 413, id="too large"),
    ],
)
def test_batches_have_limits(door: Door, body: bytes, status: int) -> None:
    answer = door.post(body, {"content-type": binding.BATCH_TYPE})
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        # The minimum cases of cloudevents/conformance, yaml/v1.0/v1_minimum.yaml: this door takes JSON objects.
        pytest.param("text/plain; charset=us-ascii", b"Hello", 415, id="text, us-ascii"),
        pytest.param("text/plain; charset=utf-8", "你好 😀".encode(), 415, id="text, utf-8"),
        pytest.param("application/json", b'"Hello"', 422, id="a JSON string"),
        pytest.param("application/json", as_json(data()), 202, id="a JSON object"),
        pytest.param("application/json; charset=utf-8", as_json(data()), 202, id="a JSON object with a charset"),
        pytest.param("Application/JSON", as_json(data()), 202, id="a media type in capitals"),
        pytest.param("application/json", b"[1, 2]", 422, id="a JSON array"),
        pytest.param("application/xml", b"<much wow='xml'/>", 415, id="XML"),
        pytest.param("application/json; charset=gbk", as_json(data()), 415, id="another charset"),
        pytest.param("application/cloudevents+avro", b"x", 415, id="another event format"),
        pytest.param("application/cloudevents+jsonx", b"{}", 415, id="a format of a similar name"),
    ],
)
def test_content_types_are_told_apart(door: Door, content_type: str, body: bytes, status: int) -> None:
    headers = {f"ce-{name}": value for name, value in attributes().items()}
    assert door.post(body, {"content-type": content_type, **headers}).status_code == status


def test_what_is_no_cloudevent_at_all_is_told_so(door: Door) -> None:
    assert door.post({"a": 1}, {"content-type": "application/json"}).status_code == 400
    assert door.post(b"hello", {"content-type": "text/plain"}).status_code == 415
    assert door.post(b"", {"content-type": "application/json", "content-encoding": "gzip"}).status_code == 415


# cloudevents/conformance, features/http-protocol-binding.feature, as tables.
FEATURE = {
    "specversion": "1.0",
    "type": "com.example.someevent",
    "time": "2018-04-05T03:56:24Z",
    "id": "1234-1234-1234",
    "source": "/mycontext/subcontext",
}
MORE = {"comexampleextension1": "value", "comexampleextension2": "othervalue"}
FEATURE_DATA = {"message": "Hello World!"}


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_the_features_binary_request_is_parsed(content_type: str) -> None:
    headers = tuple((f"CE-{name}".encode(), value.encode()) for name, value in (FEATURE | MORE).items())
    raw = read_envelope(Offer(door="http", content_type=content_type, headers=headers, body=as_json(FEATURE_DATA)))
    assert {"specversion": "1.0", **raw.attributes} == FEATURE | MORE
    assert json.loads(raw.data) == FEATURE_DATA


@pytest.mark.parametrize("content_type", [STRUCTURED, "application/cloudevents+json; charset=UTF-8"])
def test_the_features_structured_request_is_parsed(content_type: str) -> None:
    body = as_json(FEATURE | MORE | {"datacontenttype": "application/json", "data": FEATURE_DATA})
    raw = read_envelope(Offer(door="http", content_type=content_type, headers=(), body=body))
    assert {"specversion": "1.0", **raw.attributes} == FEATURE | MORE
    assert json.loads(raw.data) == FEATURE_DATA


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        pytest.param(b"plain", "plain", id="plain"),
        pytest.param(b"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀", id="the spec's example"),
        pytest.param(b"%e2%82%ac", "€", id="small hexadecimal digits"),
        pytest.param(b"%E2%82%aC", "€", id="mixed hexadecimal digits"),
        pytest.param(b"%2541", "%41", id="decoded once"),
        pytest.param(b'"a b"', "a b", id="a quoted string"),
        pytest.param(rb'"a \"b\" \\"', 'a "b" \\', id="escapes within a quoted string"),
        pytest.param(b'x"%41"y', "xAy", id="quotes go first, then percent"),
        pytest.param("张伟".encode(), "张伟", id="bare UTF-8"),
        pytest.param(b"%C0%A0", None, id="an overlong form"),
        pytest.param(b"%FF", None, id="no UTF-8"),
        pytest.param(b"%ED%A0%80", None, id="a surrogate"),
        pytest.param(b"\xe9t\xe9", None, id="Latin-1"),
        pytest.param(b"100%", None, id="a lone percent"),
        pytest.param(b"%4G", None, id="half a number"),
        pytest.param(b'a"b', None, id="an open quote"),
    ],
)
def test_header_values_are_decoded_as_the_binding_says(raw: bytes, value: str | None) -> None:
    if value is None:
        with pytest.raises(BadMessage) as refused:
            binding.header_value("subject", raw)
        assert refused.value.field == "subject"
    else:
        assert binding.header_value("subject", raw) == value
        assert binding.header_value("subject", percent(value).encode()) == value


def test_bad_header_values_are_refused_at_the_door(door: Door) -> None:
    headers = {f"ce-{name}": value for name, value in attributes().items()}
    answer = door.post(data(), {"content-type": "application/json", **headers, "ce-subject": "%C0%A0"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "subject")
    answer = door.post(
        data(), {"content-type": "application/json", **headers, "ce-datacontenttype": "application/json"}
    )
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "ce-datacontenttype")
