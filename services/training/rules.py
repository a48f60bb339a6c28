"""The rules of training: what an attempt's report changes, what is learnt again, who is told. Pure functions."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo


class State(enum.StrEnum):
    """Where a learner stands in a course."""

    ENROLLED = "enrolled"
    COMPLETED = "completed"
    RETRAINING = "retraining"


class Verdict(enum.StrEnum):
    """What the report of an attempt leads to."""

    COMPLETED = "completed"
    RETRAINING = "retraining"
    RECORDED = "recorded"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a learner's attempts at a course: the highest number of all, and of the passed ones; 0: none."""

    highest: int = 0
    highest_passed: int = 0

    @property
    def state(self) -> State:
        """The highest attempt decides, so that reports in any order end in the same state."""
        if self.highest == 0:
            return State.ENROLLED
        return State.COMPLETED if self.highest_passed == self.highest else State.RETRAINING


@dataclass(frozen=True, slots=True)
class Module:
    """A part of a course. class_hours: what it counts in the learner's record."""

    title: str
    problem_codes: tuple[str, ...] = ()
    class_hours: float = 0.0


def judge(standing: Standing, known: bool | None, attempt: int, *, passed: bool) -> tuple[Verdict, Standing]:
    """Return what the report of an attempt leads to, and where the learner stands afterwards.

    known: whether the attempt is known to be passed; None when nothing was reported of it yet.
    Each attempt is completed at most once, whatever else is reported: a pass is never taken back, and a failure may
    be corrected into one. A failure leads to retraining once, unless that attempt or a later one was passed.
    Source: requirements L8, L16; once per person, course and attempt.
    """
    if known or (known is False and not passed):
        return Verdict.REPEATED, standing
    after = Standing(max(standing.highest, attempt), max(standing.highest_passed, attempt if passed else 0))
    if passed:
        return Verdict.COMPLETED, after
    return (Verdict.RECORDED if standing.highest_passed >= attempt else Verdict.RETRAINING), after


def modules_to_repeat(modules: Sequence[Module], failed_codes: Iterable[str]) -> list[Module]:
    """Return the modules that teach what was failed; all of them when nothing is named or nothing matches (L8)."""
    failed = set(failed_codes)
    return [module for module in modules if failed.intersection(module.problem_codes)] or list(modules)


def codes_of(modules: Iterable[Module]) -> list[str]:
    """Return the problem codes of modules, each once, in the order of the modules."""
    return list(dict.fromkeys(code for module in modules for code in module.problem_codes))


def due_on(failed_at: datetime, days: int, zone: ZoneInfo) -> date:
    """Return the last day of a retraining: `days` calendar days after the day of the failure in `zone`.

    failed_at: aware. days: at least 1.
    """
    return failed_at.astimezone(zone).date() + timedelta(days=days)


def department_and_above(department: str | None) -> list[str]:
    """Return a department's path and those of the departments it belongs to, the nearest first.

    `集团/华东分公司/财务部` gives itself, `集团/华东分公司` and `集团`.
    """
    parts = department.split("/") if department else []
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]


def contact_of(department: str | None, contacts: Mapping[str, str]) -> str | None:
    """Return the training contact of a department, else of the nearest one above it that has one (L6).

    contacts: department path to employee number.
    """
    return next((contacts[path] for path in department_and_above(department) if path in contacts), None)


def is_visible(learner: Mapping[str, object], scope: Mapping[str, object]) -> bool:
    """Tell whether a caller of this scope may see a learner's record; an unknown scope sees nothing.

    learner: employee_number, department and manager; the last two None when unknown. A department reaches down to
    those that belong to it, and a manager sees those whose manager they are, wherever they sit.
    """
    person = scope.get("person")
    if scope.get("kind") == "all":
        return True
    if scope.get("kind") == "own":
        return person is not None and person == learner["employee_number"]
    if scope.get("kind") == "department":
        managed = person is not None and person in (learner["manager"], learner["employee_number"])
        return managed or scope.get("department") in department_and_above(str(learner["department"] or ""))
    return False
