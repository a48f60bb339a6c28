"""Duty rosters as workbooks of a spreadsheet program: cells as people fill them in, and lines as they count them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import xlsxwriter

from liaison.workbooks import Unreadable, csv_of, is_workbook
from services.tickets.duty.roster import Post, Shift, Span
from services.tickets.duty.sheets import Sheet, read_sheet

SHANGHAI = ZoneInfo("Asia/Shanghai")
HEADER = ("组", "级别", "工号", "日期", "开始", "结束", "备注")
#: How a spreadsheet program shows a value of each type, and so knows what it is.
SHOWN = {date: "yyyy-mm-dd", time: "hh:mm", datetime: "yyyy/m/d hh:mm"}


def workbook(*rows: Sequence[Any], shown: str | None = None) -> bytes:
    """Return a workbook with these rows. shown: the number format of floats."""
    made = io.BytesIO()
    with xlsxwriter.Workbook(made, {"in_memory": True}) as book:
        sheet = book.add_worksheet("十二月")
        for line, row in enumerate(rows):
            for place, cell in enumerate(row):
                form = SHOWN.get(type(cell)) or (shown if isinstance(cell, float) else None)
                sheet.write(line, place, cell, book.add_format({"num_format": form}) if form else None)
    return made.getvalue()


def read(content: bytes) -> Sheet:
    assert is_workbook(content)
    return read_sheet(csv_of(content).encode(), SHANGHAI)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def test_cells_are_read_as_the_sheet_shows_them() -> None:
    shown = datetime.fromisoformat
    rows = [
        ("服务台", "一线", 1001, date(2026, 12, 1), time(8), time(16, 30), "顺延\n一天"),
        ("服务台", 2, "E1002", "", shown("2026-12-01 22:00"), shown("2026-12-02 06:00"), ""),
    ]
    assert read(workbook(HEADER, *rows)) == Sheet(
        (
            Shift(Post("服务台", 1), "1001", Span(at("2026-12-01 08:00"), at("2026-12-01 16:30"))),
            Shift(Post("服务台", 2), "E1002", Span(at("2026-12-01 22:00"), at("2026-12-02 06:00"))),
        ),
        (),
    )


def test_the_end_of_a_day_may_be_twenty_four_o_clock() -> None:
    row = ("服务台", 1, "E1001", date(2026, 12, 1), 16 / 24, 1.0, "")
    [shift] = read(workbook(HEADER, row, shown="[h]:mm")).shifts
    assert shift.span == Span(at("2026-12-01 16:00"), at("2026-12-02 00:00"))


def test_a_fault_is_told_by_the_row_that_people_see() -> None:
    right = ("服务台", 1, "E1001", date(2026, 12, 1), time(8), time(16), "带\n换行")
    wrong = ("服务台", 9, "E1001", date(2026, 12, 2), time(8), time(16), "")
    [fault] = read(workbook(HEADER, right, (), wrong)).faults
    assert fault.told("十二月.xlsx").startswith("十二月.xlsx:4:2: 级别: '9' is no level")


@pytest.mark.parametrize("content", [b"PK\x03\x04 no archive", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", workbook()[:400]])
def test_a_broken_workbook_is_refused_with_the_reason(content: bytes) -> None:
    assert is_workbook(content)
    with pytest.raises(Unreadable, match="cannot be read as a workbook: "):
        csv_of(content)


def test_text_is_no_workbook() -> None:
    assert not is_workbook("组,级别\n".encode())
