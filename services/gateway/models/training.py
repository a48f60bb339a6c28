"""What the training routes take and answer, as OpenAPI shows it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.gateway.models.words import Body, EmployeeNumber, Name

_Title = Annotated[str, Field(min_length=1, max_length=500)]
_Hours = Annotated[float, Field(ge=0, le=1000, description="class hours (课时)")]
_Cursor = Annotated[str | None, Field(max_length=600, description="`next_cursor` of the page before")]
_Limit = Annotated[int, Field(ge=1, le=200)]


class Module(Body):
    """A part of a course. problem_codes: which problems it teaches to avoid or to solve."""

    title: Name
    problem_codes: list[Name] = Field(default=[], max_length=100)
    class_hours: _Hours = 0.0


class CourseMaterial(Body):
    """Something to read or watch. material_id: unique within the course."""

    material_id: Name
    title: _Title
    url: Annotated[str, Field(max_length=2_000)] = ""
    summary: Annotated[str, Field(max_length=2_000)] = ""


class CourseWish(Body):
    """The whole of a course; what is left out is removed. next_course: the code of what the plan holds after it."""

    title: _Title
    modules: list[Module] = Field(default=[], max_length=100)
    materials: list[CourseMaterial] = Field(default=[], max_length=100)
    next_course: Name | None = None


class Course(CourseWish):
    """A course of the catalogue. known: false when others reported of it and nobody wrote it down yet."""

    model_config = ConfigDict(extra="ignore")

    code: str
    known: bool
    class_hours: float
    problem_codes: list[str]
    changed_at: datetime


class CourseSearch(Body):
    """Which courses to show."""

    known: bool | None = None
    problem_code: Name | None = None
    limit: _Limit = 50
    cursor: _Cursor = None


class CoursePage(BaseModel):
    """Courses by code. next_cursor: for the next page; absent on the last one."""

    items: list[Course]
    next_cursor: str | None = None


class ContactWish(Body):
    """Who is the training contact (培训联系人)."""

    employee_number: EmployeeNumber


class TrainingContact(BaseModel):
    """The training contact of a department and of those below it that have none of their own."""

    department: str
    employee_number: str


class PlaceInList(Body):
    """Which page of a list to show."""

    limit: _Limit = 50
    cursor: _Cursor = None


class ContactPage(BaseModel):
    """Training contacts by department."""

    items: list[TrainingContact]
    next_cursor: str | None = None


class EnrolmentWish(Body):
    """Who shall take the course, and by when. person: the caller unless given."""

    person: EmployeeNumber | None = None
    due_on: date | None = None


class Enrolment(BaseModel):
    """A learner in a course. reported: known only from a reported completion. class_hours: what was earned."""

    course: str
    course_title: str
    learner: str
    state: Literal["enrolled", "completed", "retraining"]
    enrolled_at: datetime
    due_on: date | None = None
    reported: bool = False
    completed_at: datetime | None = None
    class_hours: float = 0.0


class EnrolmentSearch(PlaceInList):
    """Which enrolments to show."""

    learner: EmployeeNumber | None = None
    course: Name | None = None
    state: Literal["enrolled", "completed", "retraining"] | None = None


class EnrolmentPage(BaseModel):
    """Enrolments by course and learner."""

    items: list[Enrolment]
    next_cursor: str | None = None


class Attempt(BaseModel):
    """How an attempt ended. modules: what is learnt again after a failure."""

    attempt: int
    passed: bool
    ended_at: datetime
    score: float | None = None
    modules: list[str] = []
    retraining_due_on: date | None = None


class CourseOfLearner(Enrolment):
    """A course in a learning record, with every attempt."""

    attempts: list[Attempt] = []


class LearningRecord(BaseModel):
    """A person's learning record (学习档案). class_hours: of the completed courses, each counted once."""

    employee_number: str
    department: str | None = None
    class_hours: float
    courses: list[CourseOfLearner]
