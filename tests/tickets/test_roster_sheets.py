"""Duty rosters as CSV: what is right is read, what is wrong is told with line and column."""

from __future__ import annotations

import codecs
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tickets.duty.roster import LEVEL_TEXTS, Post, Shift, Span
from services.tickets.duty.sheets import read_sheet

CELLS = ["华东支持组", "一线", "E1", "2026-11-23 08:00", "9999-12-31 23:00", "2299-12-31 23:00", "1900-01-01", "24:00"]
LEVELS = "1, 2, 3, 4, 关键用户, 专家, 技术团队, 厂商, 一线, 二线, 三线, 四线"
SHANGHAI = ZoneInfo("Asia/Shanghai")
HEADER = "组,级别,工号,开始,结束,替班\n"
ROW = "华东支持组,一线,E1001,2026-11-23 08:00,2026-11-23 16:00,E1002\n"


def at(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def shift_of(text: str) -> Shift:
    sheet = read_sheet(text.encode(), SHANGHAI)
    assert sheet.faults == ()
    [shift] = sheet.shifts
    return shift


def told(content: str | bytes) -> list[str]:
    content = content.encode() if isinstance(content, str) else content
    return [fault.told("roster.csv") for fault in read_sheet(content, SHANGHAI).faults]


def times(begin: str, end: str) -> tuple[str, str]:
    """Return a row's begin and end as read, in Shanghai's time."""
    span = shift_of(f"组,级别,工号,日期,开始,结束\n华东支持组,1,E1001,2026-12-31,{begin},{end}\n").span
    return span.begin_at.astimezone(SHANGHAI).isoformat()[:16], span.end_at.astimezone(SHANGHAI).isoformat()[:16]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_sheet_reads_the_same_however_it_was_saved(encoding: str, separator: str, end: str) -> None:
    content = (HEADER + ROW).replace(",", separator).replace("\n", end).encode(encoding)
    sheet = read_sheet(content, SHANGHAI)
    assert sheet.faults == ()
    span = Span(at("2026-11-23 08:00"), at("2026-11-23 16:00"))
    assert sheet.shifts == (Shift(Post("华东支持组", 1), "E1001", span, "E1002"),)


def test_columns_may_be_english_in_any_order_and_without_a_stand_in() -> None:
    shift = shift_of("Note,End,Begin,Person,Level,Group\nx,2026-11-23 16:00,2026-11-23 08:00,E1,2,desk\n")
    assert (shift.post, shift.person, shift.stand_in) == (Post("desk", 2), "E1", None)


@pytest.mark.parametrize(
    ("given_level", "level"),
    [("1", 1), ("L2", 2), ("l3", 3), ("四线", 4), *((text, level) for level, text in LEVEL_TEXTS.items())],
)
def test_a_level_is_a_number_or_a_word(given_level: str, level: int) -> None:
    assert shift_of(HEADER + ROW.replace("一线", given_level)).post.level == level


@pytest.mark.parametrize(
    ("begin", "end", "read"),
    [
        ("08:00", "16:00", ("2026-12-31T08:00", "2026-12-31T16:00")),
        ("16:00", "24:00", ("2026-12-31T16:00", "2027-01-01T00:00")),
        ("22:00", "6:00", ("2026-12-31T22:00", "2027-01-01T06:00")),
        ("08:00", "08:00", ("2026-12-31T08:00", "2027-01-01T08:00")),
        ("8：30", "17：30", ("2026-12-31T08:30", "2026-12-31T17:30")),
        ("2026-11-23T08:00:00", "16:00", ("2026-11-23T08:00", "2026-11-23T16:00")),
        ("2026/11/3 8:00", "2026/11/4 9:00", ("2026-11-03T08:00", "2026-11-04T09:00")),
        ("2026年11月3日 8:00", "20:00", ("2026-11-03T08:00", "2026-11-03T20:00")),
        ("2026.11.03 8:00", "2027-01-01 08:00", None),
    ],
)
def test_times_are_read_as_people_write_them(begin: str, end: str, read: tuple[str, str] | None) -> None:
    if read is None:
        assert told(f"{HEADER}组,1,E1,{begin},{end},\n") == [
            "roster.csv:2:5: 结束: is more than 31 days after the begin"
        ]
    else:
        assert times(begin, end) == read


@pytest.mark.parametrize(
    "begin",
    ["08:60", "08:00:60", "24:01", "8", "2026-11-23", "0001-01-01 08:00", "2300-01-01 08:00", "2026-13-01 08:00"],
)
def test_what_is_no_time_is_told(begin: str) -> None:
    [fault] = told(f"{HEADER}组,1,E1,{begin},2026-11-23 16:00,\n")
    assert fault.startswith(f"roster.csv:2:4: 开始: {begin!r} is not such as 2026-11-23 08:00")


def test_times_are_those_of_the_zone_also_where_clocks_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    content = (HEADER + "desk,1,E1,2026-03-29 00:00,24:00,\n").encode()
    [shift] = read_sheet(content, berlin).shifts
    assert (shift.span.end_at - shift.span.begin_at).total_seconds() == 23 * 3600
    assert shift.span.begin_at == at("2026-03-29 00:00", berlin)


def test_every_fault_is_told_with_its_line_and_column() -> None:
    assert told(
        HEADER
        + ",一线,E1001,2026-11-23 08:00,2026-11-23 16:00,\n"
        + "华东支持组,五线,E1001,2026-11-23 08:00,2026-11-23 16:00,\n"
        + "\n"
        + '华东支持组,一线,"E1\n001",2026-11-23 08:00,2026-11-23 16:00,E 2\n'
        + "华东支持组,一线,,2026-02-30 08:00,2026-11-23 25:00,\n"
        + "华东支持组,一线,E1001,2026-11-23 08:00,2026-11-23 08:00,\n"
        + "华东支持组,一线,E1001,08:00,16:00,\n"
        + "华东支持组,一线,E1001\n"
    ) == [
        "roster.csv:2:1: 组: is empty",
        f"roster.csv:3:2: 级别: '五线' is no level; known: {LEVELS}",
        "roster.csv:5:3: 工号: 'E1\\n001' is not an employee number",
        "roster.csv:5:6: 替班: 'E 2' is not an employee number",
        "roster.csv:7:3: 工号: '' is not an employee number",
        "roster.csv:7:4: 开始: '2026-02-30 08:00' is not such as 2026-11-23 08:00, or 08:00 with a date in the row",
        "roster.csv:7:5: 结束: '2026-11-23 25:00' is not such as 2026-11-23 08:00, or 08:00 with a date in the row",
        "roster.csv:8:5: 结束: is not after the begin",
        "roster.csv:9:4: 开始: '08:00' has no date, and there is none in the row",
        "roster.csv:10:4: 开始: '' is not such as 2026-11-23 08:00, or 08:00 with a date in the row",
        "roster.csv:10:5: 结束: '' is not such as 2026-11-23 08:00, or 08:00 with a date in the row",
    ]


def test_columns_that_are_unknown_twice_or_missing_are_told() -> None:
    assert told("组,工号,班次,工号,结束\n") == [
        "roster.csv:1: there is no column 级别 (level)",
        "roster.csv:1: there is no column 开始 (begin)",
        "roster.csv:1:3: unknown column '班次'; known: 组, 级别, 工号, 日期, 开始, 结束, 替班",
        "roster.csv:1:4: column '工号' stands here twice",
    ]


@pytest.mark.parametrize(
    ("second", "fault"),
    [
        pytest.param(ROW, "roster.csv:3: E1001 has this duty already, in line 2", id="the same row again"),
        pytest.param(ROW.replace(" 08:", " 15:"), "roster.csv:3: E1001 has this duty already, in line 2", id="in part"),
        pytest.param(ROW.replace(" 08:", " 07:"), "roster.csv:3: E1001 has this duty already, in line 2", id="before"),
        pytest.param(ROW.replace(" 16:", " 20:").replace(" 08:", " 16:"), None, id="right after"),
        pytest.param(ROW.replace("E1001", "E1003"), None, id="two people on one post"),
        pytest.param(ROW.replace("一线", "二线"), None, id="one person on two posts"),
        pytest.param(
            ROW.replace("E1001", "E1002"), "roster.csv:3: E1002 cannot stand in for themselves", id="own stand-in"
        ),
    ],
)
def test_rows_are_held_against_each_other(second: str, fault: str | None) -> None:
    assert told(HEADER + ROW + second) == ([fault] if fault else [])


def test_a_double_is_found_whatever_stands_between_the_two_rows() -> None:
    rows = ["00:00,24:00", "01:00,02:00", "03:00,04:00"]
    lines = [f"华东支持组,1,E1,2026-11-23 {hours},\n" for hours in rows]
    doubles = [f"roster.csv:{line}: E1 has this duty already, in line 2" for line in (3, 4)]
    assert told(HEADER + "".join(lines)) == doubles
    evening = lines[0].replace(rows[0], "16:00,20:00")
    assert told(HEADER + evening + lines[1] + lines[1]) == ["roster.csv:4: E1 has this duty already, in line 3"]


def test_what_is_no_csv_file_is_refused() -> None:
    assert told((HEADER + ROW).encode("utf-16")) == ["roster.csv: is not a CSV file in UTF-8 or GB18030"]
    assert told((HEADER + ROW).encode() + b"\xff\xff") == [
        "roster.csv:3: cannot be read as UTF-8, as which the file was taken"
    ]
    assert told(codecs.BOM_UTF8 + b"\xff") == ["roster.csv:1: cannot be read as UTF-8, as which the file was taken"]
    assert told((HEADER + ROW).encode("gbk") + b"\n\xff\xff") == [
        "roster.csv:4: cannot be read as GB18030, as which the file was taken"
    ]
    assert told(HEADER + ROW + 'x,"y" z\n') == ["roster.csv:3: cannot be read: ',' expected after '\"'"]
    assert told(HEADER + "\n,,\n") == ["roster.csv: has no shifts"]
    needed = ["组 (group)", "级别 (level)", "工号 (person)", "开始 (begin)", "结束 (end)"]
    assert told("") == [f"roster.csv:1: there is no column {name}" for name in needed]


def test_one_torn_byte_in_a_file_in_utf8_is_told_and_not_read_as_other_characters() -> None:
    torn = (HEADER + ROW + ROW).encode() + "华东".encode()[:-1] + b",1,E2,2026-11-23 08:00,16:00,\n"
    assert told(torn) == ["roster.csv:4: cannot be read as UTF-8, as which the file was taken"]


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: (HEADER + text).encode()))
def test_whatever_is_sent_is_read_or_told_and_never_a_crash(content: bytes) -> None:
    sheet = read_sheet(content, SHANGHAI)
    assert sheet.shifts or sheet.faults
    assert [one.line for one in sheet.faults] == sorted(one.line for one in sheet.faults)


@given(st.lists(st.sampled_from(CELLS), min_size=6, max_size=6))
def test_whatever_a_row_says_it_becomes_a_shift_or_a_fault(cells: list[str]) -> None:
    sheet = read_sheet((HEADER + ",".join(cells)).encode(), SHANGHAI)
    assert sheet.shifts or sheet.faults
    for shift in sheet.shifts:
        assert shift.post == Post(cells[0], 1)
        assert (shift.person, shift.stand_in) == (cells[2], cells[5])
