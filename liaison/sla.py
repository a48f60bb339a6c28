"""`liaison sla`: service levels, reckoned offline, and those of a ticket explained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

import click
import msgspec
from rich.table import Table

from eventkit.errors import BadSettings
from liaison.installation import Installation
from liaison.terminal import console
from liaison.transactions import calling, transaction
from services.tickets.business_time.cases import answer
from services.tickets.business_time.files import SHIPPED, load_calendars, read_calendars
from services.tickets.business_time.parts import Fault
from services.tickets.sla import change_plan
from services.tickets.sla.change_plan import Move
from services.tickets.sla.clock import Clock
from services.tickets.sla.policy import Policy
from services.tickets.sla.policy_file import read_policy
from services.tickets.sla.usecases import clocks_of
from services.tickets.storage import TicketStore

_BATCH = 500
_MOST_SHOWN = 200
_TARGETS = {"internal": "内部", "first_response": "首次响应", "next_response": "再次响应", "solution": "解决"}
_STATES = {"running": "计时中", "paused": "暂停", "met": "已达成", "missed": "已超时", "ended": "已取消"}


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
    # The running service is asked, since it alone knows by which files it reckons.
    with calling(Installation.load()) as call:
        answer = call("tickets", "explain_sla", {"number": ticket, "scope": {"kind": "all"}})
    for clock in answer["clocks"]:
        _show_clock(clock)


def _show_clock(clock: Mapping[str, Any]) -> None:
    zone = ZoneInfo(clock["time_zone"])

    def shown(moment: str) -> str:
        return datetime.fromisoformat(moment).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")

    console.print(
        f"[bold]{_TARGETS.get(clock['target'], clock['target'])} 第 {clock['cycle']} 轮 · {clock['level']} · "
        f"{clock['calendar']} · {_STATES.get(clock['state'], clock['state'])}[/bold]\n"
        f"期限 {shown(clock['due_at'])}，共 {_span(clock['target_s'])}，已用 {_span(clock['elapsed_s'])}"
    )
    if clock["unpublished_years"]:
        console.print(f"[yellow]{'、'.join(map(str, clock['unpublished_years']))} 年节假日尚未公布，按周计算[/yellow]")
    if not clock["spans"]:
        return
    table = Table("自", "至", "计时", "原因")
    for span in clock["spans"]:
        length = datetime.fromisoformat(span["end_at"]) - datetime.fromisoformat(span["begin_at"])
        counted = _span(length.total_seconds()) if span["counted"] else "—"
        table.add_row(shown(span["begin_at"]), shown(span["end_at"]), counted, span["text"])
    console.print(table)


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


@sla.command(name="plan-change")
@click.argument("policy", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--calendars", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Also with these calendar files."
)
@click.option("--apply", "apply_now", is_flag=True, help="Apply it, after the service was started with the same files.")
def plan_change(policy: Path, calendars: Path | None, apply_now: bool) -> None:
    """Show which clocks that run would move, and which would be missed, under the policy file POLICY.

    With --apply they do; of what was due more than 5 minutes before, nobody is told.
    """
    new = read_policy(policy, load_calendars(calendars or SHIPPED))
    moves: list[Move] = []
    with console.status("looking at open tickets") as status:
        for done, batch in enumerate(_by_batches(new, apply_now), start=1):
            moves += batch
            status.update(f"{done * _BATCH} open tickets looked at, {len(moves)} clocks move")
    if moves:
        console.print(_moves_table(moves[:_MOST_SHOWN]))
    if len(moves) > _MOST_SHOWN:
        console.print(f"… and {len(moves) - _MOST_SHOWN} more")
    tickets = {move.number for move in moves}
    missed = sum(move.misses for move in moves)
    verb = "moved" if apply_now else "would move"
    console.print(f"{len(moves)} clocks of {len(tickets)} tickets {verb}; {missed} of them become late by it")


def _by_batches(policy: Policy, apply_now: bool) -> Iterator[list[Move]]:
    """Yield the moves of the open tickets, a transaction for each batch of them."""
    after = ""
    installation = Installation.load()
    while True:
        with transaction(installation, "tickets") as work:
            store = TicketStore(work)
            numbers = store.open_numbers(after, _BATCH)
            store.preload(request_keys=[], numbers=numbers, people=[])
            rows = [row for number in numbers if (row := store.tickets.get(number)) is not None]
            if apply_now:
                found = [move for row in rows for move in change_plan.apply(store, policy, row, work.now)]
            else:
                found = [
                    move
                    for row in rows
                    for move in change_plan.moves_of(policy, row, clocks_of(store, policy, row), work.now)
                ]
        if not numbers:
            return
        after = numbers[-1]
        yield found


def _moves_table(moves: Sequence[Move]) -> Table:
    table = Table("工单", "时限", "原期限", "新期限", "")
    for move in moves:
        before, after = (_due(one) for one in (move.before, move.after))
        target = _TARGETS.get(move.after.target, str(move.after.target))
        table.add_row(move.number, target, before, after, "[red]将超时[/red]" if move.misses else "")
    return table


def _due(clock: Clock) -> str:
    if clock.stopped_at is not None:
        return "不再计时"
    due = clock.due_at.astimezone(clock.calendar.zone).strftime("%Y-%m-%d %H:%M:%S")
    return f"{due} 暂停" if clock.is_paused else due
