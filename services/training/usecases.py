"""What the training service does: load, decide by the rules, save, tell."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import msgspec

from contracts.gateway import CourseCompletionReported, PersonChanged
from contracts.training import CourseCompleted, EnrolmentConfirmed, Material, RetrainingAssigned
from eventkit.errors import BadMessage, RuleBroken
from services.training import rules
from services.training.catalogue import ContactWish, CourseWish, check_chain
from services.training.rules import Module, Standing, State, Verdict
from services.training.settings import Settings
from services.training.telling import Circumstances, Row, tell

if TYPE_CHECKING:
    from services.training.storage import TrainingStore

#: Some platforms write an id or a moment where a count belongs; the highest attempt decides, so that would stick.
MAX_ATTEMPT = 1_000


def modules_of(course: Row) -> list[Module]:
    """Return a course's modules as the rules know them."""
    return [Module(one["title"], tuple(one["problem_codes"]), one["class_hours"]) for one in course["modules"]]


def hours_of(course: Row) -> float:
    """Return the class hours of all modules of a course."""
    return sum((module.class_hours for module in modules_of(course)), 0.0)


def report_attempt(
    store: TrainingStore, settings: Settings, report: CourseCompletionReported, around: Circumstances, *, source: str
) -> None:
    """Record how an attempt ended, and tell what follows: once per course, learner and attempt (L16).

    A course that the catalogue does not know is noted as such, and a learner who is not enrolled is enrolled first.
    around: its moment is the one at which the attempt counts as ended. Raises BadMessage for an attempt's number that
    cannot be one.
    """
    if report.attempt > MAX_ATTEMPT:
        raise BadMessage(f"attempt {report.attempt}; at most {MAX_ATTEMPT}", field="attempt")
    store.load([(report.course, report.learner, report.attempt)])
    course = store.courses.get(report.course) or _note_course(store, report.course)
    enrolment = store.enrolment(report.course, report.learner) or enrol(
        store, course, report.learner, around, reported=True
    )
    known = store.attempt(report.course, report.learner, report.attempt)
    standing = Standing(enrolment["highest"], enrolment["highest_passed"])
    verdict, after = rules.judge(standing, known["passed"] if known else None, report.attempt, passed=report.passed)
    if verdict is Verdict.REPEATED:
        return
    enrolment = store.enrolments.change(
        enrolment, highest=after.highest, highest_passed=after.highest_passed, state=after.state
    )
    again, due_on = _retraining(settings, course, report, around) if verdict is Verdict.RETRAINING else ([], None)
    _record(store, report, known, around, source=source, modules=[module.title for module in again], due_on=due_on)
    if verdict is Verdict.COMPLETED:
        _complete(store, course, enrolment, report, around, first=standing.highest_passed == 0)
    elif verdict is Verdict.RETRAINING:
        _assign_retraining(store, course, report, around, again, due_on)


def _note_course(store: TrainingStore, code: str) -> Row:
    """Note a course of which others report before anybody wrote it into the catalogue, so that numbers are right."""
    return store.courses.add(
        code=code, title=code, known=False, modules=[], materials=[], next_course=None, changed_at=store.work.now
    )


def _retraining(
    settings: Settings, course: Row, report: CourseCompletionReported, around: Circumstances
) -> tuple[list[Module], date]:
    again = rules.modules_to_repeat(modules_of(course), report.failed_codes)
    return again, rules.due_on(around.moment, settings.retraining_days, settings.zone)


def _record(
    store: TrainingStore,
    report: CourseCompletionReported,
    known: Row | None,
    around: Circumstances,
    *,
    source: str,
    modules: list[str],
    due_on: date | None,
) -> None:
    values = {
        "passed": report.passed,
        "score": report.score,
        "ended_at": around.moment,
        "claimed_at": report.completed_at,
        "source": source,
    }
    if known is not None:
        # A failure that is corrected into a pass keeps what was assigned for it, since it was told.
        store.attempts.change(known, **values)
        return
    store.add_attempt(
        report.course, report.learner, report.attempt, modules=modules, retraining_due_on=due_on, **values
    )


def _complete(
    store: TrainingStore,
    course: Row,
    enrolment: Row,
    report: CourseCompletionReported,
    around: Circumstances,
    *,
    first: bool,
) -> None:
    hours = hours_of(course)
    if first:
        # What a course counts may change later; what a learner has earned may not.
        earned = hours if course["known"] else None
        store.enrolments.change(enrolment, completed_at=around.moment, class_hours=earned)
    tell(
        store,
        CourseCompleted,
        course,
        report.learner,
        around,
        codes=rules.codes_of(modules_of(course)),
        attempt=report.attempt,
        completed_at=around.moment,
        first=first,
        score=report.score,
        class_hours=hours,
        next_course=course["next_course"],
        next_course_title=store.title_of(course["next_course"]),
        materials=tuple(msgspec.convert(course["materials"], list[Material])),
    )


def _assign_retraining(
    store: TrainingStore,
    course: Row,
    report: CourseCompletionReported,
    around: Circumstances,
    again: list[Module],
    due_on: date | None,
) -> None:
    tell(
        store,
        RetrainingAssigned,
        course,
        report.learner,
        around,
        codes=rules.codes_of(again),
        attempt=report.attempt,
        failed_at=around.moment,
        score=report.score,
        modules=tuple(module.title for module in again),
        due_on=due_on,
    )


def enrol(
    store: TrainingStore,
    course: Row,
    learner: str,
    around: Circumstances,
    *,
    due_on: date | None = None,
    reported: bool = False,
) -> Row:
    """Enrol somebody who is not enrolled yet, and tell. reported: we know of it only because it was reported."""
    row = store.add_enrolment(
        course["code"],
        learner,
        state=State.ENROLLED,
        enrolled_at=around.moment,
        due_on=due_on,
        reported=reported,
        highest=0,
        highest_passed=0,
        completed_at=None,
        class_hours=None,
        history=around.history,
    )
    tell(
        store,
        EnrolmentConfirmed,
        course,
        learner,
        around,
        codes=rules.codes_of(modules_of(course)),
        enrolled_at=around.moment,
        due_on=due_on,
        reported=reported,
    )
    return row


def put_course(store: TrainingStore, wish: CourseWish) -> Row:
    """Write a course as a whole, new or known. Raises RuleBroken when the plan would lead back to it."""
    store.lock_plan(wish.code)
    check_chain(wish.code, store.plan_after(wish.next_course))
    values = {
        "title": wish.title,
        "known": True,
        "modules": msgspec.to_builtins(wish.modules),
        "materials": msgspec.to_builtins(wish.materials),
        "next_course": wish.next_course,
    }
    before = store.courses.get(wish.code)
    kept = {name: before[name] for name in values} if before is not None else None
    if kept == values and before is not None:
        return before
    store.note("course", wish.code, kept, values)
    if before is None:
        return store.courses.add(code=wish.code, changed_at=store.work.now, **values)
    return store.courses.change(before, changed_at=store.work.now, **values)


def put_contact(store: TrainingStore, wish: ContactWish) -> Row:
    """Write who is the training contact of a department (L6). Raises RuleBroken when they have left."""
    check_present(store, wish.employee_number, field="employee_number")
    store.lock_contact(wish.department)
    before = store.contacts.get(wish.department)
    values = {"employee_number": wish.employee_number}
    store.note("contact", wish.department, before and {"employee_number": before["employee_number"]}, values)
    if before is None:
        return store.contacts.add(department=wish.department, **values)
    return store.contacts.change(before, **values)


def check_present(store: TrainingStore, employee_number: str, *, field: str) -> None:
    """Raise RuleBroken when somebody has left; a person whom nobody has told us of yet is taken as present."""
    person = store.person(employee_number)
    if person is not None and not person["active"]:
        raise RuleBroken(f"{employee_number} has left", field=field)


def change_person(store: TrainingStore, person: PersonChanged) -> None:
    """Keep what training needs of a person; an older version changes nothing."""
    known = store.people.get(person.employee_number)
    if known is not None and known["version"] >= person.version:
        return
    values = {
        "version": person.version,
        "department": person.department,
        "manager": person.manager,
        "active": person.active,
    }
    store.put_person(person.employee_number, known, values)
