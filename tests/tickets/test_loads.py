"""What two transactions give out at once; and what people hold, which is kept with the tickets and never drifts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.event import listen

from contracts.gateway import AwaySpan, TicketUpdateRequested
from contracts.words import TicketState
from eventkit.envelope import Event
from eventkit.errors import BadMessage, NotFound, RuleBroken
from eventkit.firing import TimerFiring
from eventkit.forgetting import forget
from eventkit.telemetry import ServiceMetrics
from services.tickets.migrations.versions.t0013_person_load import STATEMENTS
from services.tickets.storage import FORGET
from tests.eventkit.desk import Desk, eventually, reported
from tests.seeds import FIXED_SEEDS, run_seed
from tests.tickets.rehearsal import Rehearsal, on
from tests.tickets.stories import asked
from tests.tickets.test_duty import WITH_ROOM_FOR_ONE, engineer, holders

SUPPORT = """assignment: {capacity: 3, even_out: true}
support:
  1: {target: 30m, auto: true}
  2: {target: 2h, auto: true}
  3: {group: 华南支持组, target: 1h}
default_group"""
PEOPLE = ("E1", "E2", "E3", "E4", "K1")
KEPT = "select person, open_count from person_load where open_count <> 0"
COUNTED = (
    "select assignee, count(*) from ticket where state not in ('resolved', 'closed') and assignee is not null"
    " group by assignee"
)
GIVEN_KEPT = "select person, given_on, given_count, given_at from person_load where given_count <> 0"
GIVEN_COUNTED = (
    "select distinct on (person) person, at::date as day, count(*), max(at) from assignment"
    " where person is not null group by person, day order by person, day desc"
)
TRIGGERS = "person_load_opened, person_load_changed, person_load_given"


def test_two_tickets_that_come_at_once_do_not_both_take_the_last_place(
    desk_under: Callable[..., Desk], tmp_path: Path
) -> None:
    desk = Rehearsal(desk_under(WITH_ROOM_FOR_ONE), tmp_path / "policy.yaml")
    desk.receive("02 08:00", engineer("E1"))
    desk.call("02 08:30", "resolve_ticket", number=desk.opened("02 08:30", region="华东"), solution="好了")
    second = threading.Thread(target=desk.opened, args=("02 09:00",), kwargs={"region": "华东"})
    with desk.work("02 09:00") as work:
        arguments = {"title": "打不开", "region": "华东", "scope": {"kind": "all"}}
        desk.desk.definition.methods["open_ticket"].call(work, arguments)
        second.start()
        eventually(lambda: desk.desk.waiting_for_locks() or not second.is_alive())
    second.join()
    assert holders(desk.desk) == ["E1", "E1", None]


def test_a_ticket_that_is_escalated_while_its_queue_is_drawn_from_is_not_given_to_the_old_group(
    desk_under: Callable[..., Desk], tmp_path: Path
) -> None:
    # Given a ticket that waits, and somebody who could draw it now
    desk = Rehearsal(desk_under({"default_group": SUPPORT}), tmp_path / "policy.yaml")
    number = desk.opened("02 09:00", region="华东")
    desk.receive("02 09:00", engineer("E1"))
    draws = [timer for timer in desk.armed("02 09:00") if timer.kind == "draw"]
    # When it goes to the next level while the queue is being drawn from
    drawing = threading.Thread(target=desk.fire, args=("02 09:00", draws))
    with desk.work("02 09:00") as work:
        arguments = {"number": number, "level": 3, "reason": "难", "scope": {"kind": "all"}}
        desk.desk.definition.methods["escalate_ticket"].call(work, arguments)
        drawing.start()
        eventually(lambda: desk.desk.waiting_for_locks() or not drawing.is_alive())
    drawing.join()
    # Then it waits there
    [row] = desk.desk.rows("select group_name, assignee, waits from ticket")
    assert (row.group_name, row.assignee, row.waits) == ("华南支持组", None, True)


class Aside(threading.Thread):
    """Does something beside the test; `end` waits for it, and raises what it ended with."""

    def __init__(self, action: Callable[[], Any]) -> None:
        super().__init__()
        self._action = action
        self._problem: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._action()
        except BaseException as problem:
            self._problem = problem

    def end(self) -> None:
        self.join()
        if self._problem:
            raise self._problem


@contextmanager
def holding(desk: Desk, person: str) -> Iterator[None]:
    """Keep what somebody holds from being changed, so that who wants to change it can be made to queue."""
    with desk.engine.begin() as connection:
        connection.execute(text("select 1 from person_load where person = :person for update"), {"person": person})
        yield


def test_two_who_solve_and_pass_on_tickets_of_the_same_people_the_other_way_round_do_not_lock_each_other_out(
    desk_under: Callable[..., Desk], tmp_path: Path
) -> None:
    desk = Rehearsal(desk_under(), tmp_path / "policy.yaml")
    first, second, third, fourth = (
        desk.opened("02 09:00", region="华东", assignee=who) for who in ("E2", "E1", "E1", "E2")
    )

    def solve_and_put_back(solved: str, put_back: str) -> None:
        with desk.work("02 09:00") as work:
            methods, scope = desk.desk.definition.methods, {"scope": {"kind": "all"}}
            methods["resolve_ticket"].call(work, {"number": solved, "solution": "好了"} | scope)
            methods["change_ticket"].call(work, {"number": put_back, "unassigned": True} | scope)

    with holding(desk.desk, "E1"):
        one = Aside(lambda: solve_and_put_back(third, fourth))
        eventually(lambda: desk.desk.waiting_for_locks() == 1)
        other = Aside(lambda: solve_and_put_back(first, second))
        eventually(lambda: desk.desk.waiting_for_locks() == 2)
    one.end()
    other.end()
    assert desk.desk.rows(KEPT) == []


def test_a_holder_who_solves_a_ticket_while_queues_are_drawn_from_and_loads_evened_out_is_not_locked_out(
    desk_under: Callable[..., Desk], tmp_path: Path
) -> None:
    # Given a ticket that waits, and others to be evened out, since somebody has come
    more = {"default_group": "assignment: {capacity: 4, even_out: true}\ndefault_group"}
    desk = Rehearsal(desk_under(more), tmp_path / "policy.yaml")
    desk.receive("02 08:00", engineer("E1"))
    solved, *_ = [desk.opened("02 09:00", region="华东") for _ in range(5)]
    desk.receive("02 09:00", engineer("E2"))
    # When one of those is solved while both are done
    firing = TimerFiring(desk.desk.definition, desk.desk.engine, ServiceMetrics("tickets"))
    with desk.work("02 09:00") as work:
        arguments = {"number": solved, "solution": "好了", "scope": {"kind": "all"}}
        desk.desk.definition.methods["resolve_ticket"].call(work, arguments)
        fired = Aside(firing.step)
        eventually(lambda: desk.desk.waiting_for_locks() == 1)
    fired.end()
    # Then what waits is drawn all the same
    assert sorted(desk.desk.rows(KEPT)) == [("E1", 3), ("E2", 1)]


def handle_together(desk: Rehearsal, moment: str, *events: Event[Any]) -> None:
    """Have events handled as one batch."""
    handlers = [desk.desk.definition.handlers[event.type] for event in events]
    with desk.work(moment) as work:
        for handler, event in zip(handlers, events, strict=True):
            assert handler.preload
            handler.preload(work, [event])
        work.take_late_locks()
        for handler, event in zip(handlers, events, strict=True):
            work.cause = event
            handler.handle(work, event)


def test_what_comes_by_an_event_waits_behind_what_joined_the_queue_at_the_same_moment(
    desk_under: Callable[..., Desk], tmp_path: Path
) -> None:
    # Given a ticket of the only engineer, who may not have it, that is just being opened
    desk = Rehearsal(desk_under(), tmp_path / "policy.yaml")
    desk.receive("02 08:00", engineer("E1"))
    with desk.work("02 09:00") as work:
        arguments = {"title": "我的坏了", "region": "华东", "requester": "E1", "scope": {"kind": "all"}}
        desk.desk.definition.methods["open_ticket"].call(work, arguments)
        # When another one arrives
        arriving = Aside(lambda: handle_together(desk, "02 09:00", asked("R1", time=on("02 09:00"))))
        eventually(lambda: desk.desk.waiting_for_locks() == 1)
    arriving.end()
    # Then it does not overtake it
    assert holders(desk.desk) == [None, None]


def test_a_key_user_who_leaves_is_not_given_what_comes_in_the_same_batch(
    desk_under: Callable[..., Desk], tmp_path: Path
) -> None:
    desk = Rehearsal(desk_under({"default_group": SUPPORT}), tmp_path / "policy.yaml")
    helps: dict[str, Any] = {"roles": ("key_user",), "groups": (), "department": "财务部"}
    desk.receive("02 08:00", engineer("K1", **helps))
    leaves, comes = engineer("K1", 2, active=False, **helps), engineer("K2", **helps)
    handle_together(desk, "02 09:00", leaves, comes, asked("R1", time=on("02 09:00"), department="财务部"))
    assert holders(desk.desk) == ["K2"]


def test_a_ticket_that_no_key_user_can_take_is_given_out_while_others_are_of_the_same_department(
    desk_under: Callable[..., Desk], tmp_path: Path
) -> None:
    # Given a key user who is away, and an engineer who comes before them in order
    desk = Rehearsal(desk_under({"default_group": SUPPORT}), tmp_path / "policy.yaml")
    away = (AwaySpan(begin_at=on("02 08:00"), end_at=on("03 08:00")),)
    desk.receive("02 08:00", engineer("E1"))
    desk.receive("02 08:00", engineer("K1", roles=("key_user",), groups=(), department="财务部", away=away))
    desk.opened("02 08:30", region="华东", department="财务部")

    # When one arrives by an event and one by a call
    with holding(desk.desk, "E1"):
        event = asked("R1", time=on("02 09:00"), department="财务部")
        arriving = Aside(lambda: handle_together(desk, "02 09:00", event))
        eventually(lambda: desk.desk.waiting_for_locks() == 1)
        calling = Aside(lambda: desk.opened("02 09:00", region="华东", department="财务部"))
        eventually(lambda: desk.desk.waiting_for_locks() == 2)
    # Then neither is in the other's way
    arriving.end()
    calling.end()
    assert holders(desk.desk) == ["E1", "E1", "E1"]


def test_whether_loads_are_even_is_looked_at_once_and_for_all_groups_together(
    desk_under: Callable[..., Desk], tmp_path: Path
) -> None:
    # Given two groups in which loads are even
    desk = Rehearsal(desk_under({"default_group": SUPPORT}), tmp_path / "policy.yaml")
    for who, group in (("E1", "华东支持组"), ("E2", "华东支持组"), ("E3", "华南支持组")):
        desk.receive("02 08:00", engineer(who, groups=(group,)))
        desk.opened("02 09:00", region=group[:2])
    desk.fire("02 09:00", [timer for timer in desk.armed("02 09:00") if timer.kind == "duty_turn"])
    desk.desk.execute("update duty_epoch set epoch = epoch + 1")
    due = [timer for timer in desk.armed("02 09:00") if timer.kind == "even_out"]
    effect = desk.desk.definition.effects["even_out"]
    assert effect.preload
    # When that is to be evened out
    statements: list[str] = []
    with desk.work("02 09:00") as work:
        listen(work.connection, "before_cursor_execute", lambda *said: statements.append(said[2]))
        effect.preload(work, due)
        for timer in due:
            effect.fire(work, timer)
    # Then rosters, swaps, people and what they hold are each read once, and nothing else but whether they have changed
    assert len(due) == 2
    assert [statement.rpartition("FROM ")[2].split()[0] for statement in statements] == [
        "duty_epoch",
        "duty_shift",
        "duty_swap",
        "person",
        "person_load",
    ]


class Walk:
    """Whatever can be done to a ticket or its people, in any order; a step that is refused changes nothing."""

    def __init__(self, desk: Rehearsal, seed: int) -> None:
        self.desk = desk
        self.random = Random(seed)
        self._versions = count(1)
        self._moments = (f"{2 + minute // 600:02} {8 + minute % 600 // 60:02}:{minute % 60:02}" for minute in count())
        self.now = next(self._moments)
        self.refused = 0

    def step(self) -> str:
        """Do something and return what it was."""
        self.now = next(self._moments)
        steps = (self.comes, self.called, self.called, self.told, self.told, self.person, self.fires, self.forgotten)
        step = self.random.choice(steps)
        try:
            return f"{step.__name__}: {step()}"
        except (RuleBroken, BadMessage, NotFound):
            self.refused += 1
            return f"{step.__name__}: refused"

    def comes(self) -> str:
        who, region = self.random.choice([None, *PEOPLE]), self.random.choice(["华东", "华南"])
        if self.random.random() < 0.5:
            return self.desk.opened(self.now, region=region, assignee=who, requester="E7", department="财务部")
        state = self.random.choice([TicketState.NEW, TicketState.IN_PROGRESS, TicketState.RESOLVED])
        past = self.random.random() < 0.5
        self.desk.receive(
            self.now, asked(f"R{next(self._versions)}", time=on(self.now), state=state, assignee=who, history=past)
        )
        return f"event {state} {who} history={past}"

    def called(self) -> str:
        calls: list[tuple[str, dict[str, Any]]] = [
            ("resolve_ticket", {"solution": "好了"}),
            ("reopen_ticket", {"reason": "又坏了"}),
            ("close_ticket", {}),
            ("respond_ticket", {}),
            ("escalate_ticket", {"reason": "难"}),
            ("merge_ticket", {"into": self._number()}),
            ("change_many", {"numbers": [self._number(), self._number()], "change": self._wish()}),
            ("close_many", {"numbers": [self._number(), self._number()]}),
            ("change_ticket", self._wish()),
        ]
        method, more = self.random.choice(calls)
        self.desk.call(self.now, method, **{"number": self._number()} | more)
        return method

    def told(self) -> str:
        wish = self._wish() | {"state": self.random.choice(list(TicketState)), "number": self._number()}
        past = self.random.random() < 0.3
        update = TicketUpdateRequested(**wish)
        self.desk.receive(
            self.now, reported(update, wish["number"], next(self._versions), time=on(self.now), history=past)
        )
        return f"{update} history={past}"

    def person(self) -> str:
        begin = on(self.now)
        away = (AwaySpan(begin_at=begin, end_at=begin + timedelta(hours=1)),) if self.random.random() < 0.3 else ()
        groups = self.random.choice([("华东支持组",), ("华南支持组",), ("华东支持组", "华南支持组")])
        who, active = self.random.choice(PEOPLE), self.random.random() < 0.7
        roles = ("key_user",) if who == "K1" else ("engineer",)
        more: dict[str, Any] = {"active": active, "groups": groups, "away": away, "roles": roles}
        self.desk.receive(self.now, engineer(who, next(self._versions), department="财务部", **more))
        return f"{who} {active}"

    def fires(self) -> str:
        due = self.desk.armed(self.now)
        self.desk.fire(self.now, due)
        return ", ".join(sorted({timer.kind for timer in due}))

    def forgotten(self) -> str:
        who = self.random.choice(PEOPLE)
        forget(self.desk.desk.engine, who, FORGET, address="")
        return who

    def _wish(self) -> dict[str, Any]:
        return self.random.choice(
            [
                {"assignee": self.random.choice(PEOPLE)},
                {"unassigned": True},
                {"group": self.random.choice(["华东支持组", "华南支持组"])},
                {"ungrouped": True},
                {"secrecy": "sensitive"},
            ]
        )

    def _number(self) -> str:
        return str(self.random.choice(self.desk.desk.rows("select number from ticket")).number)


@pytest.mark.parametrize("seed", [*FIXED_SEEDS, run_seed()])
def test_after_anything_that_may_become_of_a_ticket_what_is_kept_of_its_holders_is_what_would_be_counted(
    desk_under: Callable[..., Desk], tmp_path: Path, seed: int
) -> None:
    walk = Walk(Rehearsal(desk_under({"default_group": SUPPORT}), tmp_path / "policy.yaml"), seed)
    desk = walk.desk.desk
    for _ in range(10):
        walk.person()
        walk.comes()
    done = [walk.step()]
    for _ in range(300):
        done.append(walk.step())
        assert sorted(desk.rows(KEPT)) == sorted(desk.rows(COUNTED)), done
        assert sorted(desk.rows(GIVEN_KEPT)) == sorted(desk.rows(GIVEN_COUNTED)), done
    assert walk.refused < 200
    with desk.engine.begin() as connection:
        for statement in ("drop table person_load", f"drop function {TRIGGERS} cascade", *STATEMENTS.split(";\n\n")):
            connection.execute(text(statement))
    assert sorted(desk.rows(KEPT)) == sorted(desk.rows(COUNTED))
    assert sorted(desk.rows(GIVEN_KEPT)) == sorted(desk.rows(GIVEN_COUNTED))
