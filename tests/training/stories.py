"""What the tests of training tell: people, courses, reports, and what came of them."""

from __future__ import annotations

from typing import Any

import msgspec

from contracts.gateway import CourseCompletionReported, PersonChanged
from tests.eventkit.desk import Desk, eventually, reported

ALL = {"kind": "all"}
FINANCE = "集团/华东分公司/财务部"
MODULES = [
    {"title": "凭证", "problem_codes": ["FIN-GL-OPEN"], "class_hours": 2.0},
    {"title": "锁定", "problem_codes": ["FIN-GL-LOCK"], "class_hours": 1.5},
]
MATERIALS = [
    {"material_id": "m1", "title": "月结演示", "url": "https://lms.example.invalid/m/1", "summary": "十二分钟"}
]


def person(number: str, version: int = 1, **fields: Any) -> Any:
    known: dict[str, Any] = {"employee_number": number, "version": version, "name": number}
    return reported(PersonChanged(**known | fields), number, version, source="/hr")


def attempt(number: int = 1, *, sequence: int = 1, **fields: Any) -> Any:
    more = {name: fields.pop(name) for name in ("time", "history", "arrived_at", "source") if name in fields}
    known: dict[str, Any] = {"course": "FIN-01", "learner": "E7", "attempt": number}
    data = CourseCompletionReported(**known | fields)
    return reported(data, f"{data.course}/{data.learner}", sequence, **{"source": "/lms", **more})


def told(training: Desk) -> list[tuple[str, dict[str, Any]]]:
    """Return the events emitted so far, as short types with their data."""
    rows = training.rows("select type, payload from eventkit.outbox order by position")
    return [(row.type.removeprefix("liaison.")[:-3], msgspec.json.decode(bytes(row.payload))) for row in rows]


def types(training: Desk) -> list[str]:
    return [kind for kind, _ in told(training)]


def handled(training: Desk, number: int) -> None:
    eventually(lambda: training.one("select count(*) from eventkit.inbox where state = 'handled'") == number)
