"""An event as an application writes it, and as it travels: checked before it is kept.

What is checked here is what the door of Liaison would refuse without looking at the fields of the data.
Source: CloudEvents 1.0.2; limits of Liaison's door (event 64 KiB, names 255 bytes).
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time as clock
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any

from liaison_client.errors import BadEvent
from liaison_client.fact import Fact

MAX_EVENT_BYTES = 64 * 1024
MAX_NAME_BYTES = 255
# All attributes travel in one frame, of which a broker takes no larger one than 128 KiB by default.
MAX_EXTENSIONS = 64
_TYPE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_EXTENSION = re.compile(r"[a-z0-9]{1,20}")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_TEXTS = ("subject", "externalref", "partitionkey", "actor", "traceparent")
_FIXED = {"specversion", "id", "source", "type", "time", "datacontenttype", "dataschema", "history", "data", *_TEXTS}


def new_id() -> str:
    """Return a UUIDv7: unique, and rising with time. Source: RFC 9562, 5.7."""
    moment_ms = clock.time_ns() // 1_000_000
    number = moment_ms << 80 | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | 7 << 76
    return str(uuid.UUID(int=number & ~(0x3 << 62) | 0x2 << 62))


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Event:
    """One event. Its id is made once and never again: every time it is sent, it is the same event.

    type: one that the account may send. data: a typed fact, or what JSON can hold.
    source: the account's own unless given. time: when it happened, aware.
    subject: what it is about; events of one subject are handled in the order in which they were published.
    externalref: your own business key; a second request with the same key is an occurrence of the first.
    extensions: further CloudEvents attributes, names of small letters and digits; at most 64.
    """

    type: str
    data: Any
    id: str = field(default_factory=new_id)
    source: str | None = None
    time: datetime = field(default_factory=_now)
    subject: str | None = None
    externalref: str | None = None
    partitionkey: str | None = None
    actor: str | None = None
    traceparent: str | None = None
    history: bool = False
    extensions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, fact: Fact, **attributes: Any) -> Event:
        """Return the event that tells a typed fact; attributes: those of this class."""
        return cls(type=fact.TYPE, data=fact, **attributes)

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Event:
        """Return the event of a CloudEvents JSON object; `id` and `time` are made when they are absent.

        Raises: BadEvent naming the attribute.
        """
        if not isinstance(given, Mapping):
            raise BadEvent("event", "is not a JSON object")
        version = given.get("specversion", "1.0")
        if version != "1.0":
            raise BadEvent("specversion", f"{version!r}: only CloudEvents 1.0 is sent")
        if "data_base64" in given:
            raise BadEvent("data_base64", "binary data is not taken; send JSON in `data`")
        if not given.get("type"):
            raise BadEvent("type", "is required")
        known = {name: given[name] for name in ("id", "source", *_TEXTS) if given.get(name) is not None}
        if given.get("time"):
            known["time"] = _moment(given["time"])
        others = {name: _attribute(name, value) for name, value in given.items() if name not in _FIXED}
        history = given.get("history") in (True, "true")
        return cls(type=given["type"], data=given.get("data"), history=history, extensions=others, **known)


@dataclass(frozen=True)
class Packed:
    """An event as it travels: the `ce-` headers of CloudEvents' binary mode, and the data as JSON bytes."""

    id: str
    type: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def size_bytes(self) -> int:
        """What the event counts for in the spool."""
        return len(self.body) + sum(len(name) + len(value.encode()) for name, value in self.headers.items())


def pack(event: Event, source: str) -> Packed:
    """Return what travels. source: of events that name none. Raises: BadEvent naming the field and the reason."""
    attributes = {"id": event.id, "source": event.source or source, "type": event.type}
    attributes.update({name: value for name in _TEXTS if (value := getattr(event, name)) is not None})
    if (count := len(event.extensions)) > MAX_EXTENSIONS:
        raise BadEvent("extensions", f"{count} further attributes; an event may have {MAX_EXTENSIONS}")
    for name, value in event.extensions.items():
        if not _EXTENSION.fullmatch(name) or name in _FIXED:
            raise BadEvent("extensions", f"{name!r} cannot be a further attribute: small letters and digits")
        attributes[name] = value
    for name, value in attributes.items():
        _check_text(name, value)
    if not _TYPE.fullmatch(event.type):
        raise BadEvent("type", f"{event.type!r}: words of ASCII letters, digits, `_` and `-` with dots between them")
    attributes.update(specversion="1.0", time=_rfc3339(event.time))
    if event.history:
        attributes["history"] = "true"
    headers = {f"ce-{name}": value for name, value in attributes.items()}
    return Packed(event.id, event.type, headers, _encoded(event.data))


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise BadEvent(name, f"is {type(value).__name__}, not text")
    if not value:
        raise BadEvent(name, "is required" if name in ("id", "source", "type") else "is empty; leave it out")
    if _CONTROLS.search(value):
        raise BadEvent(name, "has a control character")
    if len(value.encode()) > MAX_NAME_BYTES:
        raise BadEvent(name, f"is longer than {MAX_NAME_BYTES} bytes")


def _encoded(data: Any) -> bytes:
    content = data.as_json() if isinstance(data, Fact) else data
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
        body = text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadEvent("data", f"cannot be written as JSON: {error}") from None
    if len(body) > MAX_EVENT_BYTES:
        raise BadEvent("data", f"{len(body)} bytes as JSON; an event may have {MAX_EVENT_BYTES}")
    if re.search(rb"(?<!\\)(?:\\\\)*\\u0000", body):
        raise BadEvent("data", "holds the character U+0000, which is not taken")
    return body


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return _rfc3339(value, "data")
    if isinstance(value, date):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _rfc3339(moment: Any, name: str = "time") -> str:
    if not isinstance(moment, datetime):
        raise BadEvent(name, f"is {type(moment).__name__}, not a datetime")
    if moment.tzinfo is None:
        raise BadEvent(name, f"{moment.isoformat()} has no offset from UTC: give the datetime a time zone")
    return moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def _moment(text: Any) -> datetime:
    try:
        # Python 3.9 does not read the letter Z.
        moment = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
    except (TypeError, ValueError):
        raise BadEvent("time", f"{text!r} is not an RFC 3339 moment") from None
    _rfc3339(moment)
    return moment


def _attribute(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int)):
        return str(value)
    raise BadEvent(name, f"an attribute cannot be {type(value).__name__}")
