"""`liaison sla`: service levels, reckoned offline, and those of a ticket explained."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

import click
import msgspec
from rich.table import Table

from eventkit.errors import BadSettings
from liaison.installation import Installation
from liaison.terminal import console
from liaison.transactions import transaction
from services.tickets.business_time.cases import answer
from services.tickets.business_time.files import read_calendars
from services.tickets.business_time.parts import Fault
from services.tickets.settings import Settings
from services.tickets.sla.calls import explain_ticket
from services.tickets.storage import TicketStore

_TARGETS = {"first_response": "首次响应", "next_response": "再次响应", "solution": "解决"}
_STATES = {"running": "计时中", "paused": "暂停", "met": "已达成", "missed": "已超时"}


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


@sla.command()
@click.argument("ticket")
def explain(ticket: str) -> None:
    """Show why TICKET's targets are due when they are: each span that counted or was skipped, and why."""
    policy = Settings.from_env(os.environ).policy
    with transaction(Installation.load(), "tickets") as work:
        answer = explain_ticket(TicketStore(work), policy, {"number": ticket, "scope": {"kind": "all"}})
    for clock in answer["clocks"]:
        console.print(_clock_table(clock))


def _clock_table(clock: Mapping[str, Any]) -> Table:
    zone = ZoneInfo(clock["time_zone"])

    def shown(moment: datetime) -> str:
        return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")

    title = (
        f"{_TARGETS.get(clock['target'], clock['target'])} 第 {clock['cycle']} 轮 · {clock['level']} · "
        f"{clock['calendar']} · {_STATES.get(clock['state'], clock['state'])}\n"
        f"期限 {shown(clock['due_at'])}，共 {_span(clock['target_s'])}，已用 {_span(clock['elapsed_s'])}"
    )
    if clock["unpublished_years"]:
        title += f"\n[yellow]{'、'.join(map(str, clock['unpublished_years']))} 年节假日尚未公布，按周计算[/yellow]"
    table = Table("自", "至", "计时", "原因", title=title)
    for span in clock["spans"]:
        counted = _span((span["end_at"] - span["begin_at"]).total_seconds()) if span["counted"] else "—"
        table.add_row(shown(span["begin_at"]), shown(span["end_at"]), counted, span["text"])
    return table


def _span(seconds: float) -> str:
    """Return seconds as hours, minutes and seconds."""
    sign, whole = ("-" if seconds < 0 else ""), round(abs(seconds))
    return f"{sign}{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"


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
