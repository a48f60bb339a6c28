"""A training service that answers every call with something plausible, over the real broker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from eventkit.definition import Method, ServiceDefinition
from eventkit.errors import NotFound, RuleBroken
from eventkit.work import Work
from liaison.installation import Installation
from tests.gateway.desk_stub import answering

COURSE = {
    "code": "FIN-01",
    "title": "总账月结",
    "known": True,
    "modules": [{"title": "凭证", "problem_codes": ["GL-1"], "class_hours": 2.0}],
    "materials": [],
    "class_hours": 2.0,
    "problem_codes": ["GL-1"],
    "changed_at": "2026-03-01T00:00:00Z",
}
ENROLMENT = {
    "course": "FIN-01",
    "course_title": "总账月结",
    "learner": "E1001",
    "state": "enrolled",
    "enrolled_at": "2026-03-01T00:00:00Z",
    "due_on": "2026-03-31",
    "class_hours": 0.0,
}
ATTEMPT = {"attempt": 1, "passed": True, "ended_at": "2026-03-02T00:00:00Z", "score": 0.9}
CONTACT = {"department": "集团/财务部", "employee_number": "E1033"}
ANSWERS: Mapping[str, Any] = {
    "put_course": COURSE,
    "get_course": COURSE,
    "list_courses": {"items": [COURSE], "next_cursor": "FIN-01"},
    "put_contact": CONTACT,
    "list_contacts": {"items": [CONTACT], "next_cursor": None},
    "enrol": ENROLMENT,
    "list_enrolments": {"items": [ENROLMENT], "next_cursor": "FIN-01 E1001"},
    "get_learning_record": {
        "employee_number": "E1001",
        "department": "集团/财务部",
        "class_hours": 2.0,
        "courses": [ENROLMENT | {"attempts": [ATTEMPT]}],
    },
}
COMMANDS = ("put_course", "put_contact", "enrol")


class Training:
    """The stub. asked: every call, as (method, arguments, actor)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, Any], str | None]] = []

    def method(self, name: str) -> Method:
        def answer(work: Work, arguments: Mapping[str, Any]) -> Any:
            self.asked.append((name, arguments, work.actor))
            if "none" in arguments.values():
                raise NotFound("no course none", field="course")
            if "gone" in arguments.values():
                raise RuleBroken("gone has left", field="person")
            return ANSWERS[name]

        return Method(name, answer, is_command=name in COMMANDS)


@contextmanager
def running_training(installation: Installation) -> Iterator[Training]:
    """Run the stub under the name `training`."""
    stub = Training()
    definition = ServiceDefinition("training", methods={name: stub.method(name) for name in ANSWERS})
    with answering(installation, definition):
        yield stub
