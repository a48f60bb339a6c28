"""The CloudEvents envelope, and its form on AMQP 0-9-1.

We emit binary mode with `ce-` headers (the vendor spec for RabbitMQ that the CloudEvents core spec links). At the
intake, `cloudEvents:` and `cloudEvents_` headers and structured JSON are read too; see `read_any`.
Source: CloudEvents 1.0.2; extensions `partitionkey`, `sequence`, distributed tracing.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import msgspec
import uuid_utils

from contracts.fact import Fact
from contracts.register import FACTS
from eventkit.errors import BadMessage

F_co = TypeVar("F_co", bound=Fact, covariant=True)

SPEC_VERSION = "1.0"
PARTITION_HEADER = "ce-partitionkey"
CONTENT_TYPE = "application/json"
STRUCTURED_TYPE = "application/cloudevents+json"
MAX_EVENT_BYTES = 64 * 1024
_CORE = ("id", "source", "type", "subject", "time", "dataschema")
_EXTENSIONS = ("partitionkey", "sequence", "traceparent", "actor", "externalref", "history")


class Event(msgspec.Struct, Generic[F_co], frozen=True, kw_only=True, gc=False):
    """One event: the envelope's attributes and its typed data.

    time: when it happened, aware, UTC. arrived_at: when our door first saw it, or a service of ours told of it; absent
    when that equals `time`.
    partitionkey: events of one key are handled in the order of `sequence`. history: an import of what happened
    elsewhere; it is judged by `time`, arms no timer and sends nobody a message.
    """

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    data: F_co
    partitionkey: str
    sequence: int | None = None
    traceparent: str | None = None
    actor: str | None = None
    externalref: str | None = None
    history: bool = False
    arrived_at: datetime | None = None


class RawEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event whose envelope has been read and whose data has not.

    attributes: every context attribute but `specversion` and `datacontenttype`, as text. data: the JSON bytes.
    """

    attributes: Mapping[str, str]
    data: bytes

    def attribute(self, name: str) -> str:
        """Return an attribute's text. Raises BadMessage naming it when absent or empty."""
        if value := self.attributes.get(name):
            return value
        raise BadMessage("is required", field=name)


def new_id() -> str:
    """Return a UUIDv7: unique, and rising with time (RFC 9562)."""
    return str(uuid_utils.uuid7())


def continued_trace(given: str | None) -> str:
    """Return the trace that a caller's `traceparent` names, or a new one when it names none (W3C Trace Context)."""
    if given and _TRACEPARENT.fullmatch(given):
        return given
    made = secrets.token_hex(24)
    return f"00-{made[:32]}-{made[32:]}-01"


def partitionkey_of(source: str, subject: str) -> str:
    """Return the default partition key: the source and the subject."""
    return f"{source} {subject}"


def encode_time(moment: datetime) -> str:
    """Return RFC 3339 in UTC. Raises ValueError for a naive moment."""
    if moment.tzinfo is None:
        raise ValueError(f"naive moment {moment!r}")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def decode_time(text: str, *, field: str = "time") -> datetime:
    """Return an aware UTC moment. Raises BadMessage for anything that RFC 3339 does not allow."""
    try:
        moment = datetime.fromisoformat(text) if _MOMENT.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None:
        raise BadMessage(f"{text!r} is not an RFC 3339 moment", field=field)
    if moment.tzinfo is None:
        raise BadMessage(f"{text!r} has no offset from UTC", field=field)
    return moment.astimezone(UTC)


def encode_data(data: Fact) -> bytes:
    """Return the JSON bytes of a fact."""
    return _ENCODER.encode(data)


def decode_data(event_type: str, data: bytes) -> Fact:
    """Return the typed fact. Raises BadMessage naming the field, also for an unknown type."""
    decoder = _DECODERS.get(event_type)
    if decoder is None:
        raise BadMessage(f"unknown event type {event_type!r}", field="type")
    if b"\\u0000" in data and _NUL.search(data):
        raise BadMessage("holds the character U+0000, which no database text can", field="data")
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$.")
        raise BadMessage(reason, field=f"data.{path.rstrip('`')}" if path else "data") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessage(f"not JSON: {error}", field="data") from None


def to_headers(event: Event[Any]) -> dict[str, str]:
    """Return the `ce-` headers of binary mode, all of them strings."""
    headers = {
        "ce-specversion": SPEC_VERSION,
        "ce-id": event.id,
        "ce-source": event.source,
        "ce-type": event.type,
        "ce-subject": event.subject,
        "ce-time": encode_time(event.time),
        "ce-dataschema": f"urn:liaison:schema:{event.type}",
        PARTITION_HEADER: event.partitionkey,
    }
    if event.sequence is not None:
        headers["ce-sequence"] = str(event.sequence)
    if event.traceparent:
        headers["ce-traceparent"] = event.traceparent
    if event.actor:
        headers["ce-actor"] = event.actor
    if event.externalref:
        headers["ce-externalref"] = event.externalref
    if event.history:
        headers["ce-history"] = "true"
    if event.arrived_at is not None and event.arrived_at != event.time:
        headers["ce-arrivedat"] = encode_time(event.arrived_at)
    return headers


def from_headers(headers: Mapping[str, Any], body: bytes) -> Event[Fact]:
    """Return the event of a message in our own binary form. Raises BadMessage naming the attribute."""
    try:
        source, subject, event_type = headers["ce-source"], headers["ce-subject"], headers["ce-type"]
        sequence, time = headers.get("ce-sequence"), decode_time(headers["ce-time"])
        arrived = headers.get("ce-arrivedat")
        if "\x00" in "".join((source, subject, event_type, headers["ce-id"], headers.get(PARTITION_HEADER) or "")):
            raise BadMessage("an attribute holds the character U+0000", field="headers")
        return Event(
            id=headers["ce-id"],
            source=source,
            type=event_type,
            subject=subject,
            time=time,
            data=decode_data(event_type, body),
            partitionkey=headers.get(PARTITION_HEADER) or partitionkey_of(source, subject),
            sequence=None if sequence is None else int(sequence),
            traceparent=headers.get("ce-traceparent"),
            actor=headers.get("ce-actor"),
            externalref=headers.get("ce-externalref"),
            history=headers.get("ce-history") == "true",
            arrived_at=time if arrived is None else decode_time(arrived, field="arrivedat"),
        )
    except KeyError as error:
        raise BadMessage("is required", field=str(error.args[0])) from None
    except (ValueError, TypeError, AttributeError) as error:
        raise BadMessage(f"malformed attribute: {error}", field="headers") from None


def read_any(content_type: str, headers: Mapping[str, Any], body: bytes) -> RawEvent:
    """Return the envelope of a message in any of the four forms that the doors take.

    Binary mode with `ce-`, `cloudEvents:` or `cloudEvents_` headers, or structured JSON.
    Raises BadMessage naming the attribute: oversized, not UTF-8, not JSON, no envelope, wrong `specversion`.
    """
    if len(body) > MAX_EVENT_BYTES:
        raise BadMessage(f"{len(body)} bytes; an event may have {MAX_EVENT_BYTES}", field="data")
    if content_type.startswith("application/cloudevents"):
        return _read_structured(content_type, body)
    attributes: dict[str, str] = {}
    for name, value in headers.items():
        lowered = str(name).lower()
        for prefix in ("ce-", "cloudevents:", "cloudevents_"):
            if lowered.startswith(prefix):
                attributes[lowered[len(prefix) :]] = _text(lowered[len(prefix) :], value)
    if not attributes:
        raise BadMessage("no CloudEvents attributes: expected ce- headers or application/cloudevents+json")
    if content_type and content_type.partition(";")[0].strip() != CONTENT_TYPE:
        raise BadMessage(f"{content_type!r}: only {CONTENT_TYPE} data is taken", field="datacontenttype")
    return _checked(attributes, body)


def _read_structured(content_type: str, body: bytes) -> RawEvent:
    if not content_type.startswith(STRUCTURED_TYPE):
        raise BadMessage(f"{content_type!r} is not {STRUCTURED_TYPE}", field="contenttype")
    try:
        whole = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessage(f"not a JSON object: {error}", field="event") from None
    if "data_base64" in whole:
        raise BadMessage("binary data is not taken; send JSON in `data`", field="data_base64")
    data = bytes(whole.pop("data", msgspec.Raw(b"null")))
    attributes = {}
    for name, raw in whole.items():
        value = msgspec.json.decode(raw)
        if value is not None:
            attributes[name] = _text(name, value)
    return _checked(attributes, data)


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return encode_time(value if value.tzinfo else value.replace(tzinfo=UTC))
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise BadMessage("is not UTF-8", field=name) from None
    if isinstance(value, str | int):
        return str(value)
    raise BadMessage(f"a context attribute cannot be {type(value).__name__}", field=name)


def _checked(attributes: dict[str, str], data: bytes) -> RawEvent:
    version = attributes.pop("specversion", "")
    if version != SPEC_VERSION:
        raise BadMessage(f"{version!r}: only CloudEvents {SPEC_VERSION} is taken", field="specversion")
    content_type = attributes.pop("datacontenttype", CONTENT_TYPE)
    if content_type.partition(";")[0].strip() != CONTENT_TYPE:
        raise BadMessage(f"{content_type!r}: only {CONTENT_TYPE} data is taken", field="datacontenttype")
    for name, value in attributes.items():
        if "\x00" in value:
            raise BadMessage("holds the character U+0000", field=name)
        if len(value.encode()) > 255 and name in _CORE + _EXTENSIONS:
            raise BadMessage("is longer than 255 bytes", field=name)
    return RawEvent(attributes=attributes, data=data)


# Python reads more of ISO 8601 than RFC 3339 has, such as week dates.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_ENCODER = msgspec.json.Encoder()
_DECODERS: dict[str, msgspec.json.Decoder[Fact]] = {name: msgspec.json.Decoder(fact) for name, fact in FACTS.items()}
