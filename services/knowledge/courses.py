"""What follows from a completed course: its materials are found by search, its learner gets something to read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from contracts.knowledge import AnswerSuggested, SuggestedFor
from contracts.training import CourseCompleted
from eventkit.envelope import Event
from services.knowledge import rules

if TYPE_CHECKING:
    from services.knowledge.storage import KnowledgeStore

Row = dict[str, Any]


def take_course(store: KnowledgeStore, event: Event[CourseCompleted], url: str) -> None:
    """Have a course's materials found by search, and give its learner a reading list by problem codes."""
    course = event.data
    known = {row["id"]: row for row in store.materials_of(course.course)}
    newest = max((row["seen_at"] for row in known.values()), default=None)
    # When it was told: a course that was completed earlier may well be reported later, with other materials.
    told_at = event.arrived_at or event.time
    if newest is None or newest < told_at:
        _take_materials(store, event, told_at, known)
    if event.history:
        return
    articles = store.covering(course.problem_codes, rules.levels_for({}))[: rules.SUGGESTED]
    list_id = f"{event.subject}/{course.attempt}"
    if store.reading_lists.get(list_id) is None:
        store.reading_lists.add(
            id=list_id,
            course=course.course,
            learner=course.learner,
            articles=[row["id"] for row in articles],
            made_at=store.now,
        )
    store.work.emit(
        AnswerSuggested(
            suggested_for=SuggestedFor.COURSE,
            about_subject=event.subject,
            person=course.learner,
            suggestions=tuple(rules.suggestion(row["id"], row["title"], url) for row in articles),
        ),
        subject=event.subject,
    )


def _take_materials(
    store: KnowledgeStore, event: Event[CourseCompleted], told_at: datetime, known: Mapping[str, Row]
) -> None:
    course, listed = event.data, set()
    for material in course.materials:
        material_id = f"{course.course}/{material.material_id}"
        listed.add(material_id)
        values = {
            "course_title": course.course_title,
            "title": material.title,
            "url": material.url,
            "summary": material.summary,
            "problem_codes": list(course.problem_codes),
            "listed": True,
        }
        row = known.get(material_id)
        if row is None:
            store.materials.add(id=material_id, course=course.course, seen_at=told_at, **values)
        else:
            store.materials.change(row, seen_at=told_at, **values)
        if row is None or any(row[name] != value for name, value in values.items()):
            store.index(material_id, "material")
    for gone, row in known.items():
        if gone not in listed and row["listed"]:
            store.materials.change(row, listed=False, seen_at=told_at)
            store.index(gone, "material")
