"""`liaison sla`: service levels, reckoned offline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import click
import msgspec

from eventkit.errors import BadSettings
from services.tickets.business_time.cases import answer
from services.tickets.business_time.files import read_calendars
from services.tickets.business_time.parts import Fault


class _File(msgspec.Struct):
    calendars: dict[str, msgspec.Raw]
    cases: list[msgspec.Raw]


@click.group()
def sla() -> None:
    """Reckon with service levels."""


@sla.command()
@click.argument("file", type=click.File("rb"))
def compute(file: BinaryIO) -> None:
    """Reckon the cases in FILE (`-`: standard input) and print one JSON line for each, in order.

    FILE is a JSON object of `calendars`, by name, and `cases`. A case has `calendar`, `start` and either `target_s`,
    answered by `due`, or `end`, answered by `elapsed_s`; perhaps `id`, `pauses` as pairs of moments, and `edge`. A
    case that is wrong is answered by `error` and `field`, the others all the same. Exits with 1 when anything was
    wrong.
    """
    given = _read(file.read())
    calendars, faults = read_calendars({name: msgspec.json.decode(raw) for name, raw in given.calendars.items()})
    for fault in faults:
        click.echo(f"calendars.{fault.calendar}: {fault.told()}", err=True)
    wrong = _by_calendar(faults)
    failed = bool(faults)
    lines = []
    for place, case in enumerate(given.cases, start=1):
        answered = answer(case, place, calendars, wrong)
        failed |= "error" in answered
        lines.append(msgspec.json.encode(answered).decode())
    if lines:
        click.echo("\n".join(lines))
    if failed:
        raise SystemExit(1)


def _read(content: bytes) -> _File:
    try:
        return msgspec.json.decode(content, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadSettings(f"not a file of calendars and cases: {error}") from None


def _by_calendar(faults: Sequence[Fault]) -> dict[str, str]:
    wrong: dict[str, str] = {}
    for fault in faults:
        wrong[fault.calendar] = "; ".join(filter(None, (wrong.get(fault.calendar), fault.told())))
    return wrong
