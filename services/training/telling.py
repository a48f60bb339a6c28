"""Telling others about a learner and a course: every fact carries what its readers need to know of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.training import rules

if TYPE_CHECKING:
    from services.training.storage import TrainingStore

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """When something counts, who did it, and whether it is history being imported."""

    moment: datetime
    actor: str | None = None
    history: bool = False


def tell(
    store: TrainingStore,
    fact: Any,
    course: Row,
    learner: str,
    around: Circumstances,
    *,
    codes: Sequence[str],
    **more: Any,
) -> None:
    """Announce a fact about a learner and a course. codes: the problem codes that it is about."""
    person = store.person(learner)
    department = person["department"] if person else None
    data = fact(
        course=course["code"],
        course_title=course["title"],
        learner=learner,
        department=department,
        contact=rules.contact_of(department, store.contacts_for(department)),
        problem_codes=tuple(codes),
        **more,
    )
    store.work.emit(data, subject=f"{course['code']}/{learner}", time=around.moment, actor=around.actor)
