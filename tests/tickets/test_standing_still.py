"""Whether a clock stands still is decided by its ticket's present state, after whatever changed.

The service itself is called, on a real database, at moments that the story names: nothing here waits for a clock.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.eventkit.desk import Desk
from tests.tickets.rehearsal import Rehearsal, on

GENERAL_PAUSES = "pauses: {solution: [awaiting_user]}"
#: A level that goes on while its ticket waits for the requester, and one without a solution's target.
URGENT = "{name: 加急, when: {category: 加急}, pauses: {}, first_response: 1h, solution: 4h}"
ADVICE = "{name: 咨询, when: {category: 咨询}, first_response: 1h}"
#: A level that is quicker than the others, and pauses as they do.
QUICK = "{name: 销售, when: {category: 销售}, first_response: 1h, solution: 2h}"
EVERY_TARGET_WAITS = {
    GENERAL_PAUSES: "pauses: {next_response: [awaiting_vendor], internal: [awaiting_vendor]}",
    "default_group": "support:\n  2: {target: 2h, auto: true}\n  3: {target: 2h, auto: true}\ndefault_group",
    "solution: {1: 4h, 2: 8h, 3: 24h, 4: 72h}\npri": "solution: 72h\n    next_response: 2h\npri",
}


@pytest.fixture
def desk_with(desk_under: Callable[..., Desk], tmp_path: Path) -> Callable[..., Rehearsal]:
    """A desk around the clock; the argument says what else is other."""
    return lambda changes: Rehearsal(desk_under(changes), tmp_path / "policy.yaml")


@pytest.fixture
def desk(desk_with: Callable[..., Rehearsal]) -> Rehearsal:
    return desk_with({"levels:\n": f"levels:\n  - {URGENT}\n  - {ADVICE}\n  - {QUICK}\n"})


def awaiting(desk: Rehearsal, moment: str, state: str = "awaiting_user", **fields: Any) -> str:
    """Open a ticket at 02 09:00 that awaits somebody from a moment on."""
    number = desk.opened("02 09:00", **fields)
    desk.call(moment, "change_ticket", number=number, state=state)
    return number


def clock(desk: Rehearsal, moment: str, number: str, target: str = "solution") -> dict[str, Any]:
    found = [one for one in desk.call(moment, "explain_sla", number=number)["clocks"] if one["target"] == target]
    return dict(found[-1])


def test_a_paused_clock_goes_on_when_its_new_level_does_not_wait_for_the_requester(desk: Rehearsal) -> None:
    number = awaiting(desk, "02 10:00")
    changed = desk.call("02 11:00", "change_ticket", number=number, category="加急")
    assert changed["due_solution_at"] == on("02 14:00")
    assert clock(desk, "02 11:00", number)["state"] == "running"
    desk.fire("02 14:00")
    assert len(desk.told("sla.breached", target="solution")) == 1


def test_a_running_clock_stands_still_when_its_new_level_waits_for_the_requester(desk: Rehearsal) -> None:
    number = awaiting(desk, "02 10:00", category="加急")
    assert clock(desk, "02 11:00", number)["state"] == "running"
    desk.call("02 11:00", "change_ticket", number=number, category="销售")
    assert clock(desk, "02 11:00", number)["state"] == "paused"
    desk.fire("09 12:00")
    assert (desk.shares(), desk.told("sla.breached", target="solution")) == ([], [])


def test_a_target_that_was_exceeded_when_it_came_is_missed_although_the_clock_then_stands_still(
    desk: Rehearsal,
) -> None:
    number = awaiting(desk, "02 10:00", category="加急")
    desk.call("02 12:00", "change_ticket", number=number, category="销售")
    [missed] = desk.told("sla.breached", target="solution")
    assert missed["due_at"] == "2026-03-02T03:00:00Z"
    desk.call("02 13:00", "resolve_ticket", number=number, solution="重启")
    assert (len(desk.told("sla.breached", target="solution")), desk.told("sla.met", target="solution")) == (1, [])


def test_a_target_that_was_shortened_in_a_pause_is_missed_also_by_who_is_resolved_out_of_it(desk: Rehearsal) -> None:
    number = awaiting(desk, "02 12:00")
    desk.call("02 13:00", "change_ticket", number=number, category="销售")
    assert desk.told("sla.breached", target="solution") == []
    desk.call("02 14:00", "resolve_ticket", number=number, solution="重启")
    assert (len(desk.told("sla.breached", target="solution")), desk.told("sla.met", target="solution")) == (1, [])


def test_a_target_that_only_the_new_level_has_waits_at_once(desk: Rehearsal) -> None:
    number = awaiting(desk, "02 10:00", category="咨询")
    desk.call("02 11:00", "change_ticket", number=number, category="销售")
    assert clock(desk, "02 12:00", number)["state"] == "paused"
    desk.fire("09 12:00")
    assert (desk.shares(), desk.told("sla.breached", target="solution")) == ([], [])
    assert desk.call("09 12:00", "change_ticket", number=number, state="in_progress")["due_solution_at"] == on(
        "09 14:00"
    )


def test_a_target_that_waits_until_somebody_begins_waits_from_the_opening_on(
    desk_with: Callable[..., Rehearsal],
) -> None:
    desk = desk_with({GENERAL_PAUSES: "pauses: {solution: [new]}"})
    number = desk.opened("02 09:00", priority=1)
    assert clock(desk, "02 10:00", number)["state"] == "paused"
    desk.fire("02 13:01")
    assert (desk.shares(), desk.told("sla.breached", target="solution")) == ([], [])
    assert desk.call("02 14:00", "respond_ticket", number=number)["due_solution_at"] == on("02 18:00")


def test_a_question_and_an_escalation_while_the_vendor_is_awaited_wait_too(
    desk_with: Callable[..., Rehearsal],
) -> None:
    desk = desk_with(EVERY_TARGET_WAITS)
    number = awaiting(desk, "02 09:30", "awaiting_vendor")
    desk.call("02 10:00", "comment_ticket", actor="E7", number=number, body="还没好吗？")
    desk.call("02 10:00", "escalate_ticket", number=number, reason="要看日志")
    assert [clock(desk, "02 10:00", number, one)["state"] for one in ("next_response", "internal")] == ["paused"] * 2
    desk.fire("03 12:00")
    assert desk.told("sla.breached") == []
    desk.call("03 12:00", "change_ticket", number=number, state="in_progress")
    assert [clock(desk, "03 12:00", number, one)["due_at"] for one in ("next_response", "internal")] == [
        on("03 14:00")
    ] * 2


@pytest.mark.parametrize(
    ("before", "after", "state", "runs"),
    [
        (GENERAL_PAUSES, "pauses: {}", "running", [False, True]),
        ("pauses: {}", GENERAL_PAUSES, "paused", [True, False]),
    ],
)
def test_other_pauses_are_planned_and_applied(
    desk_with: Callable[..., Rehearsal], before: str, after: str, state: str, runs: list[bool]
) -> None:
    desk = desk_with({GENERAL_PAUSES: before})
    number = awaiting(desk, "02 10:00", priority=1)
    moves = desk.apply("02 11:00", desk.policy(before, after), number)
    assert [[move.before.is_paused, move.after.is_paused] for move in moves] == [[not runs[0], not runs[1]]]
    assert clock(desk, "02 11:00", number)["state"] == state
    noted = desk.call("02 11:00", "ticket_changes", number=number)["items"]
    assert [one["after"] for one in noted if one["field"] == "solution clock"] == [state]
    assert bool([one for one in desk.armed() if "/solution/" in one.key]) is runs[1]
    # A second run finds nothing to do.
    assert desk.apply("02 11:00", desk.policy(), number) == []


@pytest.mark.parametrize(
    ("applied", "retroactive"),
    [
        pytest.param("02 11:00", True, id="due an hour ago"),
        pytest.param("02 10:03", False, id="due just now"),
    ],
)
def test_a_shorter_target_that_another_policy_also_pauses_is_missed_if_it_was_due_before(
    desk_with: Callable[..., Rehearsal], applied: str, retroactive: bool
) -> None:
    desk = desk_with({GENERAL_PAUSES: "pauses: {}"})
    number = awaiting(desk, "02 09:30", priority=1)
    desk.policy("solution: {1: 4h, 2: 8h, 3: 24h, 4: 72h}\npri", "solution: 1h\npri")
    policy = desk.policy("pauses: {}", GENERAL_PAUSES)
    # It is planned as a miss, and told as one at once: its timer does not run any more.
    assert [(move.misses, move.after.is_paused) for move in desk.plan(applied, policy, number)] == [(True, True)]
    desk.apply(applied, policy, number)
    [missed] = desk.told("sla.breached", target="solution")
    assert (missed["due_at"], missed.get("retroactive", False)) == ("2026-03-02T02:00:00Z", retroactive)
    # Going on makes no second one of it.
    desk.call("02 12:00", "change_ticket", number=number, state="in_progress")
    desk.fire("03 12:00")
    assert len(desk.told("sla.breached", target="solution")) == 1
    assert desk.plan("02 12:00", policy, number) == []
