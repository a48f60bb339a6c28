"""Workbooks of spreadsheet programs (xlsx, xls, xlsb, ods), read as the CSV that a roster is."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime, time, timedelta

from python_calamine import CalamineError, CalamineWorkbook

#: How the files of spreadsheet programs begin: a ZIP archive, or Microsoft's compound file.
_BEGINNINGS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_MINUTE_S = 60
Cell = str | int | float | bool | date | datetime | time | timedelta


class Unreadable(Exception):
    """Not a workbook, or a broken one; the message says why."""


def is_workbook(content: bytes) -> bool:
    """Tell whether a file is a workbook by how it begins."""
    return content.startswith(_BEGINNINGS)


def csv_of(content: bytes) -> str:
    """Return a workbook's first sheet as CSV, a line for each of its rows. Raises Unreadable."""
    try:
        rows = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python(False)
    except CalamineError as error:
        raise Unreadable(f"cannot be read as a workbook: {error}") from error
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_text(cell) for cell in row] for row in rows)
    return text.getvalue()


def _text(cell: Cell) -> str:
    """Return a cell as people write it in a CSV file; a line break would shift the numbers of the lines below."""
    match cell:
        case datetime():
            return f"{cell:%Y-%m-%d %H:%M:%S}"
        case timedelta():
            minutes, second = divmod(round(cell.total_seconds()), _MINUTE_S)
            return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}"
        case float() if cell.is_integer():
            return str(int(cell))
        case str():
            return " ".join(cell.split())
    return str(cell)
