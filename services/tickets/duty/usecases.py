"""Who gets a ticket and keeps it: placing, queues that are drawn from, hand-over, the watch over the roster."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from contracts.tickets import DutyUncovered, TicketAssigned
from services.tickets.duty.assignment import Candidate, Wanted, assign, away_of
from services.tickets.duty.roster import HORIZON, Gap, Span, news
from services.tickets.duty.waiting import after_giving, are_apart, drawn, evened_out, to_hand_over
from services.tickets.rules import FINISHED, is_begun
from services.tickets.sla import usecases as sla
from services.tickets.sla.policy import Policy
from services.tickets.telling import Change, Row, begun, tell

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore

#: How often a queue is looked at while tickets wait (somebody may have come on duty, or be back).
LOOK_AGAIN = timedelta(seconds=60)
#: How often the roster is looked over for gaps.
WATCH_EVERY = timedelta(hours=6)
KEY_USER, SPECIALIST = 1, 2


def place(store: TicketStore, policy: Policy, row: Row, change: Change) -> Row:
    """Give a ticket that nobody is named for to somebody of its group, or let it wait in the group's queue (T3).

    While others wait in that queue it waits behind them, so that none is overtaken.
    """
    group = row["group_name"] or policy.default_group
    # Who may be given it, or loses it, is locked first: what another transaction lets wait meanwhile is seen then.
    store.duty.expect([row["assignee"]] if row["assignee"] else ())
    people = store.duty.candidates(group, row["support_level"], change.moment, policy.assignment.capacity)
    if store.has_queue(group):
        return wait(store, row, group)
    decided = assign(wanted(policy, row, group), people, change.moment)
    store.duty.note(decided, change.moment)
    if decided.person is None:
        return wait(store, row, group)
    # Who was given it need not be who holds least: a skill was wanted, or somebody has come on duty since.
    if are_apart(after_giving(decided, people, change.moment), change.moment):
        loads_changed(store, policy, group)
    return _put(store, row, group_name=group, assignee=decided.person)


def ask_key_users(store: TicketStore, policy: Policy, row: Row, change: Change) -> Row:
    """Give a ticket to a key user of its department, the first level of support (T4); without one it stays as it is."""
    group = row["group_name"] or policy.default_group
    people = store.duty.key_users_of(row["department"], group, change.moment, policy.assignment.capacity)
    decided = assign(replace(wanted(policy, row, group), skill=None), people, change.moment)
    if decided.person is None:
        return row
    store.duty.note(decided, change.moment)
    return _put(store, row, assignee=decided.person, support_level=KEY_USER)


def wait(store: TicketStore, row: Row, group: str) -> Row:
    """Put a ticket into its group's queue, which is drawn from when somebody frees up, and every minute."""
    store.joined_queue(group)
    _look_again(store, group)
    return _put(store, row, group_name=group, assignee=None, waits=True)


def _put(store: TicketStore, row: Row, *, assignee: str | None, waits: bool = False, **values: Any) -> Row:
    """Put a ticket into somebody's hands, or nobody's."""
    if row["state"] not in FINISHED:
        store.duty.moved(row["assignee"], assignee)
    return store.tickets.change(row, assignee=assignee, waits=waits, **values)


def look(store: TicketStore, groups: Iterable[str]) -> None:
    """Have the queues of groups drawn from now; those in which nobody waits need no look."""
    for group in groups:
        if store.has_queue(group):
            store.work.arm("draw", key=group, subject=f"queue {group}", due_at=store.work.now, payload={})


def _look_again(store: TicketStore, group: str) -> None:
    """Have a queue drawn from at the next full minute: one moment for all, since one counted from each is put off.

    It is another timer than that of `look`: who joins the queue must not put off a draw that is due.
    """
    due_at = store.work.now.replace(second=0, microsecond=0) + LOOK_AGAIN
    store.work.arm("draw_again", key=group, subject=f"queue {group}", due_at=due_at, payload={})


def pass_on(store: TicketStore, policy: Policy, row: Row, change: Change, *, reason: str) -> Row:
    """Take a ticket from its holder and give it to another of its group; with nobody there it waits."""
    return handed_over(store, policy, row, place(store, policy, row, change), change, reason=reason)


def assign_as_asked(
    store: TicketStore,
    policy: Policy,
    row: Row,
    group: str | None,
    assignee: str | None,
    change: Change,
    *,
    reason: str,
) -> Row:
    """Put a ticket into the hands that somebody names."""
    if (group, assignee) == (row["group_name"], row["assignee"]):
        return row
    after = _put(store, row, group_name=group, assignee=assignee)
    return handed_over(store, policy, row, after, change, reason=reason)


def hand_over(store: TicketStore, policy: Policy, person: Row, change: Change, *, reason: str) -> None:
    """Hand over what a leaver holds, or what cannot wait until somebody away is back."""
    number = person["employee_number"]
    held = {row["number"]: row for row in store.open_tickets_of(number)}
    tickets = [wanted(policy, row, row["group_name"] or policy.default_group) for row in held.values()]
    holder = Candidate(
        number, person["groups"], len(held), len(held) + 1, active=person["active"], away=away_of(person)
    )
    keep = policy.assignment.keep_what_can_wait
    for one in to_hand_over(holder, tickets, change.moment, keep_what_can_wait=keep):
        row, begins = begun(store, held[one.ticket_id], change)
        pass_on(store, policy, row, begins, reason=reason)


def draw(store: TicketStore, policy: Policy, group: str, change: Change) -> None:
    """Give out what waits in a group's queue, in its order."""
    waiting = {row["number"]: row for row in store.waiting_in([group])}
    for level in sorted({row["support_level"] for row in waiting.values()}):
        people = store.duty.candidates(group, level, change.moment, policy.assignment.capacity)
        queue = [wanted(policy, row, group) for row in waiting.values() if row["support_level"] == level]
        for decided in drawn(queue, people, change.moment):
            store.duty.note(decided, change.moment)
            _give(store, policy, waiting.pop(decided.ticket_id), decided.person, change, reason="drawn from the queue")
    if waiting:
        _look_again(store, group)


def loads_changed(store: TicketStore, policy: Policy, group: str) -> None:
    """Have what nobody has begun evened out at once, where the policy says so."""
    if policy.assignment.even_out:
        store.work.arm("even_out", key=group, subject=f"queue {group}", due_at=store.work.now, payload={})


def freed(store: TicketStore, policy: Policy, group: str) -> None:
    """Somebody of a group has room again: its queue is drawn from, and loads may have come apart."""
    look(store, [group])
    loads_changed(store, policy, group)


def turn(store: TicketStore, policy: Policy, group: str) -> None:
    """Somebody of a group may have come on duty, who can take what waits, or some of what others hold."""
    freed(store, policy, group)
    expect_turn(store, group)


def expect_turn(store: TicketStore, group: str) -> None:
    """Wait for the next turn of a group's roster."""
    if next_at := store.duty.roster(group).next_turn(store.work.now):
        store.work.arm("duty_turn", key=group, subject=f"queue {group}", due_at=next_at, payload={})


def uneven(store: TicketStore, policy: Policy, groups: Collection[str], moment: datetime) -> list[str]:
    """Return the groups of whose people some hold far more than others, at a glance: it is asked after every ticket."""
    loads = store.duty.candidates_at_a_glance(groups, SPECIALIST, moment, policy.assignment.capacity)
    return [group for group, people in loads.items() if are_apart(people, moment)]


def even_out(store: TicketStore, policy: Policy, group: str, change: Change) -> None:
    """Move tickets that nobody has begun, and that were locked for it, from who holds far more to who has room."""
    rows = store.unbegun_in(group)
    if not rows:
        return
    held: dict[str, list[Wanted]] = {}
    for row in rows:
        held.setdefault(row["assignee"], []).append(wanted(policy, row, group))
    people = store.duty.candidates(group, SPECIALIST, change.moment, policy.assignment.capacity)
    by_number = {row["number"]: row for row in rows}
    for move in evened_out(held, people, change.moment):
        store.duty.note(move.decided, change.moment)
        row, taker = by_number[move.decided.ticket_id], move.decided.person
        by_number[row["number"]] = _give(store, policy, row, taker, change, reason="evened out")


def _give(store: TicketStore, policy: Policy, before: Row, person: str | None, change: Change, *, reason: str) -> Row:
    row, change = begun(store, before, change)
    return handed_over(store, policy, before, _put(store, row, assignee=person), change, reason=reason)


def handed_over(store: TicketStore, policy: Policy, before: Row, row: Row, change: Change, *, reason: str) -> Row:
    """Do what a change of hands means: keep it, let clocks follow the group, let others draw, and announce it."""
    if (before["group_name"], before["assignee"]) == (row["group_name"], row["assignee"]):
        return row
    for field, name in (("group", "group_name"), ("assignee", "assignee")):
        if before[name] != row[name]:
            store.note(
                row["number"],
                change,
                field,
                before=before[name],
                after=row[name],
                reason=reason,
            )
    if before["group_name"] != row["group_name"]:
        row = sla.restate(store, policy, row, change)
    if before["group_name"] and before["assignee"] and not change.history:
        freed(store, policy, before["group_name"])
    tell(
        store,
        TicketAssigned,
        row,
        policy,
        change,
        previous_group=before["group_name"],
        previous_assignee=before["assignee"],
        reason=reason,
    )
    return row


def wanted(policy: Policy, row: Row, group: str) -> Wanted:
    """Return a ticket as assignment sees it."""
    return Wanted(
        row["number"],
        group,
        row["priority"],
        row["opened_at"],
        row["due_solution_at"],
        policy.assignment.skill_for(row),
        (row["requester"],) if row["requester"] else (),
        is_begun(row["state"]),
    )


def watch(store: TicketStore, policy: Policy, change: Change) -> list[Gap]:
    """Look for gaps in the rosters of the next 7 days, tell those that are new, and look again later (T13)."""
    now = change.moment
    found: list[Gap] = []
    calendar = policy.duty_calendar
    for group in store.duty.groups_with_roster():
        expect_turn(store, group)
        roster = store.duty.roster(group)
        open_spans = [Span(begin, end) for begin, end in calendar.openings(now, now + HORIZON)]
        found += roster.gaps(now, {post: open_spans for post in roster.posts})
    for gap in news(found, store.duty.known_gaps()):
        fact = DutyUncovered(
            group=gap.post.group,
            level=gap.post.level,
            group_lead=policy.group_leads.get(gap.post.group),
            begin_at=gap.span.begin_at,
            end_at=gap.span.end_at,
            absent=gap.absent,
            goes_on=gap.goes_on,
        )
        store.work.emit(fact, subject=f"duty {gap.post.group}", time=now)
    store.duty.keep_gaps(found)
    if store.duty.groups_with_roster():
        store.work.arm("duty_watch", key="roster", subject="duty", due_at=store.work.now + WATCH_EVERY, payload={})
    return found
