"""`liaison duty`: the duty roster, loaded from a spreadsheet and shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.table import Table

from liaison.installation import Installation
from liaison.terminal import console
from liaison.transactions import transaction
from services.tickets.duty import calls
from services.tickets.duty.roster import LEVEL_TEXTS
from services.tickets.settings import Settings
from services.tickets.sla.policy import Policy
from services.tickets.storage import TicketStore

_ALL = {"kind": "all"}


@click.group()
def duty() -> None:
    """The duty roster: who is there when."""


@contextmanager
def _tickets() -> Iterator[tuple[TicketStore, Policy]]:
    policy = Settings.from_env(os.environ).policy
    with transaction(Installation.load(), "tickets") as work:
        yield TicketStore(work), policy


@duty.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def load(file: Path) -> None:
    """Load the roster in FILE, a spreadsheet saved as CSV; what it covers is replaced.

    Columns: 组, 级别, 工号, 日期, 开始, 结束, and perhaps 替班. A sheet with a fault is refused as a whole, and every
    fault is told by its line.
    """
    with _tickets() as (store, policy):
        taken = calls.load_sheet(store, policy, file.read_bytes(), {"scope": _ALL}, None)
    console.print(f"{taken['shifts']} shifts loaded, {taken['replaced']} replaced: {', '.join(taken['groups'])}")


@duty.command()
@click.argument("group")
def show(group: str) -> None:
    """Show who of GROUP is on duty now, the coming shifts, and the gaps of the next 7 days."""
    with _tickets() as (store, policy):
        found = calls.show_duty(store, policy, {"group": group, "scope": _ALL})
        zone = policy.calendar(policy.assignment.duty_calendar, None).zone
    now = [f"{one['person']}（{LEVEL_TEXTS[one['level']]}）" for one in found["on_duty"]]
    console.print(f"{group} 当班：{'、'.join(now) or '无人'}")
    console.print(_shifts(found["shifts"], zone))
    for gap in found["gaps"]:
        console.print(f"[yellow]{gap['text']}[/yellow]")


def _shifts(shifts: list[dict[str, Any]], zone: ZoneInfo) -> Table:
    def shown(moment: datetime) -> str:
        return moment.astimezone(zone).strftime("%m-%d %H:%M")

    table = Table("级别", "值班人", "开始", "结束", "替班")
    for one in shifts:
        times = shown(one["begin_at"]), shown(one["end_at"])
        table.add_row(LEVEL_TEXTS[one["level"]], one["person"], *times, one["stand_in"] or "")
    return table
