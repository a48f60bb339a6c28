"""The rules of training, and that no order and no repetition of reports changes what they lead to."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventkit.errors import BadSettings, RuleBroken
from services.training import rules
from services.training.catalogue import check_chain, checked_course
from services.training.rules import Module, Standing, State, Verdict
from services.training.settings import Settings

Report = tuple[int, bool]
reports = st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=8)
MODULES = [Module("凭证", ("GL-1", "GL-2"), 2.0), Module("锁定", ("GL-2", "GL-3"), 1.5), Module("报表", (), 1.0)]
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def played(sequence: list[Report]) -> tuple[Counter[tuple[Verdict, int]], Standing, int]:
    """Judge reports one after the other; return the verdicts by attempt, the standing, and how many were first."""
    known: dict[int, bool] = {}
    standing, verdicts, firsts = Standing(), Counter[tuple[Verdict, int]](), 0
    for attempt, passed in sequence:
        was_first = standing.highest_passed == 0
        verdict, standing = rules.judge(standing, known.get(attempt), attempt, passed=passed)
        firsts += verdict is Verdict.COMPLETED and was_first
        known[attempt] = known.get(attempt, False) or passed
        verdicts[verdict, attempt] += 1
    return verdicts, standing, firsts


@given(reports, st.randoms())
def test_any_order_and_repetition_of_reports_gives_the_same_completions(sequence: list[Report], dice: object) -> None:
    shuffled = [*sequence, *sequence[::2]]
    dice.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis gives a random.Random.
    verdicts, standing, firsts = played(shuffled)
    passed = {attempt for attempt, one in sequence if one}
    assert {key: n for key, n in verdicts.items() if key[0] is Verdict.COMPLETED} == {
        (Verdict.COMPLETED, attempt): 1 for attempt in passed
    }
    assert firsts == (1 if passed else 0)
    assert standing == Standing(max((n for n, _ in sequence), default=0), max(passed, default=0))


@given(reports)
def test_retraining_follows_at_most_once_an_attempt_and_never_one_that_was_passed_by_then(
    sequence: list[Report],
) -> None:
    verdicts, _, _ = played(sequence)
    assert all(n == 1 for (verdict, _), n in verdicts.items() if verdict is Verdict.RETRAINING)
    failed_only = {n for n, _ in sequence} - {n for n, passed in sequence if passed}
    best = max((n for n, passed in sequence if passed), default=0)
    assert {n for n in failed_only if n > best} <= {n for verdict, n in verdicts if verdict is Verdict.RETRAINING}


@pytest.mark.parametrize(
    ("sequence", "verdicts", "state"),
    [
        ([(1, True)], ["completed"], "completed"),
        ([(1, True), (1, True)], ["completed", "repeated"], "completed"),
        ([(1, False), (1, False)], ["retraining", "repeated"], "retraining"),
        ([(1, False), (2, True)], ["retraining", "completed"], "completed"),
        ([(2, True), (1, False)], ["completed", "recorded"], "completed"),
        ([(1, True), (1, False)], ["completed", "repeated"], "completed"),
        ([(1, False), (1, True)], ["retraining", "completed"], "completed"),
        ([(1, True), (2, False)], ["completed", "retraining"], "retraining"),
        ([(1, True), (2, True)], ["completed", "completed"], "completed"),
        ([], [], "enrolled"),
    ],
)
def test_what_reports_lead_to(sequence: list[Report], verdicts: list[str], state: str) -> None:
    standing, known, found = Standing(), dict[int, bool](), list[str]()
    for attempt, passed in sequence:
        verdict, standing = rules.judge(standing, known.get(attempt), attempt, passed=passed)
        known[attempt] = known.get(attempt, False) or passed
        found.append(str(verdict))
    assert (found, standing.state) == (verdicts, State(state))


@pytest.mark.parametrize(
    ("codes", "titles"),
    [
        (["GL-3"], ["锁定"]),
        (["GL-2"], ["凭证", "锁定"]),
        (["GL-1", "X"], ["凭证"]),
        (["X"], ["凭证", "锁定", "报表"]),
        ([], ["凭证", "锁定", "报表"]),
    ],
)
def test_the_modules_that_teach_what_was_failed_are_learnt_again(codes: list[str], titles: list[str]) -> None:
    assert [module.title for module in rules.modules_to_repeat(MODULES, codes)] == titles


def test_problem_codes_of_modules_are_named_once_in_their_order() -> None:
    assert rules.codes_of(MODULES) == ["GL-1", "GL-2", "GL-3"]


@pytest.mark.parametrize(
    ("department", "contact"),
    [
        ("集团/华东分公司/财务部", "E3"),
        ("集团/华东分公司/财务部/总账组", "E3"),
        ("集团/华东分公司/采购部", "E2"),
        ("集团/华东分公司2/采购部", "E1"),
        ("别的集团", None),
        (None, None),
        ("", None),
    ],
)
def test_the_contact_is_the_departments_or_the_nearest_one_above(department: str | None, contact: str | None) -> None:
    contacts = {"集团": "E1", "集团/华东分公司": "E2", "集团/华东分公司/财务部": "E3"}
    assert rules.contact_of(department, contacts) == contact


def test_a_retraining_is_due_by_the_days_of_the_enterprise() -> None:
    late = datetime(2026, 3, 2, 16, 30, tzinfo=UTC)  # 00:30 of the next day in Shanghai.
    assert rules.due_on(late, 14, ZoneInfo("Asia/Shanghai")) == date(2026, 3, 17)


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"title": ""}, "title"),
        ({"modules": [{"title": "a"}, {"title": "a"}]}, "modules"),
        ({"modules": [{"title": "a", "class_hours": -1}]}, "modules[0].class_hours"),
        ({"modules": [{"title": "a", "hours": 1}]}, "modules[0]"),
        (
            {"modules": [{"title": f"m{n}", "problem_codes": [f"c{n}-{m}" for m in range(60)]} for n in (1, 2)]},
            "modules",
        ),
        ({"materials": [{"material_id": "m", "title": "a"}, {"material_id": "m", "title": "b"}]}, "materials"),
        (
            {"materials": [{"material_id": f"m{n}", "title": "a", "summary": "字" * 2000} for n in range(9)]},
            "materials",
        ),
    ],
)
def test_a_course_that_cannot_be_is_refused_with_its_field(wish: dict[str, object], field: str) -> None:
    with pytest.raises(RuleBroken) as caught:
        checked_course({"code": "C", "title": "课"} | wish)
    assert caught.value.field == field


def test_a_plan_that_leads_back_is_refused() -> None:
    check_chain("A", ["B", "C"])
    with pytest.raises(RuleBroken, match="A → B → A"):
        check_chain("A", ["B", "A"])


def test_settings_name_every_fault_at_once() -> None:
    assert Settings.from_env({}) == Settings(14, ZoneInfo("Asia/Shanghai"))
    with pytest.raises(BadSettings, match=r"(?s)LIAISON_RETRAINING_DAYS.*LIAISON_TRAINING_ZONE"):
        Settings.from_env({"LIAISON_RETRAINING_DAYS": "0", "LIAISON_TRAINING_ZONE": "Mars/Base"})
