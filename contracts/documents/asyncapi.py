"""The AsyncAPI 3.0 document: which types there are, what they carry, and who sends and receives them.

A channel is a type: its address is the routing key on the topic exchange of events. Source: AsyncAPI 3.0.0; the AMQP
bindings 0.3.0; CloudEvents 1.0.2 in binary mode with `ce-` headers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from contracts.documents.routes import Route
from contracts.documents.schema import components, described
from contracts.fact import Fact

Part = dict[str, Any]

EXCHANGE = "liaison.events"
VIRTUAL_HOST = "liaison"

_TITLE = "联络台 Liaison: the events"
_ABOUT = """The events by which the services of Liaison talk, as CloudEvents 1.0 in binary mode on AMQP 0-9-1.

Another enterprise system does not write to these channels. It publishes to the exchange `liaison.intake`, or posts to
the gateway, in any form of CloudEvents; what it is let in with appears here in canonical form, with the same `id`.

Readers ignore fields that they do not know, and take a word that a closed list does not have for `other`. A delivery
can repeat: `ce-source` and `ce-id` together tell. Events of one `ce-partitionkey` are in the order of `ce-sequence`."""

# In the order in which `eventkit.envelope.to_headers` writes them; a test holds the two together.
_REQUIRED_HEADERS: Mapping[str, str] = {
    "ce-specversion": "The version of CloudEvents.",
    "ce-id": "Unique within the source. Ours are UUIDv7, those of others are kept as they came.",
    "ce-source": "Who says so: `/liaison/<service>`, or the source of another system.",
    "ce-type": "The type, which is also the routing key.",
    "ce-subject": "What it is about: a ticket's number, an employee number, a delivery's id.",
    "ce-time": "When it happened, RFC 3339 in UTC.",
    "ce-dataschema": "The schema of the data, `urn:liaison:schema:` and the type.",
    "ce-partitionkey": "Events of one key are handled in the order of `ce-sequence`.",
}
_OPTIONAL_HEADERS: Mapping[str, str] = {
    "ce-sequence": "Rises within a partition key, without being dense; a whole number as text.",
    "ce-traceparent": "The trace that it belongs to (W3C Trace Context).",
    "ce-actor": "The employee number, or the system, that caused it.",
    "ce-externalref": "The business key of the system that asked for it.",
    "ce-history": "`true` for an import: it arms no timer and sends nobody a message.",
    "ce-arrivedat": "When our door first saw it, where that differs from `ce-time`.",
}
_FORMATS = {"ce-time": "date-time", "ce-arrivedat": "date-time", "ce-source": "uri-reference"}


def document(
    facts: Collection[type[Fact]], routes: Iterable[Route], examples: Mapping[str, Mapping[str, Any]], version: str
) -> Part:
    """Return the whole document.

    routes: who sends and receives what. examples: a structured CloudEvent for each type. version: of the release.
    """
    by_type = {fact.TYPE: fact for fact in facts}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": _TITLE, "version": version, "description": _ABOUT},
        "defaultContentType": "application/json",
        "servers": {"rabbitmq": _server()},
        "channels": {fact.TYPE: _channel(fact) for fact in facts},
        "operations": _operations(by_type, routes),
        "components": {
            "messages": {fact.__name__: _message(fact, examples[fact.TYPE]) for fact in facts},
            "messageTraits": {"cloudEvent": {"contentType": "application/json", "headers": _headers()}},
            "schemas": components(facts, "#/components/schemas/{name}"),
            "securitySchemes": {"account": {"type": "userPassword", "description": "The account of one service."}},
        },
    }


def _server() -> Part:
    return {
        "host": "{host}:{port}",
        "pathname": f"/{VIRTUAL_HOST}",
        "protocol": "amqp",
        "protocolVersion": "0.9.1",
        "variables": {"host": {"default": "localhost"}, "port": {"default": "5672"}},
        "security": [{"$ref": "#/components/securitySchemes/account"}],
    }


def _channel(fact: type[Fact]) -> Part:
    exchange = {"name": EXCHANGE, "type": "topic", "durable": True, "autoDelete": False, "vhost": VIRTUAL_HOST}
    return {
        "address": fact.TYPE,
        "title": fact.__name__,
        "messages": {fact.__name__: {"$ref": f"#/components/messages/{fact.__name__}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange, "bindingVersion": "0.3.0"}},
    }


def _operations(by_type: Mapping[str, type[Fact]], routes: Iterable[Route]) -> dict[str, Part]:
    operations = {}
    for route in routes:
        for action, verb, types in (("send", "emits", route.emits), ("receive", "handles", frozenset(route.follows))):
            for fact in (fact for event_type, fact in by_type.items() if event_type in types):
                operations[f"{route.service}.{action}.{fact.__name__}"] = {
                    "action": action,
                    "title": f"{route.service} {verb} {fact.__name__}",
                    "channel": {"$ref": f"#/channels/{fact.TYPE}"},
                    "messages": [{"$ref": f"#/channels/{fact.TYPE}/messages/{fact.__name__}"}],
                    "tags": [{"name": route.service}],
                }
    return operations


def _message(fact: type[Fact], example: Mapping[str, Any]) -> Part:
    text = described(fact)
    return {
        "name": fact.TYPE,
        "title": fact.__name__,
        "summary": text.partition("\n\n")[0].replace("\n", " "),
        "description": text,
        "tags": [{"name": fact.emitter()}],
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "payload": {"$ref": f"#/components/schemas/{fact.__name__}"},
        "examples": [{"headers": _example_headers(example), "payload": example["data"]}],
    }


def _headers() -> Part:
    every = {**_REQUIRED_HEADERS, **_OPTIONAL_HEADERS}
    properties: dict[str, Part] = {}
    for name, text in every.items():
        properties[name] = {"type": "string", "description": text}
        if name in _FORMATS:
            properties[name]["format"] = _FORMATS[name]
    properties["ce-specversion"]["const"] = "1.0"
    return {"type": "object", "required": list(_REQUIRED_HEADERS), "properties": properties}


def _example_headers(example: Mapping[str, Any]) -> dict[str, str]:
    return {f"ce-{name}": value for name, value in example.items() if f"ce-{name}" in _headers()["properties"]}
