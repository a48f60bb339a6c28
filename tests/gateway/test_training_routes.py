"""The training routes: arguments go to training as they should, answers and errors come back."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.gateway.door import SCOPE, Door
from tests.gateway.training_stub import ATTEMPT, CONTACT, COURSE, ENROLMENT, Training

MODULE = {"title": "凭证", "problem_codes": ["GL-1"], "class_hours": 2.0}
MATERIAL = {"material_id": "m1", "title": "录像", "url": "https://x.example.invalid", "summary": ""}


@pytest.mark.parametrize(
    ("method", "path", "body", "asked", "arguments"),
    [
        (
            "PUT",
            "/courses/FIN-01",
            {"title": "月结", "modules": [MODULE], "materials": [MATERIAL], "next_course": "FIN-02"},
            "put_course",
            {"code": "FIN-01", "title": "月结", "modules": [MODULE], "materials": [MATERIAL], "next_course": "FIN-02"},
        ),
        ("GET", "/courses/lms/2026/FIN-01", None, "get_course", {"code": "lms/2026/FIN-01"}),
        (
            "POST",
            "/courses/FIN-01/enrolments",
            {"person": "E7", "due_on": "2026-03-31"},
            "enrol",
            {"course": "FIN-01", "person": "E7", "due_on": "2026-03-31"},
        ),
        ("POST", "/courses/a/b/enrolments", {}, "enrol", {"course": "a/b", "person": "E1001"}),
        ("GET", "/people/E7/learning", None, "get_learning_record", {"employee_number": "E7"}),
        (
            "PUT",
            f"/training/contacts/{quote('集团/财务部')}",
            {"employee_number": "E1033"},
            "put_contact",
            {"department": "集团/财务部", "employee_number": "E1033"},
        ),
        (
            "GET",
            "/courses?known=false&problem_code=GL-1&limit=7&cursor=A",
            None,
            "list_courses",
            {"filters": {"known": False, "problem_code": "GL-1"}, "limit": 7, "cursor": "A"},
        ),
        (
            "GET",
            "/enrolments?learner=E7&course=FIN-01&state=retraining",
            None,
            "list_enrolments",
            {"filters": {"learner": "E7", "course": "FIN-01", "state": "retraining"}, "limit": 50, "cursor": None},
        ),
        ("GET", "/training/contacts", None, "list_contacts", {"filters": {}, "limit": 50, "cursor": None}),
    ],
)
def test_questions_and_commands_are_passed_on(
    door: Door, training: Training, method: str, path: str, body: Any, asked: str, arguments: dict[str, Any]
) -> None:
    answer = door.ask(method, f"/v1{path}", door.token("admin"), body)
    assert answer.status_code == (201 if asked == "enrol" else 200), answer.text
    assert training.asked == [(asked, arguments | {"scope": SCOPE}, "E1001")]


def test_answers_come_back_whole(door: Door, training: Training) -> None:
    token = door.token("trainer")
    assert door.ask("GET", "/v1/courses/FIN-01", token).json() == COURSE | {"next_course": None}
    assert door.ask("GET", "/v1/courses", token).json()["next_cursor"] == "FIN-01"
    assert door.ask("GET", "/v1/training/contacts", token).json()["items"] == [CONTACT]
    record = door.ask("GET", "/v1/people/E1001/learning", token).json()
    assert (record["class_hours"], record["department"]) == (2.0, "集团/财务部")
    [course] = record["courses"]
    assert {name: course[name] for name in ENROLMENT} == ENROLMENT
    assert course["attempts"] == [ATTEMPT | {"modules": [], "retraining_due_on": None}]


def test_a_command_with_one_key_is_done_once_for_each_caller(door: Door, training: Training) -> None:
    first, second = door.token("trainer"), door.token("trainer")
    for token in (first, first, second):
        answer = door.ask("PUT", "/v1/courses/FIN-01", token, {"title": "月结"}, idempotency_key="k1")
        assert answer.status_code == 200
    assert len(training.asked) == 2


@pytest.mark.parametrize(
    ("role", "kind"), [("requester", "own"), ("engineer", "own"), ("manager", "department"), ("trainer", "all")]
)
def test_a_record_is_asked_for_with_the_callers_scope(door: Door, training: Training, role: str, kind: str) -> None:
    assert door.ask("GET", "/v1/people/E7/learning", door.token(role)).status_code == 200
    assert training.asked[0][1]["scope"]["kind"] == kind


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("GET", "/courses/none", None, 404, "course"),
        ("POST", "/courses/FIN-01/enrolments", {"person": "gone"}, 422, "person"),
        ("POST", "/courses/FIN-01/enrolments", {"due_on": "soon"}, 422, "due_on"),
        ("PUT", "/courses/FIN-01", {"title": ""}, 422, "title"),
        ("PUT", "/courses/FIN-01", {"title": "x", "titel": "y"}, 422, "titel"),
        ("PUT", "/courses/FIN-01", {"title": "x", "modules": [{"title": "a", "hours": 2}]}, 422, "modules.0.hours"),
        ("PUT", "/training/contacts/x", {}, 422, "employee_number"),
        ("GET", "/enrolments?state=asleep", None, 422, "state"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(
    door: Door, training: Training, method: str, path: str, body: Any, status: int, field: str
) -> None:
    answer = door.ask(method, f"/v1{path}", door.token("admin"), body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["errors"][0]["field"] == field


def test_a_token_of_nobody_must_name_the_learner(door: Door, training: Training) -> None:
    token = door.token("trainer", person=None)
    answer = door.ask("POST", "/v1/courses/FIN-01/enrolments", token, {})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "person")


def test_training_that_does_not_answer_is_a_503_with_retry_after(door: Door) -> None:
    answer = door.ask("GET", "/v1/courses/FIN-01", door.token("admin"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
