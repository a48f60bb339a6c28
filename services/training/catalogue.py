"""The catalogue as it is written: what a course must be, checked field by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Annotated, Any

import msgspec

from contracts.fact import EmployeeNumber, Name
from contracts.training import Material
from eventkit.arguments import checked
from eventkit.errors import RuleBroken
from services.training.rules import Module, codes_of

#: A fact carries all materials and problem codes of its course, and an event may have 64 KiB.
MAX_MATERIALS_BYTES = 32 * 1024
MAX_CODES = 100
_Title = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class ModuleWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A module as a trainer writes it. problem_codes: what it teaches to avoid."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    problem_codes: Annotated[list[Name], msgspec.Meta(max_length=100)] = []
    class_hours: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 0.0


class CourseWish(msgspec.Struct, frozen=True, kw_only=True):
    """A course as a trainer writes it: the whole of it, which replaces what was there."""

    code: Name
    title: _Title
    modules: Annotated[list[ModuleWish], msgspec.Meta(max_length=100)] = []
    materials: Annotated[list[Material], msgspec.Meta(max_length=100)] = []
    next_course: Name | None = None


class EnrolmentWish(msgspec.Struct, frozen=True, kw_only=True):
    """Who shall take a course."""

    course: Name
    person: EmployeeNumber
    due_on: date | None = None


class ContactWish(msgspec.Struct, frozen=True, kw_only=True):
    """Who is the training contact of a department, given as its path such as `集团/华东分公司/财务部` (L6)."""

    department: Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[^/\s][^/]*(/[^/]+)*$")]
    employee_number: EmployeeNumber


def checked_course(arguments: Mapping[str, Any]) -> CourseWish:
    """Return the course that is wanted. Raises RuleBroken naming the field."""
    wish = checked(CourseWish, arguments)
    _each_once("modules", [module.title for module in wish.modules])
    _each_once("materials", [material.material_id for material in wish.materials])
    if (size := len(msgspec.json.encode(wish.materials))) > MAX_MATERIALS_BYTES:
        raise RuleBroken(f"{size} bytes of JSON; at most {MAX_MATERIALS_BYTES}", field="materials")
    if (count := len(codes_of(modules_of(wish.modules)))) > MAX_CODES:
        raise RuleBroken(f"{count} problem codes in all modules; at most {MAX_CODES}", field="modules")
    return wish


def modules_of(wishes: Iterable[ModuleWish]) -> list[Module]:
    """Return the modules as the rules know them."""
    return [Module(one.title, tuple(one.problem_codes), one.class_hours) for one in wishes]


def check_chain(code: str, following: Sequence[str]) -> None:
    """Raise RuleBroken when a plan would lead back to where it began.

    following: the course that is to come next, the one after it, and so on.
    """
    if code in following:
        raise RuleBroken(f"leads back to {code}: {' → '.join((code, *following))}", field="next_course")


def _each_once(field: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RuleBroken(f"there twice: {', '.join(twice)}", field=field)
