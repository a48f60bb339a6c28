"""What the gateway may ask of training: arguments checked, scope enforced, answers as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from eventkit.arguments import checked
from eventkit.errors import NotFound, RuleBroken
from services.training import rules, usecases
from services.training.catalogue import ContactWish, EnrolmentWish, checked_course
from services.training.settings import Settings
from services.training.telling import Circumstances, Row

if TYPE_CHECKING:
    from services.training.storage import TrainingStore

MAX_PAGE = 200
_COURSE = ["code", "title", "known", "modules", "materials", "next_course", "changed_at"]
_ENROLMENT = ["course", "learner", "state", "enrolled_at", "due_on", "reported", "completed_at"]
_ATTEMPT = ["passed", "score", "modules", "retraining_due_on"]


def put_course(store: TrainingStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Write a course and return it. Raises RuleBroken naming the field."""
    return _course(usecases.put_course(store, checked_course(arguments)))


def get_course(store: TrainingStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a course, also one that is only known from reports. Raises NotFound."""
    return _course(_known_course(store, arguments["code"]))


def list_courses(store: TrainingStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a page of the catalogue by code."""
    filters = arguments.get("filters") or {}
    return _page(arguments, lambda **place: store.listed_courses(filters, **place), "code", _course)


def put_contact(store: TrainingStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Write a department's training contact and return it. Raises RuleBroken naming the field."""
    return dict(usecases.put_contact(store, checked(ContactWish, arguments)))


def list_contacts(store: TrainingStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a page of the training contacts by department."""
    return _page(arguments, store.listed_contacts, "department", dict)


def enrol(store: TrainingStore, settings: Settings, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Enrol somebody and return the enrolment; who is enrolled already gets the new due day, and nothing is told.

    Raises NotFound for a course that nobody knows, RuleBroken for somebody who left or is out of the caller's scope.
    """
    wish = checked(EnrolmentWish, arguments)
    if wish.due_on is not None and wish.due_on < store.work.now.astimezone(settings.zone).date():
        raise RuleBroken(f"{wish.due_on} is over", field="due_on")
    if not rules.is_visible(_learner(store, wish.person), arguments.get("scope") or {}):
        raise RuleBroken("only for yourself, or for people of your own department", field="person")
    usecases.check_present(store, wish.person, field="person")
    store.lock_courses([wish.course])
    course = _known_course(store, wish.course)
    row = store.enrolment(wish.course, wish.person)
    if row is None:
        row = usecases.enrol(store, course, wish.person, Circumstances(store.work.now, actor), due_on=wish.due_on)
    elif wish.due_on is not None:
        row = store.enrolments.change(row, due_on=wish.due_on)
    return _enrolment(row | {"title": course["title"], "modules": course["modules"]})


def list_enrolments(store: TrainingStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a page of the enrolments that the caller may see."""
    scope, filters = arguments.get("scope") or {}, arguments.get("filters") or {}
    return _page(arguments, lambda **place: store.listed_enrolments(scope, filters, **place), "id", _enrolment)


def get_learning_record(store: TrainingStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a person's learning record (学习档案, L17): courses with attempts, and class hours.

    class_hours: of the courses completed, each once, as they counted then. A course that the catalogue learnt of only
    after the completion counts what it says now. Raises NotFound also when the caller may not see it.
    """
    number = arguments["employee_number"]
    learner = _learner(store, number)
    if not rules.is_visible(learner, arguments.get("scope") or {}):
        raise NotFound(f"no record of {number}", field="employee_number")
    attempts: dict[str, list[dict[str, Any]]] = {}
    for row in store.attempts_of(number):
        attempts.setdefault(row["enrolment"], []).append(_attempt(row))
    rows = store.listed_enrolments({"kind": "all"}, {"learner": number}, after=None, limit=None)
    courses = [_enrolment(row) | {"attempts": attempts.get(row["id"], [])} for row in rows]
    return {
        "employee_number": number,
        "department": learner["department"],
        "class_hours": sum(one["class_hours"] for one in courses),
        "courses": courses,
    }


def _course(row: Row) -> dict[str, Any]:
    hours, codes = usecases.hours_of(row), rules.codes_of(usecases.modules_of(row))
    return {name: row[name] for name in _COURSE} | {"class_hours": hours, "problem_codes": codes}


def _enrolment(row: Row) -> dict[str, Any]:
    earned = row["class_hours"]
    if earned is None and row["completed_at"] is not None:
        earned = usecases.hours_of(row)
    return {name: row[name] for name in _ENROLMENT} | {"course_title": row["title"], "class_hours": earned or 0.0}


def _attempt(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in _ATTEMPT} | {"attempt": row["number"], "ended_at": row["ended_at"]}


def _known_course(store: TrainingStore, code: str) -> Row:
    row = store.courses.get(code)
    if row is None:
        raise NotFound(f"no course {code}", field="course")
    return row


def _learner(store: TrainingStore, number: str) -> dict[str, Any]:
    unknown = {"department": None, "manager": None}
    return (store.person(number) or unknown) | {"employee_number": number}


def _page(
    arguments: Mapping[str, Any],
    read: Callable[..., Sequence[Row]],
    key: str,
    shown: Callable[[Row], dict[str, Any]],
) -> dict[str, Any]:
    limit = min(max(int(arguments.get("limit") or 50), 1), MAX_PAGE)
    rows = read(after=arguments.get("cursor"), limit=limit + 1)
    page = rows[:limit]
    return {"items": [shown(row) for row in page], "next_cursor": page[-1][key] if len(rows) > limit else None}
