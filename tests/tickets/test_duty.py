"""Who gets a ticket on a real broker and database: skills, duty, room, queues, absences, and why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.event import listen

from contracts.gateway import AwaySpan, PersonChanged
from eventkit.errors import NotFound, RuleBroken
from tests.eventkit.desk import Desk, eventually, reported
from tests.tickets.rehearsal import Rehearsal, on
from tests.tickets.stories import asked, told, types, update

GROUP = "华东支持组"
HOUR = timedelta(hours=1)
SHIFT = ("group", "level", "person", "begin_at", "end_at")
COLUMNS = "group_name, level, person, begin_at, end_at"
NOW = datetime.now(UTC)
WITH_ROOM_FOR_ONE = {"default_group": "assignment: {capacity: 1}\ndefault_group"}
WITH_SKILLS = {
    "default_group": "assignment: {skills: [{skill: 打印, when: {category: 打印}}]}\ndefault_group",
}


def engineer(number: str, version: int = 1, **fields: Any) -> Any:
    known: dict[str, Any] = {"employee_number": number, "version": version, "name": number}
    known |= {"roles": ("engineer",), "groups": (GROUP,)}
    return reported(PersonChanged(**known | fields), number, version)


def known(desk: Desk, count: int) -> None:
    eventually(lambda: desk.one("select count(*) from person") == count)


def holders(desk: Desk) -> list[str | None]:
    return [row.assignee for row in desk.rows("select assignee from ticket order by number")]


def span(begin: timedelta, end: timedelta) -> dict[str, str]:
    return {"begin_at": (NOW + begin).isoformat(), "end_at": (NOW + end).isoformat()}


def shift(person: str, begin: timedelta = -timedelta(hours=1), end: timedelta = timedelta(hours=8), **more: Any) -> Any:
    return {"group": GROUP, "level": 2, "person": person, **span(begin, end)} | more


def test_why_a_ticket_was_given_to_somebody_lists_every_candidate(tickets: Desk, call: Any) -> None:
    tickets.publish(engineer("E1"), engineer("E2"), engineer("E3", active=False))
    known(tickets, 3)
    second = [call("open_ticket", title="坏了", region="华东")["number"] for _ in range(2)][1]
    assert holders(tickets) == ["E1", "E2"]
    [decision] = call("ticket_assignments", number=second)["items"]
    assert decision["person"] == "E2"
    shown = {one["person"]: (one["open_count"], one["passed"]) for one in decision["candidates"]}
    assert shown == {"E1": (1, "more_load"), "E2": (0, None), "E3": (0, "left")}
    scores = {one["person"]: one["score"] for one in decision["candidates"]}
    assert scores["E2"] < scores["E1"]


def test_equal_loads_take_turns(tickets: Desk, call: Any) -> None:
    tickets.publish(engineer("E1"), engineer("E2"))
    known(tickets, 2)
    for _ in range(3):
        number = call("open_ticket", title="坏了", region="华东")["number"]
        call("resolve_ticket", number=number, solution="好了")
    assert holders(tickets) == ["E1", "E2", "E1"]


def test_a_ticket_goes_to_somebody_with_the_skill_that_it_needs(
    desk_under: Callable[..., Desk], calling: Callable[[Desk], Any]
) -> None:
    desk = desk_under(WITH_SKILLS)
    desk.publish(engineer("E1"), engineer("E2", skills=("打印",)))
    call = calling(desk)
    known(desk, 2)
    for _ in range(2):
        call("open_ticket", title="坏了", region="华东", category="打印")
    assert holders(desk) == ["E2", "E2"]


def test_nobody_is_given_their_own_request(tickets: Desk, call: Any) -> None:
    tickets.publish(engineer("E1"))
    known(tickets, 1)
    assert call("open_ticket", title="我的坏了", region="华东", requester="E1")["assignee"] is None


def test_when_all_are_full_tickets_wait_and_are_drawn_in_order_as_soon_as_somebody_frees_up(
    desk_under: Callable[..., Desk], calling: Callable[[Desk], Any]
) -> None:
    # Given one engineer with room for one ticket
    desk = desk_under(WITH_ROOM_FOR_ONE)
    desk.publish(engineer("E1"))
    call = calling(desk)
    known(desk, 1)
    first, low, urgent = (
        call("open_ticket", title="坏了", region="华东", priority=priority)["number"] for priority in (3, 4, 1)
    )
    assert holders(desk) == ["E1", None, None]
    [decision] = call("ticket_assignments", number=low)["items"]
    assert (decision["person"], decision["waits_for"]) == (None, "full")
    # When the first is resolved, then the urgent one is drawn, although it came last
    call("resolve_ticket", number=first, solution="好了")
    eventually(lambda: holders(desk) == ["E1", None, "E1"])
    call("resolve_ticket", number=urgent, solution="好了")
    eventually(lambda: holders(desk) == ["E1", "E1", "E1"])
    assert [data["reason"] for kind, data in told(desk) if kind == "ticket.assigned"] == ["drawn from the queue"] * 2


def test_a_new_ticket_does_not_overtake_those_that_wait(
    desk_under: Callable[..., Desk], calling: Callable[[Desk], Any]
) -> None:
    desk = desk_under(WITH_ROOM_FOR_ONE)
    desk.publish(asked("ERP-1"), asked("ERP-2"))
    call = calling(desk)
    eventually(lambda: len(holders(desk)) == 2)
    desk.publish(engineer("E1"))
    eventually(lambda: holders(desk) == ["E1", None])
    call("open_ticket", title="坏了", region="华东")
    assert holders(desk) == ["E1", None, None]


def test_a_ticket_that_comes_does_not_put_off_a_draw_that_is_due(
    desk_under: Callable[..., Desk], tmp_path: Path
) -> None:
    # Given somebody who has just freed up, so that what waits is to be drawn now
    desk = Rehearsal(desk_under(WITH_ROOM_FOR_ONE), tmp_path / "policy.yaml")
    desk.receive("02 08:00", engineer("E1"))
    first, _ = (desk.opened("02 09:00", region="华东") for _ in range(2))
    desk.call("02 09:10:05", "resolve_ticket", number=first, solution="好了")
    # When another ticket comes, and waits behind
    desk.opened("02 09:10:05", region="华东")
    # Then the draw is due all the same
    desk.fire("02 09:10:05")
    assert holders(desk.desk) == ["E1", "E1", None]


def test_only_who_is_on_duty_is_given_tickets_and_a_stand_in_stands_in(tickets: Desk, call: Any) -> None:
    # Given a roster on which E1 has the duty, with E2 as the stand-in
    tickets.publish(engineer("E1"), engineer("E2"), engineer("E3"))
    known(tickets, 3)
    call("load_roster", shifts=[shift("E1", stand_in="E2")])
    for _ in range(2):
        call("open_ticket", title="坏了", region="华东")
    assert holders(tickets) == ["E1", "E1"]
    # When E1 goes away for a while
    away = (AwaySpan(begin_at=datetime.now(UTC), end_at=datetime.now(UTC) + timedelta(days=9)),)
    tickets.publish(engineer("E1", 2, away=away))
    # Then what cannot wait goes to the stand-in, and so does what comes
    eventually(lambda: holders(tickets) == ["E2", "E2"])
    call("open_ticket", title="坏了", region="华东")
    assert holders(tickets)[-1] == "E2"


def test_a_stand_in_from_another_group_is_given_tickets_and_warned_of_while_away(tickets: Desk, call: Any) -> None:
    # Given a roster whose person is away, with a stand-in of another group
    away = (AwaySpan(begin_at=NOW, end_at=NOW + timedelta(days=9)),)
    tickets.publish(engineer("E1", away=away), engineer("S1", groups=("华南支持组",)))
    known(tickets, 2)
    call("load_roster", shifts=[shift("E1", end=timedelta(days=9), stand_in="S1")])
    call("open_ticket", title="坏了", region="华东")
    assert holders(tickets) == ["S1"]
    assert call("show_duty", group=GROUP)["gaps"] == []
    # When the stand-in is away as well
    tickets.publish(engineer("S1", 2, groups=("华南支持组",), away=away))
    eventually(lambda: tickets.one("select version from person where employee_number = 'S1'") == 2)
    # Then nobody is on duty, and it is told who should be
    duty = call("show_duty", group=GROUP)
    assert (duty["on_duty"], duty["gaps"][0]["absent"]) == ([], ["E1", "S1"])
    assert call("open_ticket", title="坏了", region="华东")["assignee"] is None


def test_a_key_user_on_level_one_who_is_away_leaves_a_gap(tickets: Desk, call: Any) -> None:
    away = (AwaySpan(begin_at=NOW, end_at=NOW + timedelta(days=9)),)
    tickets.publish(engineer("K1", roles=("key_user",), groups=(), away=away))
    known(tickets, 1)
    call("load_roster", shifts=[shift("K1", end=timedelta(days=9), level=1)])
    [data] = eventually(lambda: [data for kind, data in told(tickets) if kind == "duty.uncovered"])
    assert (data["level"], data["absent"]) == (1, ["K1"])


def test_duty_is_not_passed_on_to_somebody_of_another_group_who_is_away(tickets: Desk, call: Any) -> None:
    away = (AwaySpan(begin_at=NOW, end_at=NOW + timedelta(days=9)),)
    tickets.publish(engineer("E1"), engineer("S1", groups=("华南支持组",), away=away))
    known(tickets, 2)
    call("load_roster", shifts=[shift("E1")])
    with pytest.raises(RuleBroken, match="is not there") as caught:
        call("swap_duty", group=GROUP, level=2, giver="E1", taker="S1", **span(timedelta(0), timedelta(hours=2)))
    assert caught.value.field == "taker"


def test_somebody_away_for_an_hour_keeps_what_can_wait(tickets: Desk, call: Any) -> None:
    tickets.publish(engineer("E1"))
    known(tickets, 1)
    call("open_ticket", title="不急", region="华东", priority=4)
    tickets.publish(engineer("E2"))
    known(tickets, 2)
    call("open_ticket", title="也不急", region="华东", priority=4)
    now = datetime.now(UTC)
    tickets.publish(engineer("E1", 2, away=(AwaySpan(begin_at=now, end_at=now + timedelta(hours=1)),)))
    eventually(lambda: tickets.one("select version from person where employee_number = 'E1'") == 2)
    eventually(lambda: tickets.one("select count(*) from eventkit.timer where kind = 'absence'") == 0)
    assert holders(tickets) == ["E1", "E2"]


def test_a_swap_passes_the_duty_on(tickets: Desk, call: Any) -> None:
    tickets.publish(engineer("E1"), engineer("E2"))
    known(tickets, 2)
    call("load_roster", shifts=[shift("E1")])
    swap = {"group": GROUP, "level": 2, "giver": "E1", "taker": "E2", **span(timedelta(0), timedelta(hours=2))}
    with pytest.raises(RuleBroken, match="no duty") as caught:
        call("swap_duty", **swap | {"giver": "E2", "taker": "E1"})
    assert caught.value.field == "giver"
    call("swap_duty", **swap)
    duty = call("show_duty", group=GROUP)
    assert [(one["person"], one["why"], one["rostered"]) for one in duty["on_duty"]] == [("E2", "swapped", "E1")]
    call("open_ticket", title="坏了", region="华东")
    assert holders(tickets) == ["E2"]


def test_a_gap_in_the_next_seven_days_is_warned_of_once(tickets: Desk, call: Any) -> None:
    tickets.publish(engineer("E1"))
    known(tickets, 1)
    full = [shift("E1", timedelta(days=day, hours=-1), timedelta(days=day + 1, hours=-1)) for day in range(9)]
    call("load_roster", shifts=full[:3] + full[4:])
    [data] = eventually(lambda: [data for kind, data in told(tickets) if kind == "duty.uncovered"])
    assert (data["group"], data["level"], data["group_lead"]) == (GROUP, 2, "E1002")
    assert call("show_duty", group=GROUP)["gaps"] != []
    # Loaded again, with the same gap, nobody is told a second time; once it is filled there is none.
    call("load_roster", shifts=full[:3] + full[4:])
    call("load_roster", shifts=full)
    eventually(lambda: tickets.one("select count(*) from eventkit.timer where kind = 'duty_watch'") == 1)
    assert call("show_duty", group=GROUP)["gaps"] == []
    assert types(tickets).count("duty.uncovered") == 1


def test_a_roster_replaces_what_it_covers_from_now_on_and_nothing_else(tickets: Desk, call: Any) -> None:
    # Given shifts that are over, that run now, that come, and that reach beyond what is loaded then
    hours = {"over": (-20, -10), "now": (-10, 10), "comes": (10, 20), "beyond": (20, 40), "later": (40, 50)}
    stored = {person: shift(person, *(timedelta(hours=hour) for hour in span)) for person, span in hours.items()}
    with tickets.engine.begin() as connection:
        rows = [{name: one.get(name) for name in SHIFT} for one in stored.values()]
        connection.execute(text(f"insert into duty_shift ({COLUMNS}) values (:{', :'.join(SHIFT)})"), rows)
    # When a roster is loaded that begins in the past
    taken = call("load_roster", shifts=[shift("E1", timedelta(hours=-30), timedelta(hours=30))])
    # Then it holds from now on, and while nobody was there; what was is kept, and so is what comes after it
    assert taken == {"shifts": 1, "replaced": 3, "groups": [GROUP]}
    found = tickets.rows("select person, begin_at, end_at from duty_shift order by begin_at, person")
    assert [row.person for row in found] == ["E1", "over", "now", "E1", "beyond", "later"]
    assert ((found[0].begin_at - NOW) / HOUR, (found[0].end_at - NOW) / HOUR) == (-30, -20)
    ends = {row.person: ((row.begin_at - NOW) / HOUR, (row.end_at - NOW) / HOUR) for row in found}
    assert {name: ends[name] for name in ("over", "beyond", "later")} == {
        "over": (-20, -10),
        "beyond": (30, 40),
        "later": (40, 50),
    }
    assert ends["now"] == (-10, pytest.approx(0, abs=0.5))
    assert ends["E1"] == (ends["now"][1], 30)
    assert call("load_roster", shifts=[shift("E1", timedelta(hours=-15), timedelta(hours=-12))])["shifts"] == 0


def test_many_shifts_that_have_begun_are_compared_with_what_was_in_one_statement(
    desk_under: Callable[..., Desk], tmp_path: Path
) -> None:
    desk = Rehearsal(desk_under(), tmp_path / "policy.yaml")
    span = {"begin_at": on("02 08:00").isoformat(), "end_at": on("02 16:00").isoformat()}
    begun = [{**shift(f"E{number}"), **span} for number in range(3)]
    statements: list[str] = []
    with desk.work("02 09:00") as work:
        listen(work.connection, "before_cursor_execute", lambda *said: statements.append(said[2]))
        desk.desk.definition.methods["load_roster"].call(work, {"shifts": begun, "scope": {"kind": "all"}})
    assert sum("FROM duty_shift" in statement and "FOR UPDATE" in statement for statement in statements) == 1
    assert desk.desk.one("select count(*) from duty_shift") == 3


def test_a_sheet_with_a_fault_is_refused_with_its_line_and_nothing_is_taken(tickets: Desk, call: Any) -> None:
    day = (NOW + timedelta(days=2)).date()
    rows = [f"{GROUP},{level},{person},{day},09:00,17:00" for level, person in (("专家", "E1"), ("大师", "E2"))]
    sheet = "\n".join(["组,级别,工号,日期,开始,结束", *rows])
    with pytest.raises(RuleBroken, match="sheet:3") as caught:
        call("load_roster", sheet=sheet)
    assert caught.value.field == "sheet"
    assert tickets.one("select count(*) from duty_shift") == 0
    assert call("load_roster", sheet=sheet.replace("大师", "专家"))["shifts"] == 2


def test_a_roster_is_for_the_leads_of_its_group(call: Any) -> None:
    with pytest.raises(NotFound):
        call("load_roster", shifts=[shift("E1")], scope={"kind": "group", "groups": ["华南支持组"]})
    assert call("load_roster", shifts=[shift("E1")], scope={"kind": "group", "groups": [GROUP]})["shifts"] == 1


def test_what_another_system_takes_from_its_holder_is_not_drawn_again(tickets: Desk, call: Any) -> None:
    tickets.publish(engineer("E1"), asked("ERP-1"), update("ERP-1", 2, unassigned=True))
    eventually(lambda: "ticket.assigned" in types(tickets))
    call("open_ticket", title="坏了", region="华东")
    assert holders(tickets) == [None, "E1"]


def test_the_clocks_of_what_a_leaver_held_follow_the_group_that_takes_it_over(
    desk_under: Callable[..., Desk], calling: Callable[[Desk], Any]
) -> None:
    # Given a ticket of no group, whose holder leaves
    desk = desk_under({"levels:\n": "levels:\n  - {name: desk, when: {group: 服务台}, solution: 2h}\n"})
    desk.publish(engineer("E1"), engineer("E2", groups=("服务台",)))
    call = calling(desk)
    known(desk, 2)
    number = call("open_ticket", title="坏了", region="华东")["number"]
    call("change_ticket", number=number, ungrouped=True)
    desk.publish(engineer("E1", 2, active=False))
    # Then the default group has it, on its own terms
    eventually(lambda: holders(desk) == ["E2"])
    ticket = call("get_ticket", number=number)
    assert ticket["group"] == "服务台"
    assert datetime.fromisoformat(ticket["due_solution_at"]) < NOW + timedelta(hours=3)


def test_each_turn_of_a_roster_is_waited_for(desk_under: Callable[..., Desk], tmp_path: Path) -> None:
    desk = Rehearsal(desk_under(), tmp_path / "policy.yaml")

    def turns() -> list[datetime]:
        return [timer.due_at for timer in desk.armed() if timer.kind == "duty_turn"]

    # Given somebody whose duty begins and ends within a minute
    begin, end = on("02 10:00:20"), on("02 16:00:40")
    desk.receive("02 08:00", engineer("E1"))
    whole = {"group": GROUP, "level": 2, "person": "E1", "begin_at": begin.isoformat(), "end_at": end.isoformat()}
    desk.call("02 09:00", "load_roster", shifts=[whole])
    desk.opened("02 09:00", region="华东")
    desk.fire("02 09:00")
    assert (turns(), holders(desk.desk)) == ([begin], [None])
    # When it begins, then what waits is drawn
    desk.fire("02 10:00:20", [timer for timer in desk.armed() if timer.kind == "duty_turn"])
    assert turns() == [end]
    desk.fire("02 10:00:20", [timer for timer in desk.armed("02 10:00:20") if timer.kind == "draw"])
    assert holders(desk.desk) == ["E1"]


def test_what_nobody_has_begun_is_evened_out(desk_under: Callable[..., Desk], calling: Callable[[Desk], Any]) -> None:
    # Given an engineer with five tickets, of which one is begun, when a second one comes
    desk = desk_under({"default_group": "assignment: {even_out: true}\ndefault_group"})
    desk.publish(engineer("E1"))
    call = calling(desk)
    known(desk, 1)
    numbers = [call("open_ticket", title="坏了", region="华东")["number"] for _ in range(5)]
    call("respond_ticket", number=numbers[0])
    desk.publish(engineer("E2"))
    # Then they are at most two apart, and what is begun stays where it is
    eventually(lambda: (holders(desk).count("E1"), holders(desk).count("E2")) == (3, 2))
    assert holders(desk)[0] == "E1"
    assert {data["reason"] for kind, data in told(desk) if kind == "ticket.assigned"} == {"evened out"}
    # And why is kept, with what everybody held then
    [given] = [data["number"] for kind, data in told(desk) if kind == "ticket.assigned"][:1]
    decision = call("ticket_assignments", number=given)["items"][-1]
    shown = {one["person"]: (one["open_count"], one["passed"]) for one in decision["candidates"]}
    assert (decision["person"], shown) == ("E2", {"E1": (5, "more_load"), "E2": (0, None)})
