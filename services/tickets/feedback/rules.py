"""The rules of feedback (T9): who follows it up, what may follow what, and who sees it. Pure functions over values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contracts.words import FeedbackClass, FeedbackStatus

CLASS_TEXTS: Mapping[FeedbackClass, str] = {
    FeedbackClass.IMPROVABLE: "可改进",
    FeedbackClass.NEEDS_COORDINATION: "需协调",
    FeedbackClass.SETTLED: "已解决",
}
STATUS_TEXTS: Mapping[FeedbackStatus, str] = {
    FeedbackStatus.ACCEPTED: "已受理",
    FeedbackStatus.NEEDS_INFORMATION: "需补充信息",
    FeedbackStatus.RESOLVED: "已解决",
}

_NEXT: Mapping[FeedbackStatus, frozenset[FeedbackStatus]] = {
    FeedbackStatus.ACCEPTED: frozenset(STATUS_TEXTS),
    FeedbackStatus.NEEDS_INFORMATION: frozenset(STATUS_TEXTS),
    # What is resolved is taken up again before anything else can become of it.
    FeedbackStatus.RESOLVED: frozenset({FeedbackStatus.ACCEPTED}),
}


@dataclass(frozen=True, slots=True)
class Owners:
    """Who follows feedback up (专人跟进), as the owners' file says: employee numbers, each list in the order of asking.

    problem_codes: by the beginning of a problem code. departments: by the beginning of a department's path.
    """

    problem_codes: Mapping[str, Sequence[str]]
    departments: Mapping[str, Sequence[str]]
    default: Sequence[str]

    @property
    def everybody(self) -> tuple[str, ...]:
        """All who are named, each once, in a fixed order."""
        lists = (*self.problem_codes.values(), *self.departments.values(), self.default)
        return tuple(sorted({number for numbers in lists for number in numbers}))

    def candidates(self, problem_code: str | None, department: str | None) -> tuple[str, ...]:
        """Return who is asked, in order and each once: those of the code, of the department, then the default.

        The longest beginning that fits comes first. A department is a path: 集团 fits 集团/财务部, not 集团公司.
        """
        codes = _fitting(self.problem_codes, (problem_code or "").startswith)
        path = f"{department}/" if department else ""
        places = _fitting(self.departments, lambda start: path.startswith(f"{start}/"))
        return tuple(dict.fromkeys([*codes, *places, *self.default]))


def _fitting(lists: Mapping[str, Sequence[str]], fits: Callable[[str], bool]) -> list[str]:
    starts = sorted((start for start in lists if fits(start)), key=len, reverse=True)
    return [number for start in starts for number in lists[start]]


def is_there(person: Mapping[str, Any] | None, moment: datetime) -> bool:
    """Tell whether somebody works here and is not away. person: `active`, and `away` as pairs of ISO moments.

    Whom nobody has told us of is not there: nobody could write to them either.
    """
    if person is None or not person["active"]:
        return False
    spans = [(datetime.fromisoformat(begin), datetime.fromisoformat(end)) for begin, end in person["away"]]
    return not any(begin <= moment < end for begin, end in spans)


def choose_owner(candidates: Sequence[str], there: Collection[str], *, author: str | None) -> str | None:
    """Return the first candidate who is there; nobody follows up their own feedback. None when nobody can."""
    return next((one for one in candidates if one in there and one != author), None)


def step_problem(
    before: FeedbackStatus, after: FeedbackStatus, *, answer: str, known_answer: str = ""
) -> tuple[str, str] | None:
    """Return field and reason why feedback cannot go from one status to another with this answer; None when it can."""
    if after not in STATUS_TEXTS:
        return "status", f"known are {', '.join(STATUS_TEXTS)}"
    if after not in _NEXT[before]:
        return "status", f"{STATUS_TEXTS[before]} 的反馈须先重新受理({FeedbackStatus.ACCEPTED})"
    if after is not FeedbackStatus.ACCEPTED and not answer.strip():
        return "answer", "say what is missing" if after is FeedbackStatus.NEEDS_INFORMATION else "say what was done"
    if after is before and answer.strip() in ("", known_answer):
        return "status", f"the feedback is {STATUS_TEXTS[before]} already, and the answer is no other"
    return None


def class_problem(before: FeedbackClass | None, after: FeedbackClass) -> str | None:
    """Return why feedback cannot be classified so; None when it can. A class may be corrected at any time."""
    if after not in CLASS_TEXTS:
        return f"known are {', '.join(CLASS_TEXTS)}"
    return f"the feedback is {CLASS_TEXTS[after]} already" if after is before else None


def class_after(status: FeedbackStatus, feedback_class: FeedbackClass | None) -> FeedbackClass | None:
    """Return the class that goes with a new status: what is resolved unclassified was settled (已解决)."""
    if status is FeedbackStatus.RESOLVED and feedback_class is None:
        return FeedbackClass.SETTLED
    return feedback_class


def is_visible(feedback: Mapping[str, object], scope: Mapping[str, object]) -> bool:
    """Tell whether a caller of this scope may see the feedback; an unknown scope sees nothing (deny by default)."""
    kind, person = scope.get("kind"), scope.get("person")
    if kind == "all":
        return True
    if kind not in ("own", "group", "department"):
        return False
    if person is not None and person in (feedback["author"], feedback["owner"]):
        return True
    department = scope.get("department")
    return kind == "department" and department is not None and department == feedback["department"]


def may_follow_up(feedback: Mapping[str, object], scope: Mapping[str, object]) -> bool:
    """Tell whether a caller of this scope may classify, answer and pass on: its owner, or who reaches everything."""
    return scope.get("kind") == "all" or is_person(feedback["owner"], scope)


def is_person(number: object, scope: Mapping[str, object]) -> bool:
    """Tell whether a caller is the person of this number; nobody is nobody."""
    return number is not None and number == scope.get("person")
