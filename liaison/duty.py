"""`liaison duty`: the duty roster, loaded from a spreadsheet and shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.table import Table

from eventkit.envelope import new_id
from liaison.installation import Installation
from liaison.terminal import console
from liaison.transactions import calling
from liaison.workbooks import Unreadable, csv_of, is_workbook
from services.tickets.duty.roster import LEVEL_TEXTS
from services.tickets.duty.sheets import SheetFault, decoded


@click.group()
def duty() -> None:
    """The duty roster: who is there when."""


def _ask(method: str, **arguments: Any) -> Any:
    # The running service is asked, since it alone knows by which files it works.
    with calling(Installation.load()) as call:
        return call("tickets", method, {**arguments, "scope": {"kind": "all"}}, key=new_id())


@duty.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def load(file: Path) -> None:
    """Load the roster in FILE, a workbook's first sheet or CSV; what it covers is replaced.

    Columns: 组, 级别, 工号, 日期, 开始, 结束, and perhaps 替班. A sheet with a fault is refused as a whole, and every
    fault is told by its line.
    """
    taken = _ask("load_roster", sheet=_sheet(file))
    console.print(f"{taken['shifts']} shifts loaded, {taken['replaced']} replaced: {', '.join(taken['groups'])}")


def _sheet(file: Path) -> str:
    content = file.read_bytes()
    if is_workbook(content):
        try:
            return csv_of(content)
        except Unreadable as error:
            raise click.ClickException(f"{file.name} {error}") from error
    sheet = decoded(content)
    if isinstance(sheet, SheetFault):
        raise click.ClickException(sheet.told(file.name))
    return sheet


@duty.command()
@click.argument("group")
def show(group: str) -> None:
    """Show who of GROUP is on duty now, the coming shifts, and the gaps of the next 7 days."""
    found = _ask("show_duty", group=group)
    now = [f"{one['person']}（{LEVEL_TEXTS[one['level']]}）" for one in found["on_duty"]]
    console.print(f"{group} 当班：{'、'.join(now) or '无人'}")
    console.print(_shifts(found["shifts"], ZoneInfo(found["time_zone"])))
    for gap in found["gaps"]:
        console.print(f"[yellow]{gap['text']}[/yellow]")


def _shifts(shifts: list[Mapping[str, Any]], zone: ZoneInfo) -> Table:
    def shown(moment: str) -> str:
        return datetime.fromisoformat(moment).astimezone(zone).strftime("%m-%d %H:%M")

    table = Table("级别", "值班人", "开始", "结束", "替班")
    for one in shifts:
        times = shown(one["begin_at"]), shown(one["end_at"])
        table.add_row(LEVEL_TEXTS[one["level"]], one["person"], *times, one["stand_in"] or "")
    return table
