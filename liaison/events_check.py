"""`liaison events check FILE`: the doors' verdicts on a file of events, offline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from eventkit.errors import BadSettings
from services.gateway import mappings, rules
from services.gateway.mappings import Mappings
from services.gateway.verdicts import Directory, Offer, Publisher, Refused, Verdict, judge

_MAPPINGS = Path(mappings.__file__).parent / "mappings"


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict on one event. place: its line or number in the file, from 1."""

    place: int
    verdict: Verdict


def split(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the events of a file with their places: one structured CloudEvent, a list of them, or JSON lines."""
    try:
        whole = msgspec.json.decode(content, type=list[msgspec.Raw] if content.lstrip()[:1] == b"[" else msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        for number, line in enumerate(content.splitlines(), start=1):
            if line.strip():
                yield number, line
        return
    for number, one in enumerate(whole if isinstance(whole, list) else [whole], start=1):
        yield number, bytes(one)


def check_events(
    content: bytes, known: Mappings, *, publisher: str | None = None, patterns: Sequence[str] = (), history: bool = True
) -> list[Checked]:
    """Return the verdicts on a file's events.

    publisher: by default the one whose mapping file knows the type, else the first word of the type. patterns: what
    it may send; everything of the type's family unless given. Rights that only an installation knows are not checked.
    """
    now = datetime.now(UTC)
    checked = []
    for place, body in split(content):
        sender = _assumed(body, known, publisher, patterns, history)
        offer = Offer(
            door="check", content_type="application/cloudevents+json", headers={}, body=body, publisher=sender.name
        )
        checked.append(Checked(place, judge(offer, Directory([sender]), known, now)))
    return checked


def _assumed(body: bytes, known: Mappings, publisher: str | None, patterns: Sequence[str], history: bool) -> Publisher:
    try:
        envelope = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        envelope = {}
    given = envelope if isinstance(envelope, dict) else {}
    event_type, source = str(given.get("type") or ""), str(given.get("source") or "")
    owner = next((name for name, types in known.items() if event_type in types), None)
    name = publisher or owner or source.strip("/").partition("/")[0] or rules.UNKNOWN_PUBLISHER
    # Offline nobody knows which source a publisher was given: the default, unless the event says otherwise.
    return Publisher(name, source or f"/{name}", tuple(patterns) or (event_type,), history)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--publisher", help="Who would send them. [default: whose mapping file knows the type]")
@click.option("--may", "patterns", multiple=True, help="A pattern of types that it may send. [default: any]")
@click.option(
    "--mappings", "folder", type=click.Path(file_okay=False, path_type=Path), default=_MAPPINGS, help="Mapping files."
)
def check(file: Path, publisher: str | None, patterns: tuple[str, ...], folder: Path) -> None:
    """Check the events in FILE by the doors' own rules, without sending them.

    FILE holds one structured CloudEvent, a JSON list of them, or one a line. Exits with 1 when one would be refused.
    """
    try:
        known = mappings.load(folder)
    except BadSettings as error:
        raise click.ClickException(str(error)) from None
    checked = check_events(file.read_bytes(), known, publisher=publisher, patterns=patterns)
    for one in checked:
        if isinstance(one.verdict, Refused):
            click.echo(f"{file}:{one.place}: {one.verdict.event_id or '?'}: {one.verdict.field}: {one.verdict.reason}")
        else:
            event = one.verdict.event
            click.echo(f"{file}:{one.place}: {event.id}: ok, {one.verdict.own_type} becomes {event.type}")
    if any(isinstance(one.verdict, Refused) for one in checked):
        raise SystemExit(1)
