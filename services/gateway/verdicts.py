"""The one function behind both doors: what came, and from whom, becomes an event to emit or a refusal with its reason.

Pure: it reads no clock and no database, so that `liaison events check` gives the same verdicts offline.
Statuses are those of the HTTP door; the AMQP door tells field and reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from contracts.fact import Fact, Name, Word
from contracts.gateway import ONLY_BY_MAIL, FeedbackSubmitted
from contracts.markings import advice_on, marked_field
from contracts.register import FACTS
from eventkit.envelope import (
    MAX_EVENT_BYTES,
    STRUCTURED_TYPE,
    Event,
    RawEvent,
    continued_trace,
    decode_data,
    decode_time,
    partitionkey_of,
    read_any,
)
from eventkit.errors import BadMessage
from services.gateway import binding, rules
from services.gateway.mappings import Mappings, TypeMapping
from services.gateway.rules import MAX_NAME_BYTES, is_short

# CloudEvents 1.0.2, type system: a String has no control characters, surrogates or non-characters.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_MISSING = re.compile(r"missing required field `(\w+)`")


class Publisher(msgspec.Struct, frozen=True):
    """Another system that may publish. may: patterns of types. history: it may send what happened elsewhere."""

    name: str
    source: str
    may: tuple[str, ...]
    history: bool = False


class Directory:
    """All publishers, found by name or by a type that they may send."""

    def __init__(self, publishers: Iterable[Publisher]) -> None:
        self._by_name = {one.name: one for one in publishers}
        self._by_pattern: dict[str, list[Publisher]] = {}
        for one in self._by_name.values():
            for pattern in one.may:
                self._by_pattern.setdefault(pattern, []).append(one)

    def named(self, name: str | None) -> Publisher | None:
        """Return the publisher of this name."""
        return self._by_name.get(name or "")

    def senders_of(self, event_type: str) -> list[Publisher]:
        """Return the publishers whose patterns cover a type: one, unless they were let share it."""
        if not rules.is_type(event_type):
            return []
        words = event_type.split(".")
        covering = [event_type, *(".".join(words[:length]) + ".*" for length in range(len(words) - 1, 0, -1))]
        found = {one.name: one for pattern in covering for one in self._by_pattern.get(pattern, ())}
        return list(found.values())


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What came to a door.

    headers: those of the envelope only; over HTTP as they came, (name, value) pairs of bytes, still percent-encoded.
    publisher: whose token it was (HTTP). routing_key, account: how and as whom it was published (AMQP).
    unreadable: why the message's properties could not be decoded (AMQP).
    """

    door: str
    content_type: str
    headers: Mapping[str, Any] | tuple[tuple[bytes, bytes], ...]
    body: bytes
    publisher: str | None = None
    routing_key: str | None = None
    account: str | None = None
    traceparent: str | None = None
    unreadable: str | None = None

    def as_sent(self) -> bytes:
        """Return content type, headers and body as bytes: what a refusal keeps, and what its digest is made of."""
        pairs = self.headers if isinstance(self.headers, tuple) else sorted(self.headers.items())
        lines = [f"content-type: {self.content_type}", *(f"{_plain(name)}: {_plain(value)}" for name, value in pairs)]
        return "\n".join(lines).encode("utf-8", "backslashreplace") + b"\n\n" + self.body


class Accepted(msgspec.Struct, frozen=True):
    """The event is to be emitted, unless it is a repeat."""

    publisher: str
    own_type: str
    event: Event[Fact]

    @property
    def key(self) -> tuple[str, str]:
        """What makes a second one a repeat."""
        return self.event.source, self.event.id


class Refused(msgspec.Struct, frozen=True):
    """The event is not taken. field, reason: for the publisher's people. status: of the HTTP answer."""

    publisher: str
    event_id: str
    event_type: str
    field: str
    reason: str
    status: int
    sent: bytes
    digest: str


Verdict = Accepted | Refused


class Refusal(Exception):
    """A refusal on its way out of the rules."""

    def __init__(self, status: int, field: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.field, self.reason = status, field, reason


def judge(offer: Offer, directory: Directory, mappings: Mappings, now: datetime) -> Verdict:
    """Return the verdict on what came to a door. Raises nothing: whatever cannot be read is refused. now: aware."""
    publisher: Publisher | None = None
    try:
        publisher = _sender(offer, directory)
        if offer.unreadable is not None:
            raise Refusal(400, "headers", f"cannot be decoded: {offer.unreadable}")
        raw = read_envelope(offer)
        if publisher is None:
            raise Refusal(403, "type", f"no publisher may send {offer.routing_key!r}")
        return Accepted(publisher.name, raw.attribute("type"), _event(offer, publisher, raw, mappings, now))
    except Refusal as no:
        found = no
    except BadMessage as bad:
        found = Refusal(_status_of(offer, bad), bad.field, bad.reason)
    except RecursionError:
        found = Refusal(400, "event", "is nested too deeply")
    except (ValueError, TypeError, OverflowError) as error:
        # An event that trips a reader must not stop the door for all the others.
        found = Refusal(400, "event", f"cannot be read: {type(error).__name__}")
    name = publisher.name if publisher else offer.publisher or rules.UNKNOWN_PUBLISHER
    return refused(offer, name, found.field, found.reason, status=found.status)


def refused(offer: Offer, publisher: str, field: str, reason: str, *, status: int = 422) -> Refused:
    """Return the refusal of an offer, with its id and type as far as they can be made out."""
    sent = offer.as_sent()
    return Refused(
        printable(publisher),
        printable(_glimpse(offer, "id")),
        printable(_glimpse(offer, "type") or offer.routing_key or ""),
        printable(field),
        printable(reason, 2000),
        status,
        sent[:MAX_EVENT_BYTES],
        sha256(sent).hexdigest(),
    )


def _glimpse(offer: Offer, attribute: str) -> str:
    """Return an attribute of an envelope that may be broken, so that its sender can tell which event it was."""
    if "cloudevents" in offer.content_type.lower():
        try:
            envelope = msgspec.json.decode(offer.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ""
        return _plain(envelope.get(attribute) or "") if isinstance(envelope, dict) else ""
    pairs = offer.headers if isinstance(offer.headers, tuple) else offer.headers.items()
    for name, value in pairs:
        if re.fullmatch(rf"(ce-|cloudevents[:_]){attribute}", _plain(name), re.IGNORECASE):
            try:
                return binding.header_value(attribute, value) if isinstance(offer.headers, tuple) else _plain(value)
            except BadMessage:
                return _plain(value)
    return ""


def printable(text: str, limit: int = MAX_NAME_BYTES) -> str:
    """Return text that a database and a log can hold: without control characters, at most `limit` characters."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)[:limit]


def _sender(offer: Offer, directory: Directory) -> Publisher | None:
    if offer.routing_key is None:
        if found := directory.named(offer.publisher):
            return found
        raise Refusal(403, "publisher", f"{offer.publisher!r} is not a publisher")
    senders = directory.senders_of(offer.routing_key)
    if len(senders) < 2:
        return senders[0] if senders else None
    # The broker lets nobody name another account than their own.
    if own := next((one for one in senders if one.name == offer.account), None):
        return own
    names = ", ".join(sorted(one.name for one in senders))
    raise Refusal(403, "publisher", f"{names} share {offer.routing_key!r}: the message's user_id must name the account")


def read_envelope(offer: Offer) -> RawEvent:
    """Return the envelope of an offer, its required attributes checked. Raises BadMessage or a refusal."""
    if len(offer.body) > MAX_EVENT_BYTES:
        raise Refusal(413, "event", f"{len(offer.body)} bytes; an event may have {MAX_EVENT_BYTES}")
    media, _, parameters = offer.content_type.lower().partition(";")
    if "charset" in parameters and not re.search(r'charset="?(utf-8|us-ascii)\b', parameters):
        raise Refusal(415, "contenttype", f"{parameters.strip()!r}: only UTF-8 is taken")
    media = media.strip()
    is_structured = media.startswith("application/cloudevents")
    if is_structured and media != STRUCTURED_TYPE:
        raise Refusal(415, "contenttype", f"{media!r} is not {STRUCTURED_TYPE}")
    if isinstance(offer.headers, tuple):
        headers: Mapping[str, Any] = {} if is_structured else binding.attributes_of(offer.headers)
    else:
        headers = offer.headers
    raw = read_any(media, headers, offer.body)
    for name, value in raw.attributes.items():
        if _CONTROLS.search(value):
            raise Refusal(400, name, "has a control character")
    for name in ("id", "source", "type", "time"):
        raw.attribute(name)
    return raw


def _event(offer: Offer, publisher: Publisher, raw: RawEvent, mappings: Mappings, now: datetime) -> Event[Fact]:
    given = raw.attributes
    _check_rights(offer, publisher, given)
    time = decode_time(given["time"])
    mapping, envelope, data = _mapped(publisher, raw, mappings)
    event_type = mapping.becomes if mapping else given["type"]
    fact = _fact(event_type, data, mapping)
    if "time" in envelope:
        time = decode_time(envelope["time"])
    externalref = envelope.get("externalref") or given.get("externalref") or None
    subject = envelope.get("subject") or given.get("subject") or externalref or given["id"]
    key = envelope.get("partitionkey") or given.get("partitionkey") or subject
    for name, value in (("externalref", externalref or ""), ("subject", subject), ("partitionkey", key)):
        if not is_short(value) or _CONTROLS.search(value):
            raise Refusal(400, name, f"longer than {MAX_NAME_BYTES} bytes, or with control characters")
    return Event(
        id=given["id"],
        source=publisher.source,
        type=event_type,
        subject=subject,
        time=time,
        data=fact,
        # Always within the source, so that nobody can hold up another one's subjects.
        partitionkey=key if key.startswith(f"{publisher.source} ") else partitionkey_of(publisher.source, key),
        traceparent=continued_trace(given.get("traceparent") or offer.traceparent),
        actor=_actor(fact, envelope.get("actor") or given.get("actor")) or f"publisher {publisher.name}",
        externalref=externalref,
        history=given.get("history") == "true",
        arrived_at=now,
    )


def _actor(fact: Fact, actor: str | None) -> str | None:
    """Return who did it, as the publisher says; whoever sent feedback without an author stays unnamed (T9)."""
    return None if isinstance(fact, FeedbackSubmitted) and fact.author is None else actor


def _check_rights(offer: Offer, publisher: Publisher, given: Mapping[str, str]) -> None:
    event_type, history = given["type"], given.get("history", "")
    if offer.account is not None and offer.account != publisher.name:
        raise Refusal(403, "publisher", f"published by {offer.account}; {publisher.name} sends {offer.routing_key}")
    if offer.routing_key is not None and event_type != offer.routing_key:
        raise Refusal(403, "type", f"{event_type!r} was published with the routing key {offer.routing_key!r}")
    if given["source"] != publisher.source:
        raise Refusal(403, "source", f"{given['source']!r}: the source of {publisher.name} is {publisher.source!r}")
    if not rules.may_send(publisher.may, event_type):
        raise Refusal(403, "type", f"{publisher.name} may send {', '.join(publisher.may)}, not {event_type!r}")
    if history not in ("", "true", "false"):
        raise Refusal(400, "history", f"{history!r} is neither true nor false")
    if history == "true" and not publisher.history:
        raise Refusal(403, "history", f"{publisher.name} has no right to send history")


def _mapped(
    publisher: Publisher, raw: RawEvent, mappings: Mappings
) -> tuple[TypeMapping | None, Mapping[str, str], bytes]:
    own = mappings.get(publisher.name, {})
    event_type = raw.attributes["type"]
    if mapping := own.get(event_type):
        return mapping, *mapping.apply(raw)
    if event_type not in rules.ASKABLE:
        known = [*own, *(name for name in sorted(rules.ASKABLE) if rules.may_send(publisher.may, name))]
        there = ", ".join(known) or "nothing yet"
        raise Refusal(422, "type", f"{event_type!r} is not known here; {publisher.name} may send: {there}")
    return None, {}, raw.data


def _fact(event_type: str, data: bytes, mapping: TypeMapping | None) -> Fact:
    try:
        fact = decode_data(event_type, data)
    except BadMessage as bad:
        missing = _MISSING.search(bad.reason)
        raise _bad_data(f"{bad.field}.{missing[1]}" if missing else bad.field, bad.reason, mapping) from None
    for name in ONLY_BY_MAIL:
        if getattr(fact, name, None):
            # Whoever could say so would speak in anybody's name, and lay hands on files by their checksum.
            raise _bad_data(f"data.{name}", "only the desk's own mailbox tells of it", mapping)
    for name in _NAMES[event_type]:
        if not all(is_short(one) for one in _names_in(getattr(fact, name))):
            raise _bad_data(f"data.{name}", f"longer than {MAX_NAME_BYTES} bytes", mapping)
    if marked := marked_field(fact):
        raise _bad_data(f"data.{marked[0]}", advice_on(marked[1]), mapping)
    for name in _WORDS.get(event_type, ()):
        if getattr(fact, name) == "other" and (sent := msgspec.json.decode(data)[name]) != "other":
            # Readers take a word that they do not know for `other`; whoever sends it should hear of it.
            raise _bad_data(f"data.{name}", f"{sent!r} is not a word of its list", mapping)
    return fact


def _bad_data(field: str, reason: str, mapping: TypeMapping | None) -> Refusal:
    """Return the refusal of a field of the data, which a line of a mapping file may have made."""
    origin = mapping.origins.get(field.removeprefix("data.").partition(".")[0]) if mapping else None
    return Refusal(422, field, f"{reason} ({origin} makes it)" if origin else reason)


def _names_in(value: str | Iterable[str] | None) -> Iterable[str]:
    return (value,) if isinstance(value, str) else value or ()


def _name_fields(fact: type[Fact]) -> tuple[str, ...]:
    return tuple(name for name, kinds in _kinds(fact) if Name in kinds)


def _word_fields(fact: type[Fact]) -> tuple[str, ...]:
    return tuple(
        name for name, kinds in _kinds(fact) if any(isinstance(one, type) and issubclass(one, Word) for one in kinds)
    )


def _kinds(fact: type[Fact]) -> Iterable[tuple[str, tuple[Any, ...]]]:
    """Return each field's name with its type and the types within that."""
    fields: Callable[[type[Fact]], tuple[Any, ...]] = msgspec.structs.fields
    return ((one.name, (one.type, *getattr(one.type, "__args__", ()))) for one in fields(fact))


_NAMES = {name: _name_fields(fact) for name, fact in FACTS.items()}
_WORDS = {name: words for name, fact in FACTS.items() if (words := _word_fields(fact))}


def _status_of(offer: Offer, bad: BadMessage) -> int:
    if bad.field in ("contenttype", "datacontenttype"):
        return 415
    if not bad.field and offer.content_type and "json" not in offer.content_type.lower():
        return 415
    return 422 if bad.field.startswith("data") else 400


def _plain(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
