"""The rules of feedback: who follows it up, what may follow what, who sees it, and which texts are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.words import FeedbackClass, FeedbackStatus
from services.tickets.feedback import rules
from services.tickets.feedback.rules import Owners

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
OWNERS = Owners(
    {"OA-": ["E1"], "OA-PRINT": ["E2", "E3"]}, {"集团": ["E4"], "集团/财务部": ["E5"]}, default=["E9", "E1"]
)
numbers = st.sampled_from([f"E{n}" for n in range(8)])
lists = st.lists(numbers, max_size=4, unique=True)
paths = st.lists(st.sampled_from(["集团", "财务部", "采购部"]), min_size=1, max_size=3).map("/".join)
owners = st.builds(
    Owners, st.dictionaries(st.sampled_from(["O", "OA", "OA-1", "SAP"]), lists), st.dictionaries(paths, lists), lists
)


@pytest.mark.parametrize(
    ("code", "department", "asked"),
    [
        pytest.param("OA-PRINT-7", None, ("E2", "E3", "E1", "E9"), id="the longest beginning of the code first"),
        pytest.param("OA-LOGIN", "集团/财务部", ("E1", "E5", "E4", "E9"), id="code, then department, then default"),
        pytest.param(None, "集团/财务部/出纳", ("E5", "E4", "E9", "E1"), id="a part of a department"),
        pytest.param(None, "集团公司", ("E9", "E1"), id="a name that only begins alike is another department"),
        pytest.param("SAP-1", "采购部", ("E9", "E1"), id="nobody is named: the default"),
        pytest.param(None, None, ("E9", "E1"), id="nothing is known"),
    ],
)
def test_who_is_asked_and_in_which_order(code: str | None, department: str | None, asked: tuple[str, ...]) -> None:
    assert OWNERS.candidates(code, department) == asked


@given(owners, st.sampled_from([None, "OA-1-2", "SAP", "x"]), st.none() | paths, st.sets(numbers), st.none() | numbers)
def test_the_owner_is_the_first_candidate_who_is_there_and_never_the_author(
    owners: Owners, code: str | None, department: str | None, there: set[str], author: str | None
) -> None:
    candidates = owners.candidates(code, department)
    assert len(set(candidates)) == len(candidates)
    assert set(owners.default) <= set(candidates) <= set(owners.everybody)
    chosen = rules.choose_owner(candidates, there, author=author)
    able = [one for one in candidates if one in there and one != author]
    assert chosen == (able[0] if able else None)


@pytest.mark.parametrize(
    ("there", "author", "owner"),
    [
        (["E1", "E2"], None, "E1"),
        (["E2"], None, "E2"),
        (["E1", "E2"], "E1", "E2"),
        (["E1"], "E1", None),
        ([], None, None),
        (["E3"], None, None),
    ],
)
def test_one_owner_who_is_there_and_did_not_write_it(there: list[str], author: str | None, owner: str | None) -> None:
    assert rules.choose_owner(["E1", "E2"], there, author=author) == owner


@pytest.mark.parametrize(
    ("person", "there"),
    [
        pytest.param(None, False, id="unknown"),
        pytest.param({"active": False, "away": []}, False, id="has left"),
        pytest.param({"active": True, "away": []}, True, id="there"),
        pytest.param({"active": True, "away": [(0, 1)]}, False, id="away"),
        pytest.param({"active": True, "away": [(-2, 0)]}, True, id="back when the span ends"),
        pytest.param({"active": True, "away": [(1, 9)]}, True, id="goes later"),
    ],
)
def test_who_is_there(person: Any, there: bool) -> None:
    if person:
        moments = [tuple((NOON + timedelta(hours=h)).isoformat() for h in span) for span in person["away"]]
        person = person | {"away": moments}
    assert rules.is_there(person, NOON) is there


ACCEPTED, NEEDS, RESOLVED = FeedbackStatus.ACCEPTED, FeedbackStatus.NEEDS_INFORMATION, FeedbackStatus.RESOLVED


@pytest.mark.parametrize(
    ("before", "after", "answer", "field"),
    [
        (ACCEPTED, NEEDS, "哪台打印机?", None),
        (ACCEPTED, NEEDS, "  ", "answer"),
        (ACCEPTED, RESOLVED, "已更换", None),
        (ACCEPTED, RESOLVED, "", "answer"),
        (ACCEPTED, ACCEPTED, "正在看", None),
        (ACCEPTED, ACCEPTED, "", "status"),
        (NEEDS, NEEDS, "旧答复", "status"),
        (NEEDS, ACCEPTED, "", None),
        (RESOLVED, ACCEPTED, "", None),
        (RESOLVED, NEEDS, "再问一句", "status"),
        (RESOLVED, RESOLVED, "再答一次", "status"),
        (ACCEPTED, FeedbackStatus.OTHER, "x", "status"),
    ],
)
def test_which_status_may_follow(before: FeedbackStatus, after: FeedbackStatus, answer: str, field: str | None) -> None:
    problem = rules.step_problem(before, after, answer=answer, known_answer="旧答复")
    assert (problem and problem[0]) == field


@given(st.sampled_from([ACCEPTED, NEEDS, RESOLVED]), st.sampled_from([ACCEPTED, NEEDS, RESOLVED]), st.text())
def test_every_status_can_be_reached_from_every_other_and_resolved_only_leads_back(
    before: FeedbackStatus, after: FeedbackStatus, answer: str
) -> None:
    problem = rules.step_problem(before, after, answer=answer)
    if before is RESOLVED:
        assert (problem is None) == (after is ACCEPTED)
    elif after is not ACCEPTED:
        assert (problem is None) == bool(answer.strip())


def test_classes_are_three_can_be_corrected_and_what_is_resolved_unclassified_was_settled() -> None:
    assert list(rules.CLASS_TEXTS.values()) == ["可改进", "需协调", "已解决"]
    assert list(rules.STATUS_TEXTS.values()) == ["已受理", "需补充信息", "已解决"]
    assert rules.class_problem(None, FeedbackClass.IMPROVABLE) is None
    assert rules.class_problem(FeedbackClass.SETTLED, FeedbackClass.IMPROVABLE) is None
    assert "可改进 already" in str(rules.class_problem(FeedbackClass.IMPROVABLE, FeedbackClass.IMPROVABLE))
    assert "known are" in str(rules.class_problem(None, FeedbackClass.OTHER))
    assert rules.class_after(RESOLVED, None) is FeedbackClass.SETTLED
    assert rules.class_after(RESOLVED, FeedbackClass.IMPROVABLE) is FeedbackClass.IMPROVABLE
    assert rules.class_after(ACCEPTED, None) is None


@pytest.mark.parametrize(
    ("scope", "visible", "follows"),
    [
        ({"kind": "all"}, True, True),
        ({"kind": "own", "person": "E7"}, True, False),
        ({"kind": "own", "person": "E8"}, True, True),
        ({"kind": "own", "person": "E9"}, False, False),
        ({"kind": "own"}, False, False),
        ({"kind": "group", "person": "E8", "groups": ["网络组"]}, True, True),
        ({"kind": "group", "person": "E9", "groups": ["网络组"]}, False, False),
        ({"kind": "department", "department": "财务部"}, True, False),
        ({"kind": "department", "department": "采购部", "person": "E8"}, True, True),
        ({"kind": "department", "department": "采购部"}, False, False),
        ({"kind": "department"}, False, False),
        ({}, False, False),
        ({"kind": "everything", "person": "E8"}, False, True),
    ],
)
def test_who_sees_feedback_and_who_follows_it_up(scope: dict[str, object], visible: bool, follows: bool) -> None:
    feedback = {"author": "E7", "owner": "E8", "department": "财务部"}
    assert rules.is_visible(feedback, scope) is visible
    assert rules.may_follow_up(feedback, scope) is follows


@pytest.mark.parametrize("kind", ["own", "group", "department"])
def test_nobody_is_the_author_of_anonymous_feedback(kind: str) -> None:
    feedback = {"author": None, "owner": None, "department": None}
    scope = {"kind": kind, "person": None, "department": None}
    assert not rules.is_visible(feedback, scope)
    assert not rules.may_follow_up(feedback, scope)
    assert not rules.is_person(feedback["author"], scope)
