"""What may be asked of training, on a real broker and database: one story a test."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eventkit.errors import NotFound, RuleBroken
from eventkit.work import Work
from services.training import storage, usecases
from services.training.catalogue import CourseWish
from services.training.rules import is_visible
from tests.eventkit.desk import Desk, eventually
from tests.training.stories import FINANCE, MATERIALS, MODULES, attempt, handled, person, told, types


def test_the_catalogue_is_written_read_and_its_changes_kept(training: Desk, call: Any, month_end: Any) -> None:
    assert (month_end["class_hours"], month_end["problem_codes"]) == (3.5, ["FIN-GL-OPEN", "FIN-GL-LOCK"])
    assert call("get_course", code="FIN-01") == month_end
    # When it is written again unchanged, and then changed
    call("put_course", code="FIN-01", title="总账月结", modules=MODULES, materials=MATERIALS, next_course="FIN-02")
    call("put_course", code="FIN-01", title="总账月末结账")
    changes = training.rows("select * from catalogue_change where name = 'FIN-01' order by id")
    assert [(row.actor, row.before and row.before["title"], row.after["title"]) for row in changes] == [
        ("E1", None, "总账月结"),
        ("E1", "总账月结", "总账月末结账"),
    ]
    page = call("list_courses", limit=1)
    assert [row["code"] for row in page["items"] + call("list_courses", cursor=page["next_cursor"])["items"]] == [
        "FIN-01",
        "FIN-02",
    ]
    assert call("list_courses", filters={"problem_code": "FIN-GL-LOCK"})["items"] == []
    with pytest.raises(NotFound):
        call("get_course", code="nowhere")
    call("put_course", code="FIN-01", title="总账月结", next_course="FIN-02")
    with pytest.raises(RuleBroken, match="FIN-02 → FIN-01 → FIN-02"):
        call("put_course", code="FIN-02", title="合并报表", next_course="FIN-01")


def test_two_courses_written_at_once_do_not_lead_to_each_other(training: Desk, call: Any) -> None:
    # Given a replica that has written that the one follows the other, and not committed it
    with ThreadPoolExecutor() as pool:
        with training.engine.begin() as connection:
            work = Work(connection, source="/liaison/training", now=datetime.now(UTC))
            first = CourseWish(code="FIN-01", title="总账月结", next_course="FIN-02")
            usecases.put_course(storage.TrainingStore(work), first)
            work.flush()
            # When another one is to write the opposite
            other = pool.submit(call, "put_course", code="FIN-02", title="合并报表", next_course="FIN-01")
            eventually(lambda: other.done() or training.waiting_for_locks() == 1)
        # Then it waits for the first, and is refused
        with pytest.raises(RuleBroken, match="FIN-02 → FIN-01 → FIN-02"):
            other.result()


def test_an_enrolment_is_told_once_and_its_due_day_may_move(training: Desk, call: Any, month_end: Any) -> None:
    due = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    for _ in range(2):
        assert call("enrol", course="FIN-01", person="E7", key="k1")["state"] == "enrolled"
    later = call("enrol", course="FIN-01", person="E7", due_on=due)
    assert (later["due_on"], later["course_title"]) == (due, "总账月结")
    [(kind, data)] = told(training)
    assert (kind, data["learner"], data.get("reported", False)) == ("enrolment.confirmed", "E7", False)
    # When the learner passes, nobody is enrolled anew
    training.publish(attempt())
    handled(training, 1)
    assert types(training) == ["enrolment.confirmed", "course.completed"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"course": "nowhere"}, "no course nowhere"),
        ({"due_on": "2020-01-01"}, "2020-01-01 is over"),
        ({"due_on": "soon"}, "Invalid RFC3339"),
        ({"person": "E9"}, "E9 has left"),
        ({"scope": {"kind": "own", "person": "E8"}}, "only for yourself"),
        ({"scope": {"kind": "department", "department": "采购部"}}, "only for yourself"),
    ],
)
def test_an_enrolment_that_cannot_be_is_refused(
    training: Desk, call: Any, month_end: Any, arguments: dict[str, Any], reason: str
) -> None:
    training.publish(person("E9", active=False), person("E7", department=FINANCE))
    handled(training, 2)
    with pytest.raises(RuleBroken, match=reason):
        call("enrol", **{"course": "FIN-01", "person": "E7"} | arguments)
    assert told(training) == []


SCOPES: list[dict[str, Any]] = [
    {"kind": "all"},
    {"kind": "own", "person": "E1"},
    {"kind": "own", "person": "E3"},
    {"kind": "own", "person": None},
    {"kind": "department", "department": "集团/华东分公司", "person": "E0"},
    {"kind": "department", "department": "集团/华东", "person": "E5"},
    {"kind": "department", "department": "集团/华_分公司", "person": None},
    {"kind": "department", "department": "集团", "person": "E3"},
    {"kind": "department", "department": None, "person": None},
    {"kind": "group", "groups": ["x"], "person": "E1"},
    {},
]
LEARNERS: dict[str, dict[str, Any]] = {
    "E1": {"department": FINANCE, "manager": "E5"},
    "E2": {"department": "集团/华东分公司", "manager": "E1"},
    "E3": {"department": "集团", "manager": None},
    "E4": {"department": None, "manager": "E0"},
    "E5": {"department": None, "manager": None},
}


def test_lists_and_records_show_exactly_what_the_scope_allows(training: Desk, call: Any) -> None:
    # Given people in several departments; nobody has told us of E5
    known = [person(number, **fields) for number, fields in LEARNERS.items() if number != "E5"]
    training.publish(*known, *[attempt(learner=number) for number in LEARNERS])
    handled(training, len(known) + len(LEARNERS))
    for scope in SCOPES:
        allowed = {number for number, one in LEARNERS.items() if is_visible({"employee_number": number} | one, scope)}
        assert {row["learner"] for row in call("list_enrolments", scope=scope)["items"]} == allowed, scope
        for number in LEARNERS:
            try:
                shown = call("get_learning_record", scope=scope, employee_number=number)["employee_number"]
            except NotFound:
                shown = None
            assert (shown == number) is (number in allowed), (scope, number)
    assert is_visible({"employee_number": "E1"} | LEARNERS["E1"], SCOPES[4])


def test_enrolments_are_filtered_and_read_page_by_page(training: Desk, call: Any) -> None:
    training.publish(
        *[attempt(learner=f"E{n}", passed=n > 1) for n in range(5)], attempt(course="FIN-02", learner="E0")
    )
    handled(training, 6)
    page = call("list_enrolments", filters={"course": "FIN-01"}, limit=3)
    rest = call("list_enrolments", filters={"course": "FIN-01"}, limit=3, cursor=page["next_cursor"])
    assert [row["learner"] for row in page["items"] + rest["items"]] == [f"E{n}" for n in range(5)]
    assert rest["next_cursor"] is None
    retraining = call("list_enrolments", filters={"state": "retraining", "learner": "E0"})["items"]
    assert [(row["course"], row["learner"]) for row in retraining] == [("FIN-01", "E0")]
