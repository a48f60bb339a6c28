"""Calendar files and files of cases: what is right is used, what is wrong is told with its place."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from eventkit.errors import BadSettings
from liaison.cli import main
from services.tickets.business_time.files import SHIPPED, load_calendars, read_calendars

DESK = {"timezone": "Asia/Shanghai", "week": {"mon-fri": [["09:00", "18:00"]]}}
CASE = {"id": "a", "calendar": "desk", "start": "2026-03-02T09:00:00", "target_s": 3600}


def computed(*cases: Any, **calendars: Any) -> Result:
    content = json.dumps({"calendars": calendars or {"desk": DESK}, "cases": cases})
    return CliRunner().invoke(main, ["sla", "compute", "-"], input=content)


def answers(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def told_by(folder: Path) -> list[str]:
    with pytest.raises(BadSettings) as refused:
        load_calendars(folder)
    return str(refused.value).splitlines()[1:]


def faults(**definition: Any) -> list[str]:
    return [fault.told() for fault in read_calendars({"desk": {**DESK, **definition}})[1]]


def test_the_shipped_calendars_are_right() -> None:
    assert sorted(load_calendars().named) == ["5x8", "5x8-plant", "5x8-xinjiang", "7x24", "7x8"]
    assert {path.suffix for path in SHIPPED.iterdir()} == {".yaml"}


def test_every_fault_of_every_file_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "east.yaml").write_text(
        "timezone: Asia/Shanghai\n"
        "week:\n"
        "  mon-fri: [[09:00, 12:00], [13:30, 25:00]]\n"
        "  someday: []\n"
        "  fri: [[10:00, 11:00]]\n"
        "closed:\n"
        "  - 2026-02-30\n"
        "closd: []\n"
        "edge: open\n"
        "edge: close\n"
    )
    (tmp_path / "west.yaml").write_text("base: nowhere\nregion: 新疆\n")
    (tmp_path / "south.yaml").write_text("week: {mon: [[09:00, 18:00]]}\n")
    (tmp_path / "torn.yaml").write_text("week: [\n")
    assert [line.partition(": ")[0] for line in told_by(tmp_path)] == [
        "east.yaml:3",
        "east.yaml:4",
        "east.yaml:5",
        "east.yaml:7",
        "east.yaml:8",
        "east.yaml:10",
        "south.yaml:1",
        "torn.yaml:2",
        "west.yaml:1",
    ]


def test_times_need_no_quotes_and_dates_may_be_bare(tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text(
        "timezone: Asia/Shanghai\nweek: {mon-fri: [[10:30, 12:00]]}\nclosed: {2026-03-02: 盘点}\n"
        "open: {2026-03-07: {hours: [[9:00, 10:00]], reason: 年会}}\n"
    )
    desk = load_calendars(tmp_path).of("desk")
    found = desk.due(datetime(2026, 3, 2, tzinfo=UTC), timedelta(hours=1)).at
    assert found == datetime(2026, 3, 3, 3, 30, tzinfo=UTC)
    [(begin_at, _)] = desk.openings(datetime(2026, 3, 7, tzinfo=UTC), datetime(2026, 3, 8, tzinfo=UTC))
    assert begin_at == datetime(2026, 3, 7, 1, 0, tzinfo=UTC)


def test_an_unknown_calendar_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="no calendar '6x8': there are 5x8, 5x8-plant"):
        load_calendars().of("6x8")
    with pytest.raises(BadSettings, match="there are none"):
        load_calendars(tmp_path).of("6x8")


@pytest.mark.parametrize(
    ("definition", "told"),
    [
        ({"timezone": "Mars/Base"}, "timezone: 'Mars/Base' is not a time zone"),
        ({"timezone": 8}, "timezone: 8 is not a time zone"),
        ({"timezone": None}, "timezone: is missing"),
        ({"edge": "shut"}, "edge: 'shut' is neither open nor close"),
        ({"edge": ["open"]}, "edge: ['open'] is neither open nor close"),
        ({"holidays": "DE"}, "holidays: 'DE' is neither CN nor none"),
        ({"holidays": {"CN": 1}}, "holidays: {'CN': 1} is neither CN nor none"),
        ({"week": []}, "week: must be a mapping"),
        ({"week": {"mon": "09:00"}}, "week.mon: must be a list"),
        ({"week": {"mon": [["09:00"]]}}, "week.mon[0]: must be two times"),
        ({"week": {"mon": [["09:00", "09:00"]]}}, "week.mon[0]: is empty"),
        ({"week": {"mon": [["24:00", "09:00"]]}}, "week.mon[0]: is empty"),
        ({"week": {"mon": [["09:00", "24:01"]]}}, "week.mon[0][1]: '24:01' is not a time"),
        ({"week": {"mon": [["09:60", "18:00"]]}}, "week.mon[0][0]: '09:60' is not a time"),
        ({"week": {"mon": [[9, "18:00"]]}}, "week.mon[0][0]: 9 is not a time"),
        ({"week": {"fri-mon": []}}, "week.fri-mon: is not a weekday"),
        ({"open": {"2026-03-07": []}}, "open.2026-03-07: has no hours"),
        ({"open": ["2026-03-07"]}, "open: must be a mapping"),
        ({"closed": "2026-03-07"}, "closed: must be a list"),
        ({"closed": ["2026-3-7"]}, "closed[0]: '2026-3-7' is not a date"),
        ({"closed": ["2026-03-07..2026-03-01"]}, "closed[0]: '2026-03-07..2026-03-01' ends before it begins"),
        ({"closed_yearly": ["02-30"]}, "closed_yearly[0]: '02-30' is not a month and day"),
        ({"published": ["soon"]}, "published[0]: 'soon' is not a year"),
        ({"base": "desk"}, "base: goes round in a circle: desk on desk"),
        ({"base": ""}, "base: must be text"),
        ({"region": "新疆"}, "region: needs a base"),
    ],
)
def test_what_is_wrong_in_a_calendar_is_named(definition: dict[str, Any], told: str) -> None:
    [found, *others] = faults(**definition)
    assert found.startswith(told)
    assert not others


def test_a_calendar_that_is_no_mapping_is_told() -> None:
    assert [fault.told() for fault in read_calendars({"desk": []})[1]] == ["must be a mapping of names to values"]


def test_an_overlay_of_a_wrong_base_is_not_used() -> None:
    calendars, wrong = read_calendars({"base": {**DESK, "edge": "x"}, "over": {"base": "base"}})
    assert calendars.named == {}
    assert [(fault.calendar, fault.told()) for fault in wrong][1:] == [("over", "base: base is wrong")]


def test_two_overlays_for_one_region_are_refused() -> None:
    overlay = {"base": "desk", "region": "新疆"}
    assert [fault.told() for fault in read_calendars({"desk": DESK, "a": overlay, "b": overlay})[1]] == [
        "region: desk has another overlay for 新疆"
    ]


def test_an_overlay_says_what_differs_and_keeps_the_rest() -> None:
    calendars, wrong = read_calendars(
        {
            "desk": {**DESK, "closed": ["2026-03-02"], "open": {"2026-03-07": [["09:00", "10:00"]]}, "edge": "open"},
            "over": {"base": "desk", "closed": ["2026-03-07"], "open": {"2026-03-02": [["09:00", "10:00"]]}},
            "further": {"base": "over", "timezone": "UTC", "week": {"fri": []}},
        }
    )
    assert wrong == []
    begin, end = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 8, tzinfo=UTC)
    worked = {name: calendar.elapsed(begin, end).time for name, calendar in calendars.named.items()}
    assert worked == {
        "desk": timedelta(hours=4 * 9 + 1),
        "over": timedelta(hours=1 + 4 * 9),
        "further": timedelta(hours=1 + 3 * 9),
    }
    assert {calendar.edge.value for calendar in calendars.named.values()} == {"open"}


def test_each_case_is_one_line_in_order() -> None:
    elapsed = {"id": 7, "calendar": "desk", "start": "2026-03-02T17:00:00", "end": "2026-03-03T09:00:01"}
    result = computed(CASE, elapsed, {**CASE, "id": "p", "pauses": [["2026-03-02T09:10:00", None]]})
    assert result.exit_code == 0
    assert answers(result) == [
        {"id": "a", "due": "2026-03-02T10:00:00"},
        {"id": 7, "elapsed_s": 3601},
        {"id": "p", "due": None},
    ]


@pytest.mark.parametrize(
    ("start", "due"),
    [
        ("2026-03-02T09:00:00", "2026-03-02T10:00:00"),
        ("2026-03-02T01:00:00Z", "2026-03-02T02:00:00Z"),
        ("2026-03-02T01:00:00+00:00", "2026-03-02T02:00:00+00:00"),
        ("2026-03-02T06:30:00+05:30", "2026-03-02T07:30:00+05:30"),
    ],
)
def test_a_due_moment_comes_back_in_the_form_of_the_start(start: str, due: str) -> None:
    assert answers(computed({**CASE, "start": start})) == [{"id": "a", "due": due}]


def test_a_wall_time_that_a_clock_shows_twice_comes_back_with_its_offset() -> None:
    night = {"timezone": "Europe/Berlin", "week": {"sun": [["00:00", "06:00"]]}}
    case = {"id": 1, "calendar": "night", "start": "2024-10-27T01:30:00", "target_s": 5400}
    assert answers(computed(case, night=night)) == [{"id": 1, "due": "2024-10-27T02:00:00+01:00"}]


def test_what_a_reader_should_know_is_a_warning() -> None:
    chinese = {**DESK, "timezone": "Asia/Shanghai", "holidays": "CN"}
    berlin = {**DESK, "timezone": "Europe/Berlin"}
    result = computed(
        {**CASE, "start": "2026-12-28T09:00:00", "target_s": 200_000},
        {**CASE, "calendar": "berlin", "start": "2024-03-31T02:30:00"},
        {**CASE, "calendar": "berlin", "start": "2024-10-27T02:30:00", "tagret_s": 1},
        desk=chinese,
        berlin=berlin,
    )
    assert result.exit_code == 0
    assert [line["warnings"] for line in answers(result)] == [
        ["no statutory holidays are known for 2027"],
        ["start: clocks in Europe/Berlin skip 2024-03-31T02:30:00"],
        [
            "tagret_s is not known and was left out",
            "start: clocks in Europe/Berlin show 2024-10-27T02:30:00 twice: the first is meant",
        ],
    ]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"start": "yesterday"}, "start"),
        ({"start": None}, "start"),
        ({"target_s": "3600"}, "target_s"),
        ({"target_s": 0}, "target_s"),
        ({"target_s": 10**11}, "target_s"),
        ({"target_s": 10**17}, "target_s"),
        ({"end": "2026-03-03T09:00:00"}, "target_s"),
        ({"target_s": None, "end": "tomorrow"}, "end"),
        ({"calendar": "moon"}, "calendar"),
        ({"calendar": None}, "calendar"),
        ({"edge": "shut"}, "edge"),
        ({"pauses": [["2026-03-02T09:00:00"]]}, "pauses[0]"),
        ({"pauses": [["2026-03-02T09:00:00", "x"]]}, "pauses[0]"),
        ({"pauses": [["2026-03-02T10:00:00", "2026-03-02T09:00:00"]]}, "pauses[0]"),
    ],
)
def test_a_case_that_is_wrong_names_its_field_and_stops_no_other(change: dict[str, Any], field: str) -> None:
    result = computed({**CASE, **change}, {**CASE, "id": "b"})
    assert result.exit_code == 1
    [wrong, right] = answers(result)
    assert (wrong["id"], wrong["field"]) == ("a", field)
    assert wrong["error"].startswith(f"{field}: ")
    assert right == {"id": "b", "due": "2026-03-02T10:00:00"}


def test_a_missing_field_is_named_and_a_case_without_an_id_goes_by_its_number() -> None:
    result = computed(CASE, {"calendar": "desk", "target_s": 1}, 7)
    assert [(line["id"], line.get("field")) for line in answers(result)] == [("a", None), (2, "start"), (3, "case")]
    assert result.exit_code == 1


def test_a_wrong_calendar_stops_only_its_own_cases() -> None:
    result = computed(
        {**CASE, "calendar": "torn"}, CASE, desk=DESK, torn={**DESK, "edge": "x"}, never={"timezone": "UTC"}
    )
    [wrong, right] = answers(result)
    assert wrong["field"] == "calendar"
    assert "edge: 'x' is neither open nor close" in wrong["error"]
    assert right == {"id": "a", "due": "2026-03-02T10:00:00"}
    assert result.stderr.splitlines() == [
        "calendars.torn: edge: 'x' is neither open nor close",
        "calendars.never: week: calendar 'never' has no open time at all",
    ]
    assert result.exit_code == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"calendars": {}}', '{"calendars": [], "cases": []}', "\ufffe"])
def test_a_file_of_another_form_is_refused(content: str) -> None:
    result = CliRunner().invoke(main, ["sla", "compute", "-"], input=content)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: not a file of calendars and cases: ")
    assert result.stdout == ""


def test_the_published_cases_are_read_from_a_file() -> None:
    path = Path(__file__).parents[3] / "shared/cases/sla.json"
    result = CliRunner().invoke(main, ["sla", "compute", str(path)])
    assert result.exit_code == 0
    expected = json.loads(path.read_text())["cases"]
    assert [line["id"] for line in answers(result)] == [case["id"] for case in expected]


def test_a_file_without_cases_prints_nothing() -> None:
    result = computed()
    assert (result.exit_code, result.stdout) == (0, "")


def test_a_thousand_cases_take_less_than_a_second_of_a_core() -> None:
    many = [{**CASE, "id": number, "target_s": 60 * number + 60} for number in range(3000)]
    # Others may be at work on this machine: what counts is what it cost.
    begun_s = time.process_time()
    assert computed(*many).exit_code == 0
    assert time.process_time() - begun_s < 3
