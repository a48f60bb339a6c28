"""CloudEvents over HTTP: header values, and batches. AMQP needs neither; the rest is `eventkit.envelope.read_any`.

The official SDK replaces bad UTF-8 instead of refusing it, leaves double quotes in and has no batch mode, so that
this part is our own; tests take the SDK's encoder for the other side.
Source: CloudEvents HTTP protocol binding 1.0.2, 3.1.3.2 (header values) and 3.3 (batches).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from eventkit.errors import BadMessage

BATCH_TYPE = "application/cloudevents-batch+json"
MAX_BATCH_BYTES = 1024 * 1024
MAX_BATCH_EVENTS = 500
_PREFIX = "ce-"
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_BAD_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# A string that nothing closes is one to the end: looking for its other quotes would take the square of its length.
_MARKS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{},]', re.DOTALL)


def header_value(name: str, raw: bytes) -> str:
    """Return an attribute's text: double-quoted strings unescaped, then percent-decoded once, then read as UTF-8.

    Raises BadMessage naming the header for an open quote, a lone `%` and bytes that are not UTF-8.
    """
    unquoted = _QUOTED.sub(lambda match: _ESCAPED.sub(rb"\1", match[1]), raw)
    if raw.count(b'"') and _QUOTED.sub(b"", raw).count(b'"'):
        raise BadMessage("has a double quote that is not closed", field=name)
    if _BAD_PERCENT.search(unquoted):
        raise BadMessage("has a `%` that two hexadecimal digits do not follow", field=name)
    try:
        return _PERCENT.sub(lambda match: bytes.fromhex(match[1].decode()), unquoted).decode()
    except UnicodeDecodeError:
        raise BadMessage("is not UTF-8 after percent-decoding", field=name) from None


def attributes_of(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the `ce-` headers of a request, decoded, by lower-case name.

    Raises BadMessage for a header that is there twice, and for `ce-datacontenttype`, which Content-Type stands for.
    """
    found: dict[str, str] = {}
    for raw_name, raw in headers:
        name = raw_name.decode("latin-1").lower()
        if name.startswith(_PREFIX):
            if name in found:
                raise BadMessage("was sent twice", field=name)
            found[name] = header_value(name.removeprefix(_PREFIX), raw)
    if "ce-datacontenttype" in found:
        raise BadMessage("in binary mode, Content-Type says what the data is", field="ce-datacontenttype")
    return found


def split_batch(body: bytes) -> list[bytes]:
    """Return the events of a batch, each as structured JSON. Raises BadMessage; field `batch` when it is too large."""
    if len(body) > MAX_BATCH_BYTES:
        raise BadMessage(f"more than {MAX_BATCH_BYTES} bytes", field="batch")
    try:
        events = [bytes(event) for event in msgspec.json.decode(body, type=list[msgspec.Raw])]
    except RecursionError:
        # One of them is nested too deeply to be looked through; it is judged apart like all others.
        events = _elements(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessage(f"not a JSON list: {error}", field="events") from None
    if len(events) > MAX_BATCH_EVENTS:
        raise BadMessage(f"{len(events)} events; a batch may have {MAX_BATCH_EVENTS}", field="batch")
    return events


def _elements(body: bytes) -> list[bytes]:
    """Return the elements of a JSON list by its brackets and commas alone, however deep it is. Raises BadMessage."""
    whole = body.strip()
    if not (whole.startswith(b"[") and whole.endswith(b"]")):
        raise BadMessage("not a JSON list", field="events")
    found: list[bytes] = []
    depth, begin, end = 0, 1, len(whole) - 1
    for mark in _MARKS.finditer(whole, begin, end):
        depth += (mark[0] in (b"[", b"{")) - (mark[0] in (b"]", b"}"))
        if depth == 0 and mark[0] == b",":
            found.append(whole[begin : mark.start()])
            begin = mark.end()
    return [*found, whole[begin:end]]
