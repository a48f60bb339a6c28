"""What becomes of tickets and duties when people change: they leave, are away, come back."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as statements

from contracts.gateway import AwaySpan, PersonChanged
from tests.eventkit.desk import Desk, reported
from tests.tickets.rehearsal import Rehearsal, on

GROUP = "华东支持组"


@pytest.fixture
def desk(tickets: Desk, tmp_path: Path) -> Rehearsal:
    return Rehearsal(tickets, tmp_path / "policy.yaml")


def engineer(number: str, version: int = 1, **fields: Any) -> Any:
    known: dict[str, Any] = {"employee_number": number, "version": version, "name": number}
    known |= {"roles": ("engineer",), "groups": (GROUP,)}
    return reported(PersonChanged(**known | fields), number, version)


def together(desk: Rehearsal, moment: str, *events: Any) -> None:
    """Let the service handle events in one transaction."""
    with desk.work(moment) as work:
        for event in events:
            work.cause = event
            desk.desk.definition.handlers[event.type].handle(work, event)


def holders(desk: Rehearsal) -> list[str | None]:
    return [row.assignee for row in desk.desk.rows("select assignee from ticket order by number")]


def test_an_absence_moves_the_next_turn_of_a_roster(desk: Rehearsal) -> None:
    def next_turn() -> datetime:
        desk.fire("02 09:00")
        [timer] = [timer for timer in desk.armed() if timer.kind == "duty_turn"]
        return timer.due_at

    # Given a duty of E1 until the evening, with E2 standing in
    for one in ("E1", "E2"):
        desk.receive("02 08:00", engineer(one))
    begin, noon, end = on("02 08:00"), on("02 12:00"), on("02 18:00")
    duty = {"group": GROUP, "level": 2, "person": "E1", "begin_at": begin.isoformat(), "end_at": end.isoformat()}
    desk.call("02 09:00", "load_roster", shifts=[duty | {"stand_in": "E2"}])
    assert next_turn() == end
    # When E1 is going to be away from noon on, and in the same breath something else becomes of E2
    away = AwaySpan(begin_at=noon, end_at=end)
    together(desk, "02 09:00", engineer("E2", 2, capacity=7), engineer("E1", 2, away=(away,)))
    # Then noon is waited for
    assert next_turn() == noon


def test_what_a_leaver_was_just_given_by_another_one_is_handed_on(desk: Rehearsal) -> None:
    for one in ("E1", "E2"):
        desk.receive("02 08:00", engineer(one))
    desk.opened("02 09:00", region="华东", assignee="E1")
    # When both leave in one transaction, of which the second one is given what the first one held
    together(desk, "02 10:00", engineer("E1", 2, active=False), engineer("E2", 2, active=False))
    assert [data.get("assignee") for data in desk.told("ticket.assigned")] == ["E2", None]
    assert holders(desk) == [None]


def test_who_is_away_is_asked_once_for_what_they_hold(desk: Rehearsal) -> None:
    away = AwaySpan(begin_at=on("02 10:00"), end_at=on("20 10:00"))
    for event in (engineer("E1", away=(away,)), engineer("E2")):
        desk.receive("02 08:00", event)
    desk.opened("02 09:00", region="华东", assignee="E1")
    [absence] = [timer for timer in desk.armed("02 10:00") if timer.kind == "absence"]
    asked_for: list[str] = []

    def note(*arguments: Any) -> None:
        if "ticket.assignee = " in arguments[2]:
            asked_for.append(arguments[2])

    # When the absence fires, its tickets are locked first, and handed over then
    effect = desk.desk.definition.effects["absence"]
    assert effect.preload is not None
    with desk.work("02 10:00") as work:
        statements.listen(work.connection, "before_cursor_execute", note)
        effect.preload(work, [absence])
        effect.fire(work, absence)
    assert (holders(desk), len(asked_for)) == (["E2"], 1)
