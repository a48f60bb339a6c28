"""A log is read whatever its columns, encoding and faults; what cannot be read costs no other row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from eventkit.envelope import RawEvent, decode_data
from liaison.servicenow import NotALog, Times, log_events, read_log
from services.gateway import mappings
from tests.replay.truth import LOG

MAPPING = Path(__file__).parents[2] / "services/gateway/mappings/servicenow.yaml"
FIRST = {
    "number": "INC1",
    "incident_state": "New",
    "opened_at": "29-02-2016 01:16",
    "sys_updated_at": "29-02-2016 01:23",
    "priority": "3 - Moderate",
    "category": "Category 55",
    "assigned_to": "?",
    "assignment_group": "Group 56",
    "caller_id": "Caller 2403",
}


def rows_of(*changes: Mapping[str, str]) -> list[dict[str, str]]:
    """Build rows, each like FIRST but for what is given."""
    return [{**FIRST, **change} for change in changes]


def csv_of(rows: Sequence[Mapping[str, str]], columns: Sequence[str] = tuple(FIRST), end: str = "\n") -> str:
    """Write rows as a log with these columns."""
    return end.join([",".join(columns), *(",".join(row[name] for name in columns) for row in rows), ""])


def told(text: str | bytes) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return (type, subject, data) of every event of a log."""
    log = read_log(text if isinstance(text, bytes) else text.encode())
    return [(event.type, event.subject, json.loads(event.body)) for event in log_events(log)]


def test_the_order_of_columns_changes_nothing() -> None:
    rows = rows_of({}, {"incident_state": "Active", "sys_updated_at": "29-02-2016 02:00"})
    one = log_events(read_log(csv_of(rows).encode()))
    other = log_events(read_log(csv_of(rows, sorted(FIRST, reverse=True)).encode()))
    assert [(event.id, event.subject, event.time) for event in one] == [
        (event.id, event.subject, event.time) for event in other
    ]


@pytest.mark.parametrize(
    ("encoding", "named"),
    [("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8"), ("gb18030", "GB18030"), ("utf-16", "UTF-16")],
)
def test_chinese_text_is_read_in_its_encoding(encoding: str, named: str) -> None:
    text = csv_of(rows_of({"category": "打印机故障"}), end="\r\n")
    log = read_log(text.encode(encoding))
    assert (log.encoding, [row.cells["category"] for row in log.rows]) == (named, ["打印机故障"])


def test_western_text_is_not_taken_for_chinese() -> None:
    log = read_log(csv_of(rows_of({"category": "Büroausstattung für Zürich"})).encode("latin-1"))
    assert (log.encoding, log.rows[0].cells["category"]) == ("Latin-1", "Büroausstattung für Zürich")


def test_one_line_in_a_foreign_encoding_is_told_and_costs_no_other() -> None:
    lines = csv_of(rows_of({"category": "打印机"}, {"category": "网络"}, {"category": "电话"})).encode().splitlines()
    lines[2] = lines[2].replace("网络".encode(), "网络".encode("gb18030"))
    log = read_log(b"\n".join(lines))
    assert [row.cells["category"] for row in log.rows] == ["打印机", "电话"]
    assert [(one.line, one.reason) for one in log.broken] == [
        (3, "category: bytes that the file's encoding does not have")
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(
            {"incident_state": "-100"}, "incident_state: '-100' is not one of New, Active", id="unknown state"
        ),
        pytest.param(
            {"sys_updated_at": "2016-02-29"},
            "sys_updated_at: '2016-02-29' is not a time like",
            id="another time format",
        ),
        pytest.param({"opened_at": "30-02-2016 01:16"}, "opened_at: '30-02-2016 01:16'", id="no such day"),
        pytest.param({"number": "?"}, "number: is required", id="no number"),
        pytest.param({"category": "a,b"}, "10 cells, the header has 9", id="one cell too many"),
        pytest.param({"category": "a\x00b"}, "category: a control character", id="a null character"),
        pytest.param({"category": '"open'}, "a quoted cell is not closed", id="an open quote"),
        pytest.param({"category": '"a"b'}, "goes on after its closing quote", id="text after a quote"),
        pytest.param({"category": "x" * 256}, "category: 256 characters", id="a cell too long for the door"),
        pytest.param({"number": "号" * 67}, "number: is required, with at most 200 bytes", id="a number too long"),
        pytest.param({"priority": "9 - Whatever"}, "priority: '9 - Whatever' is not one of", id="unknown priority"),
    ],
)
def test_a_broken_row_is_told_by_line_and_costs_no_other(change: Mapping[str, str], reason: str) -> None:
    log = read_log(csv_of(rows_of({"number": "INC1"}, change, {"number": "INC2"}, {"number": "INC3"})).encode())
    assert [row.number for row in log.rows] == ["INC1", "INC2", "INC3"]
    [broken] = log.broken
    assert broken.line == 3
    assert reason in broken.reason


def test_a_row_that_is_too_short_is_told() -> None:
    log = read_log(
        (csv_of(rows_of({})) + "INC2,New\n\n" + csv_of(rows_of({"number": "INC3"})).splitlines()[1]).encode()
    )
    assert [row.number for row in log.rows] == ["INC1", "INC3"]
    assert [(one.line, one.reason) for one in log.broken] == [(3, "2 cells, the header has 9")]


def test_a_quoted_cell_may_run_over_lines() -> None:
    log = read_log(csv_of(rows_of({"category": '"first\nsecond, ""quoted"""'}, {"number": "INC2"})).encode())
    assert [(row.line, row.cells["category"]) for row in log.rows] == [
        (2, 'first\nsecond, "quoted"'),
        (4, "Category 55"),
    ]
    assert log.broken == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("a,b\n1,2\n", "the header has no number, incident_state"),
        (csv_of([], [*FIRST, "number"]), "the header has number more than once"),
    ],
)
def test_a_file_that_is_no_log_is_refused_as_a_whole(text: str, reason: str) -> None:
    with pytest.raises(NotALog, match=reason):
        read_log(text.encode())


def test_a_missing_column_is_told_and_says_nothing() -> None:
    columns = [name for name in FIRST if name != "assigned_to"]
    text = csv_of(rows_of({}), columns)
    assert "assigned_to" in read_log(text.encode()).missing
    [_, (_, _, data)] = told(text)
    assert "unassigned" not in data


def test_nobody_and_no_group_are_said() -> None:
    [_, (_, _, data)] = told(csv_of(rows_of({"assigned_to": "?", "assignment_group": "?"})))
    assert data["unassigned"] is True
    assert data["ungrouped"] is True


def test_rows_come_by_time_across_incidents_and_as_in_the_file_within_one() -> None:
    rows = rows_of(
        {"number": "INC1", "opened_at": "01-03-2016 10:00"},
        {"number": "INC1", "sys_updated_at": "01-03-2016 12:00", "incident_state": "Active"},
        # Dated before the row above it: it keeps its place and its date.
        {"number": "INC1", "sys_updated_at": "01-03-2016 09:00", "incident_state": "Resolved"},
        {"number": "INC2", "opened_at": "01-03-2016 11:00"},
        {"number": "INC2", "sys_updated_at": "01-03-2016 12:30", "incident_state": "Closed"},
    )
    events = [event for event in log_events(read_log(csv_of(rows).encode())) if event.line]
    assert [(event.line, event.time.hour) for event in events] == [(2, 10), (5, 11), (3, 12), (4, 9), (6, 12)]
    assert [event.type.rpartition(".")[2] for event in events] == ["opened", "opened", "updated", "updated", "updated"]


def test_equal_rows_are_two_events_and_a_second_reading_gives_the_same_ids() -> None:
    content = csv_of(rows_of({}, {}, {})).encode()
    ids = [event.id for event in log_events(read_log(content))]
    assert len(set(ids)) == len(ids)
    assert ids == [event.id for event in log_events(read_log(content))]


def test_people_of_one_number_in_two_columns_are_kept_apart() -> None:
    people = [
        (data["employee_number"], data["name"], data["email"], data["roles"], data["groups"])
        for kind, _, data in told(csv_of(rows_of({"assigned_to": "Resolver 13", "caller_id": "Caller 13"})))
        if kind == "servicenow.person.listed"
    ]
    assert people == [
        ("SN-R13", "Resolver 13", "sn-r13@example.invalid", ["engineer"], ["Group 56"]),
        ("SN-C13", "Caller 13", "sn-c13@example.invalid", [], []),
    ]


def test_a_name_that_is_no_numbered_label_still_gives_a_number() -> None:
    [(_, subject, data), _] = told(csv_of(rows_of({"caller_id": "王 小明"})))
    assert subject.startswith("SN-C-")
    assert " " not in subject
    assert data["name"] == "王 小明"


def test_a_longer_log_tells_a_newer_version_of_a_person() -> None:
    short, longer = told(csv_of(rows_of({})))[0][2], told(csv_of(rows_of({}, {"number": "INC2"})))[0][2]
    assert longer["version"] > short["version"]


def test_with_todays_times_every_play_is_of_incidents_of_its_own() -> None:
    rows = rows_of({}, {"sys_updated_at": "29-02-2016 03:16", "incident_state": "Active"})
    begins_at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    times = Times(begins_at, datetime(2016, 2, 29, 1, 16, tzinfo=UTC), speed=60.0)
    log = read_log(csv_of(rows).encode())
    person, first, second = log_events(log, times)
    assert (first.time, second.time) == (begins_at, datetime(2026, 3, 2, 9, 2, tzinfo=UTC))
    assert first.subject == second.subject == "INC1-20260302T090000"
    as_it_was = log_events(log)
    assert person.id == as_it_was[0].id
    assert {first.id, second.id}.isdisjoint(event.id for event in as_it_was)


def test_every_row_of_the_real_log_becomes_a_canonical_event() -> None:
    name, types, faults = mappings.read(MAPPING.name, MAPPING.read_bytes())
    assert (name, faults) == ("servicenow", [])
    log = read_log(LOG.read_bytes())
    assert (len(log.rows), log.broken, log.missing) == (5998, (), ())
    events = log_events(log)
    for event in events:
        mapping = types[event.type]
        envelope, data = mapping.apply(RawEvent(attributes={"subject": event.subject}, data=event.body))
        decode_data(mapping.becomes, data)
        assert envelope.get("externalref") == (event.subject if event.line else None)
    assert len({event.id for event in events}) == len(events)
