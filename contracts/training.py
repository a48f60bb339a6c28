"""What the training service tells: who takes part in which course, and how it ends.

The subject is the enrolment: course and learner, as `<course>/<employee number>`.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar

import msgspec

from contracts.fact import EmployeeNumber, Fact, Moment, Name, Share


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """Something to read or watch that belongs to a course; `material_id` is unique within it."""

    material_id: Name
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    url: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    summary: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class _CourseFact(Fact, frozen=True, kw_only=True):
    """One person and one course. `contact`: the training contact of the learner's department (L6)."""

    course: Name
    course_title: str
    learner: EmployeeNumber
    department: Name | None = None
    contact: EmployeeNumber | None = None
    problem_codes: tuple[Name, ...] = ()


class EnrolmentConfirmed(_CourseFact, frozen=True, kw_only=True):
    """A person takes a course. `reported`: known only because its completion was reported."""

    TYPE: ClassVar[str] = "liaison.enrolment.confirmed.v1"

    enrolled_at: Moment
    due_on: date | None = None
    reported: bool = False


class CourseCompleted(_CourseFact, frozen=True, kw_only=True):
    """A person passed a course: once per person, course and attempt (L16).

    `first`: no earlier attempt of this person was passed. `next_course`: what the plan holds for them after this one.
    `materials`: all that belongs to the course, for those who want to look something up afterwards.
    """

    TYPE: ClassVar[str] = "liaison.course.completed.v1"

    attempt: int
    completed_at: Moment
    first: bool = True
    score: Share | None = None
    class_hours: float = 0.0
    next_course: Name | None = None
    next_course_title: str = ""
    materials: tuple[Material, ...] = ()


class RetrainingAssigned(_CourseFact, frozen=True, kw_only=True):
    """A person failed and learns again what they lacked (L8). `modules`: titles; all of them when it is unknown."""

    TYPE: ClassVar[str] = "liaison.retraining.assigned.v1"

    attempt: int
    failed_at: Moment
    score: Share | None = None
    modules: tuple[str, ...] = ()
    due_on: date | None = None
