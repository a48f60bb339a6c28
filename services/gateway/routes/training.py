"""The training routes: the catalogue, training contacts, enrolments and learning records (L6, L16, L17)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request

from services.gateway.access import Who, action, guarded_router
from services.gateway.asking import Asked
from services.gateway.models.training import (
    ContactPage,
    ContactWish,
    Course,
    CoursePage,
    CourseSearch,
    CourseWish,
    Enrolment,
    EnrolmentPage,
    EnrolmentSearch,
    EnrolmentWish,
    LearningRecord,
    PlaceInList,
    TrainingContact,
)
from services.gateway.problems import Problem
from services.gateway.routes.tickets import IdempotencyKey

_TRAINING = Asked("training")
router = guarded_router(prefix="/v1", tags=["training"])


def _place_and_filters(search: PlaceInList | CourseSearch) -> dict[str, Any]:
    filters = search.model_dump(exclude_none=True, exclude={"limit", "cursor"})
    return {"filters": filters, "limit": search.limit, "cursor": search.cursor}


@router.get("/courses", response_model=CoursePage, summary="课程目录", **action("courses.list", problems=(422,)))
def list_courses(request: Request, who: Who, search: Annotated[CourseSearch, Query()]) -> Any:
    """Show the catalogue by code; `known=false` shows the courses that only reports have named so far."""
    return _TRAINING.ask_for(request, who, "list_courses", _place_and_filters(search))


@router.put(
    "/courses/{code:path}", response_model=Course, summary="写入课程", **action("courses.write", problems=(400, 422))
)
def put_course(request: Request, who: Who, code: str, body: CourseWish, idempotency_key: IdempotencyKey = None) -> Any:
    """Write a course as a whole: modules with problem codes and class hours, materials, and what comes next."""
    return _TRAINING.ask_for(
        request, who, "put_course", body.model_dump(exclude_none=True) | {"code": code}, idempotency_key
    )


@router.post(
    "/courses/{code:path}/enrolments",
    status_code=201,
    response_model=Enrolment,
    summary="报名",
    **action("enrolments.open", problems=(400, 404, 422)),
)
def enrol(request: Request, who: Who, code: str, body: EnrolmentWish, idempotency_key: IdempotencyKey = None) -> Any:
    """Enrol somebody: everybody themselves, managers their department, trainers everybody."""
    person = body.person or who.caller.person
    if person is None:
        raise Problem.of_field(422, "person", "is required, since this token belongs to nobody")
    wish = body.model_dump(exclude_none=True) | {"course": code, "person": person}
    return _TRAINING.ask_for(request, who, "enrol", wish, idempotency_key)


@router.get(
    "/courses/{code:path}", response_model=Course, summary="查看课程", **action("courses.read", problems=(404,))
)
def get_course(request: Request, who: Who, code: str) -> Any:
    """Show one course."""
    return _TRAINING.ask_for(request, who, "get_course", {"code": code})


@router.get(
    "/enrolments", response_model=EnrolmentPage, summary="报名列表", **action("enrolments.list", problems=(422,))
)
def list_enrolments(request: Request, who: Who, search: Annotated[EnrolmentSearch, Query()]) -> Any:
    """Show the enrolments that the caller may see."""
    return _TRAINING.ask_for(request, who, "list_enrolments", _place_and_filters(search))


@router.get(
    "/people/{employee_number}/learning",
    response_model=LearningRecord,
    summary="学习档案",
    **action("learning.read", problems=(404,)),
)
def get_learning_record(request: Request, who: Who, employee_number: str) -> Any:
    """Show a learning record; one that the caller may not see is not found."""
    return _TRAINING.ask_for(request, who, "get_learning_record", {"employee_number": employee_number})


@router.get(
    "/training/contacts",
    response_model=ContactPage,
    summary="培训联系人",
    **action("training_contacts.list", problems=(422,)),
)
def list_contacts(request: Request, who: Who, search: Annotated[PlaceInList, Query()]) -> Any:
    """Show the training contacts by department."""
    return _TRAINING.ask_for(request, who, "list_contacts", _place_and_filters(search))


@router.put(
    "/training/contacts/{department:path}",
    response_model=TrainingContact,
    summary="指定培训联系人",
    **action("training_contacts.write", problems=(400, 422)),
)
def put_contact(
    request: Request, who: Who, department: str, body: ContactWish, idempotency_key: IdempotencyKey = None
) -> Any:
    """Say who is the training contact of a department, given as its path such as `集团/华东分公司/财务部`."""
    wish = {"department": department, "employee_number": body.employee_number}
    return _TRAINING.ask_for(request, who, "put_contact", wish, idempotency_key)
