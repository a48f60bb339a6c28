"""What other desks told too often, too late or never (notes/tickets.md 2.4 and 4), as what our service does instead.

The service itself is called, on a real database, at moments that the story names: nothing here waits for a clock.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from contracts.gateway import PersonChanged, TicketUpdateRequested
from services.tickets.sla import change_plan
from services.tickets.sla.clock import ClockState
from services.tickets.sla.usecases import clock_fell_due, clocks_of
from services.tickets.storage import TicketStore
from services.tickets.telling import fired
from tests.eventkit.desk import Desk, reported
from tests.tickets.rehearsal import CHINA, Rehearsal, on
from tests.tickets.stories import told

BY_PRIORITY = "solution: {1: 4h, 2: 8h, 3: 24h, 4: 72h}"
OFFICE_HOURS = {"calendar: 7x24": "calendar: 5x8", "warn_at_shares: [0.75]": "warn_at_shares: [0.5, 0.75]"}
TEN_MINUTES_TO_REPLY = {BY_PRIORITY: f"next_response: 10m\n    {BY_PRIORITY}"}
TWO_HOURS = {BY_PRIORITY: "solution: 2h"}
QUICKER_FOR_SALES = {
    "levels:\n": "levels:\n  - {name: 销售, when: {category: 销售}, first_response: 1h, solution: 2h}\n"
}
ADVICE_HAS_NO_END = {"levels:\n": "levels:\n  - {name: 咨询, when: {category: 咨询}, first_response: 1h}\n"}


@pytest.fixture
def office(desk_under: Callable[..., Desk], tmp_path: Path) -> Callable[..., Rehearsal]:
    """A desk with office hours that warns at half and at three quarters; the argument says what else is other."""
    return lambda changes=None: Rehearsal(desk_under(OFFICE_HOURS | (changes or {})), tmp_path / "policy.yaml")


@pytest.fixture
def desk(office: Callable[..., Rehearsal]) -> Rehearsal:
    return office()


def test_two_warnings_of_the_same_day_are_both_told(desk: Rehearsal) -> None:
    # Zammad #4348, #4432: one notice of a kind on a calendar day, so that what happens a second time is swallowed.
    desk.opened("02 09:00", priority=1)
    for moment in ("02 10:59", "02 11:00", "02 12:00"):
        desk.fire(moment)
    assert desk.shares() == [0.5, 0.75]


def test_a_warning_comes_in_business_time_and_not_at_midnight_or_on_a_weekend(desk: Rehearsal) -> None:
    # Zammad #2157, misc/system-notifications.rst: reminders are sent at midnight, on Saturdays and Sundays too.
    desk.opened("06 16:30", priority=1)
    desk.fire("07 00:00")
    desk.fire("08 12:00")
    desk.fire("09 08:59")
    assert (desk.shares(), desk.told("sla.breached", target="solution")) == ([], [])
    desk.fire("09 09:00")
    assert desk.shares() == [0.5]


def test_a_shorter_next_response_does_not_overrule_the_first_one(office: Callable[..., Rehearsal]) -> None:
    # Zammad #5177: with an update time below the first response time, the latter means nothing.
    desk = office(TEN_MINUTES_TO_REPLY)
    number = desk.opened("02 09:00")
    shown = desk.call("02 09:05", "comment_ticket", actor="E7", number=number, body="在吗？")
    assert shown["due_next_response_at"] is None
    assert shown["due_next_at"] == shown["due_response_at"] == on("02 10:00")
    desk.fire("02 10:01")
    assert [data["target"] for data in desk.told("sla.breached")] == ["first_response"]


def test_a_target_that_a_ticket_has_no_more_is_neither_warned_of_nor_missed(office: Callable[..., Rehearsal]) -> None:
    # Zammad #4353: tickets whose service level was taken away stayed escalated, and went on notifying.
    desk = office(ADVICE_HAS_NO_END)
    number = desk.opened("02 09:00", priority=1)
    desk.call("02 09:05", "respond_ticket", number=number)
    left_over = desk.armed()
    assert desk.call("02 09:10", "change_ticket", number=number, category="咨询")["due_next_at"] is None
    desk.fire("05 12:00", [*left_over, *desk.armed("05 12:00")])
    assert [desk.told(kind, target="solution") for kind in ("sla.warned", "sla.breached", "sla.met")] == [[], [], []]


def test_a_target_that_comes_back_is_counted_from_then_on_and_warns_of_nothing_twice(
    office: Callable[..., Rehearsal],
) -> None:
    desk = office(ADVICE_HAS_NO_END)
    number = desk.opened("02 09:00", priority=1)
    desk.fire("02 11:00")
    desk.call("02 11:10", "change_ticket", number=number, category="咨询")
    shown = desk.call("02 11:20", "change_ticket", number=number, category="硬件")
    assert shown["due_solution_at"] == on("02 16:50")
    desk.fire("02 17:00")
    assert (desk.shares(), len(desk.told("sla.breached", target="solution"))) == ([0.5, 0.75], 1)
    # What was missed stays missed, whatever becomes of the target.
    desk.call("02 17:10", "change_ticket", number=number, category="咨询")
    assert desk.call("02 17:15", "change_ticket", number=number, category="硬件")["due_solution_at"] == on("02 16:50")


def test_a_target_that_the_policy_has_no_more_ends_when_the_change_is_applied(desk: Rehearsal) -> None:
    # Zammad #4353, as an operator meets it: the target is taken out of the file, and tickets are open.
    number = desk.opened("02 09:00", priority=1)
    left_over = desk.armed()
    [move] = desk.apply("02 09:10", desk.policy(BY_PRIORITY, ""), number)
    assert (move.before.target, move.after.state, move.misses) == ("solution", ClockState.ENDED, False)
    desk.fire("05 12:00", [*left_over, *desk.armed("05 12:00")])
    assert [desk.told(kind, target="solution") for kind in ("sla.warned", "sla.breached", "sla.met")] == [[], [], []]
    states = {one["target"]: one["state"] for one in desk.call("05 12:05", "explain_sla", number=number)["clocks"]}
    assert states["solution"] == ClockState.ENDED
    assert desk.call("05 12:05", "get_ticket", number=number)["due_solution_at"] is None


def test_a_warning_that_the_policy_has_no_more_is_not_told_and_a_new_one_is(desk: Rehearsal) -> None:
    number = desk.opened("02 09:00", priority=1)
    policy = desk.policy("warn_at_shares: [0.5, 0.75]", "warn_at_shares: [0.7, 0.9]")
    assert desk.apply("02 09:10", policy, number) == []
    for timer in desk.armed("02 14:10"):
        if timer.kind == "sla_warning":
            with desk.work("02 14:10") as work:
                store = TicketStore(work)
                clock_fell_due(store, policy, timer.payload, fired(store))
    assert desk.shares() == [0.7, 0.9]


def test_another_group_may_mean_another_service_level(office: Callable[..., Rehearsal]) -> None:
    desk = office({"levels:\n": "levels:\n  - {name: 网络, when: {group: 网络组}, first_response: 1h, solution: 2h}\n"})
    number = desk.opened("02 09:00", priority=1)
    assert desk.call("02 09:05", "change_ticket", number=number, group="网络组")["due_solution_at"] == on("02 11:00")


def test_another_calendar_moves_the_tickets_that_are_open(desk: Rehearsal) -> None:
    # Zammad #534: after a change of the calendar, what was reckoned before stayed as it was.
    number = desk.opened("02 17:00", priority=1)
    hours = {"mon-fri": [["08:30", "12:00"], ["13:30", "18:00"]]}
    stocktaking = {"timezone": "Asia/Shanghai", "week": hours, "closed": {"2026-03-03": "盘点"}}
    policy = desk.policy(calendars={"5x8": stocktaking})
    assert desk.call("02 17:05", "get_ticket", number=number)["due_solution_at"] == on("03 11:30")
    desk.apply("02 17:10", policy, number)
    assert desk.call("02 17:15", "get_ticket", number=number)["due_solution_at"] == on("04 11:30")
    [armed] = [one.due_at for one in desk.armed() if one.key == f"{number}/solution/1"]
    assert armed == on("04 11:30")


def test_what_another_target_would_do_to_every_ticket_is_told_before_it_is_done(desk: Rehearsal) -> None:
    # Zammad, manage/slas.rst: changing one "may cause performance issues"; what it did is seen afterwards.
    numbers = [desk.opened(f"02 {9 + minute // 60:02}:{minute % 60:02}") for minute in range(0, 120, 10)]
    shorter = desk.policy(BY_PRIORITY, "solution: 1h")
    state = "select (select jsonb_agg(clock) from clock), (select jsonb_agg(timer) from eventkit.timer timer)"
    before, events = desk.desk.rows(state), len(told(desk.desk))
    with desk.work("02 10:55") as work:
        store = TicketStore(work)
        rows = [row for number in store.open_numbers("", 100) if (row := store.tickets.get(number)) is not None]
        moves = [
            move
            for row in rows
            for move in change_plan.moves_of(shorter, row, clocks_of(store, shorter, row), work.now)
        ]
    assert [move.number for move in moves] == numbers
    # Those of 09:00 to 09:50 would be past an hour at 10:55.
    assert [move.misses for move in moves] == [True] * 6 + [False] * 6
    assert (desk.desk.rows(state), len(told(desk.desk))) == (before, events)


def test_a_ticket_that_was_merged_is_never_missed(desk: Rehearsal) -> None:
    # Zammad #904: a merged ticket goes on and escalates.
    number, into = desk.opened("02 09:00", priority=1), desk.opened("02 09:05", priority=1)
    left_over = [one for one in desk.armed() if one.subject == number]
    desk.call("02 09:10", "merge_ticket", number=number, into=into)
    desk.fire("03 12:00", [*left_over, *desk.armed("03 12:00")])
    assert {data["number"] for data in (*desk.told("sla.breached"), *desk.told("sla.warned"))} == {into}
    assert desk.call("03 12:00", "get_ticket", number=number)["due_next_at"] is None


def test_what_is_missed_is_seen_first_and_stays_in_sight(desk: Rehearsal) -> None:
    # Zammad #3523: in 4.0 the overview of escalated tickets was empty.
    calm, missed = desk.opened("02 09:00", priority=4), desk.opened("02 09:05", priority=1)
    desk.call("02 09:10", "respond_ticket", number=calm)
    desk.call("02 09:10", "respond_ticket", number=missed)
    desk.fire("02 14:59")
    desk.call("03 09:00", "change_ticket", number=missed, state="awaiting_user")
    desk.call("03 09:30", "change_ticket", number=missed, state="in_progress")
    for listed in ({"view": "due_soon"}, {"sort": "due", "limit": 1}):
        found = desk.call("06 12:00", "list_tickets", **listed)["items"]
        assert [one["number"] for one in found] == [missed]


def test_a_second_customer_mail_does_not_move_the_due_moment_of_the_update(office: Callable[..., Rehearsal]) -> None:
    # Zammad's own test suite: the second word of a requester moves nothing.
    desk = office(TEN_MINUTES_TO_REPLY)
    person = PersonChanged(employee_number="E7", version=1, name="小王", email="e7@x.invalid")
    desk.receive("02 08:00", reported(person, "E7", time=on("02 08:00")))
    number = desk.opened("02 09:00")
    desk.call("02 09:05", "respond_ticket", number=number)
    for time, body in (("09:10", "还是不行"), ("09:15", "在吗？")):
        mail = TicketUpdateRequested(number=number, comment=body, mail_from="e7@x.invalid")
        desk.receive(f"02 {time}", reported(mail, number, source="/liaison/mail", time=on(f"02 {time}")))
        assert desk.call("02 09:16", "get_ticket", number=number)["due_next_response_at"] == on("02 09:20")
    assert len(desk.told("ticket.commented")) == 2


def test_nothing_is_told_as_missed_while_the_desk_waits_for_the_requester(desk: Rehearsal) -> None:
    # GLPI #7946: the notice that a service level has expired comes while the ticket is pending.
    number = desk.opened("02 09:00", priority=1)
    left_over = desk.armed()
    desk.call("02 09:30", "change_ticket", number=number, state="awaiting_user")
    desk.fire("06 12:00", [*left_over, *desk.armed("06 12:00")])
    assert (desk.shares(), desk.told("sla.breached", target="solution")) == ([], [])


def test_one_event_is_told_once_also_when_it_comes_up_twice(desk: Rehearsal) -> None:
    # GLPI, escalade #213: two notices of one escalation.
    desk.opened("02 09:00", priority=1)
    for until in ("02 09:14", "02 13:30", "02 14:30"):
        due = desk.armed(until)
        desk.fire(until, due)
        desk.fire("03 12:00", due)
    found = [(one["target"], one.get("share")) for kind in ("sla.warned", "sla.breached") for one in desk.told(kind)]
    assert sorted(found, key=str) == sorted(
        [(target, share) for target in ("first_response", "solution") for share in (0.5, 0.75, None)], key=str
    )


def test_a_chain_of_levels_is_told_level_by_level_and_never_twice(office: Callable[..., Rehearsal]) -> None:
    # GLPI's own test suite: 120 minutes, levels 60 and 30 minutes before the end, looked at after 61 and 91 minutes.
    desk = office(TWO_HOURS)
    desk.opened("02 09:00")
    seen = []
    for moment in ("02 09:59", "02 10:01", "02 10:02", "02 10:31", "02 10:32"):
        desk.fire(moment)
        seen.append(desk.shares())
    assert seen == [[], [0.5], [0.5], [0.5, 0.75], [0.5, 0.75]]


def test_another_service_level_moves_the_due_moment_and_its_thresholds_of_one_ticket_only(
    office: Callable[..., Rehearsal],
) -> None:
    # GLPI's own test suite: four hours become two after an hour; the old level is gone, other tickets are untouched.
    desk = office(QUICKER_FOR_SALES)
    number, other = desk.opened("02 08:30", priority=1), desk.opened("02 08:30", priority=1)

    def due(of: str) -> list[str]:
        found = [one.due_at.astimezone(CHINA) for one in desk.armed() if one.key.startswith(f"{of}/solution/")]
        return [f"{moment:%H:%M}" for moment in found]

    assert due(number) == due(other) == ["10:30", "11:30", "14:00"]
    changed = desk.call("02 09:15", "change_ticket", number=number, category="销售")
    assert changed["due_solution_at"] == on("02 10:30")
    assert due(number) == ["09:30", "10:00", "10:30"]
    assert due(other) == ["10:30", "11:30", "14:00"]


def test_a_goal_that_is_exceeded_when_it_is_shortened_is_missed_at_once(desk: Rehearsal) -> None:
    # iTop: the threshold stays where it was, so that a late raise of the priority is told at the old time.
    number = desk.opened("02 09:00", priority=3)
    desk.call("02 09:05", "respond_ticket", number=number)
    desk.call("02 17:00", "change_ticket", number=number, priority=1)
    desk.fire("02 17:00")
    [missed] = desk.told("sla.breached", target="solution")
    assert datetime.fromisoformat(missed["due_at"]) == on("02 14:30")
    desk.fire("13 12:00")
    assert (len(desk.told("sla.breached", target="solution")), desk.shares()) == (1, [])


def test_a_goal_that_is_exceeded_when_it_is_shortened_in_a_pause_is_missed_when_the_pause_ends(desk: Rehearsal) -> None:
    # iTop: a ticket that was paused in between is never escalated at all.
    number = desk.opened("02 09:00", priority=3)
    desk.call("02 16:00", "change_ticket", number=number, state="awaiting_user")
    desk.call("02 16:30", "change_ticket", number=number, priority=1)
    desk.fire("02 17:00")
    assert desk.told("sla.breached", target="solution") == []
    desk.call("02 17:00", "change_ticket", number=number, state="in_progress")
    desk.fire("02 17:00")
    [missed] = desk.told("sla.breached", target="solution")
    assert datetime.fromisoformat(missed["due_at"]) == on("02 14:30")


@pytest.mark.parametrize(("asks", "level"), [("", 2), (", auto: true", 3)])
def test_only_what_asks_for_it_is_escalated(office: Callable[..., Rehearsal], asks: str, level: int) -> None:
    # osTicket: `flags && FLAG_ESCALATE` is true for any flag, so that everything escalates.
    desk = office({"default_group": f"support:\n  2: {{target: 1h{asks}}}\n  3: {{target: 8h}}\ndefault_group"})
    number = desk.opened("02 09:00")
    desk.fire("02 10:01")
    # What is missed has its effect next.
    desk.fire("02 10:01")
    assert len(desk.told("sla.breached", target="internal")) == 1
    assert desk.call("02 10:02", "get_ticket", number=number)["support_level"] == level
    assert len(desk.told("ticket.escalated")) == level - 2


def test_a_warning_and_a_miss_leave_the_priority_alone(desk: Rehearsal) -> None:
    # django-helpdesk: `--notify-only` notifies, and lowers the priority all the same.
    number = desk.opened("02 09:00", priority=2)
    desk.fire("06 12:00")
    assert (desk.shares(), len(desk.told("sla.breached"))) == ([0.5, 0.75], 2)
    assert desk.call("06 12:00", "get_ticket", number=number)["priority"] == 2
    assert {one["field"] for one in desk.call("06 12:00", "ticket_changes", number=number)["items"]} <= {
        "state",
        "group",
        "assignee",
    }


def test_a_ticket_that_is_resolved_out_of_a_pause_has_not_worked_through_it(desk: Rehearsal) -> None:
    # Frappe PR 3776: paused and then resolved in one step, the hold counts for nothing; the error was one of 42 days.
    number = desk.opened("02 09:00", priority=1)
    desk.call("02 09:30", "change_ticket", number=number, state="awaiting_user")
    desk.call("30 09:30", "resolve_ticket", number=number, solution="换了网线")
    [solution] = [
        one for one in desk.call("31 09:00", "explain_sla", number=number)["clocks"] if one["target"] == "solution"
    ]
    assert (solution["state"], solution["elapsed_s"]) == ("met", 30 * 60)
    assert desk.told("sla.breached", target="solution") == []


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/Los_Angeles"])
def test_a_deadline_is_the_same_moment_in_every_zone_and_says_so(desk: Rehearsal, zone: str) -> None:
    # Frappe PR 3776: deadlines without a zone were read in the agent's, and were two and a half hours off.
    number = desk.opened("02 09:00", priority=1)
    with desk.desk.engine.begin() as connection:
        connection.execute(text("select set_config('TimeZone', :zone, true)"), {"zone": zone})
        due_at = connection.execute(text("select due_solution_at from ticket where number = :n"), {"n": number})
        assert due_at.scalar_one() == on("02 14:30")
    desk.fire("02 14:31")
    [missed] = desk.told("sla.breached", target="solution")
    assert datetime.fromisoformat(missed["due_at"]).utcoffset() == timedelta(0)


def test_the_next_response_ends_with_the_solution(office: Callable[..., Rehearsal]) -> None:
    # Chatwoot #10178: the next response runs on after the conversation was resolved, and is missed.
    desk = office(TEN_MINUTES_TO_REPLY)
    number = desk.opened("02 09:00")
    desk.call("02 09:05", "respond_ticket", number=number)
    desk.call("02 09:10", "comment_ticket", actor="E7", number=number, body="还是不行")
    left_over = desk.armed()
    desk.call("02 09:15", "resolve_ticket", number=number, solution="重装了驱动")
    desk.fire("02 12:00", [*left_over, *desk.armed("02 12:00")])
    assert (desk.shares("next_response"), desk.told("sla.breached")) == ([], [])
    assert len(desk.told("sla.met", target="next_response")) == 1


def test_by_how_much_a_target_was_missed_stays_what_it_was_at_the_solution(desk: Rehearsal) -> None:
    # Chatwoot PR 15024: the miss of a resolved conversation grows from day to day.
    number = desk.opened("02 09:00", priority=1)
    desk.fire("02 15:00")
    desk.call("02 16:00", "resolve_ticket", number=number, solution="重启")
    for moment in ("02 17:00", "27 17:00"):
        explained = desk.call(moment, "explain_sla", number=number)["clocks"]
        [solution] = [one for one in explained if one["target"] == "solution"]
        assert (solution["state"], solution["remaining_s"]) == ("missed", -90 * 60)
