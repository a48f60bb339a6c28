"""Tickets that wait for somebody: their order, who draws which, and what is handed over to others (T3). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from contracts.gateway import AwaySpan
from services.tickets.duty.assignment import Assignment, Candidate, Wanted, assign, bar_to, skill_is_lifted

#: Open tickets of two people of a group may differ by this much while one of them has room.
APART = 2


@dataclass(frozen=True, slots=True)
class Move:
    """A ticket that goes to another because its holder has far more. decided: to whom, and why."""

    giver: str
    decided: Assignment


def queue_order(wanted: Wanted) -> tuple[int, datetime, datetime, str]:
    """Return the key by which tickets wait: priority, then due moment (none: last), then age."""
    return wanted.priority, wanted.due_at or datetime.max.replace(tzinfo=UTC), wanted.opened_at, wanted.ticket_id


def drawn(waiting: Iterable[Wanted], candidates: Sequence[Candidate], moment: datetime) -> list[Assignment]:
    """Return who draws what, in the queue's order, as long as somebody has room; what stays waiting is not named.

    Asked when a ticket comes (it and the queue together, so that none overtakes), when somebody frees up, comes on
    duty or is back. A ticket that nobody with room may take holds up none behind it.
    """
    people: Sequence[Candidate] = candidates
    given: list[Assignment] = []
    full: set[str] = set()  # groups of which nobody can take anything more: what waits there need not be looked at
    for wanted in sorted(waiting, key=queue_order):
        if wanted.group in full:
            continue
        answer = assign(wanted, people, moment)
        if answer.person:
            given.append(answer)
            people = after_giving(answer, people, moment)
        elif not any(_can_take_any(one, wanted.group, moment) for one in people):
            full.add(wanted.group)
    return given


def after_giving(decided: Assignment, people: Sequence[Candidate], moment: datetime) -> list[Candidate]:
    """Return people as they are once one of them has been given a ticket."""
    return [_holding(one, 1, moment) if one.person == decided.person else one for one in people]


def back_at(away: Sequence[AwaySpan], moment: datetime) -> datetime:
    """Return when somebody is back who may be away at a moment: the end of the spans that touch, else the moment."""
    for span in sorted(away, key=lambda one: one.begin_at):
        if span.begin_at <= moment < span.end_at:
            moment = span.end_at
    return moment


def to_hand_over(
    holder: Candidate,
    held: Sequence[Wanted],
    moment: datetime,
    *,
    keep_what_can_wait: bool = False,
) -> list[Wanted]:
    """Return what others should take over, in the queue's order: all that a leaver or somebody away holds.

    keep_what_can_wait: somebody away keeps what is due only after they are back, or never.
    The tickets are given out by `drawn`, together with those that wait; whoever is gone does not get them again.
    """
    is_away = holder.is_away(moment)
    if holder.active and not is_away:
        return []
    back = back_at(holder.away, moment)
    keeps = keep_what_can_wait and holder.active and is_away
    stays = {one.ticket_id for one in held if keeps and (one.due_at is None or one.due_at > back)}
    return sorted((one for one in held if one.ticket_id not in stays), key=queue_order)


def are_apart(candidates: Iterable[Candidate], moment: datetime, *, apart: int = APART) -> bool:
    """Tell whether somebody at work holds more than `apart` tickets more than another who has room."""
    at_work = [one for one in candidates if _is_at_work(one, moment)]
    fewest = min((one.open_count for one in at_work if one.has_room), default=None)
    return fewest is not None and any(one.open_count - fewest > apart for one in at_work)


def evened_out(
    held: Mapping[str, Sequence[Wanted]], candidates: Sequence[Candidate], moment: datetime, *, apart: int = APART
) -> list[Move]:
    """Return moves of tickets that nobody has begun, after which no two are further `apart` while one has room.

    held: the open tickets of each person. Solving times differ, so even the best giving out leaves one person with
    much and another with nothing. What would come last at the one's hands goes. What has begun stays with its holder.
    """
    now = {one.person: one for one in candidates}
    left = {person: sorted(tickets, key=queue_order) for person, tickets in held.items()}
    moves: list[Move] = []
    while move := next(_possible_moves(left, now, moment, apart), None):
        wanted, giver = move
        decided = assign(wanted, list(now.values()), moment)
        # Somebody with room who holds far less than the giver was found.
        assert decided.person
        taker = decided.person
        left[giver].remove(wanted)
        left.setdefault(taker, []).append(wanted)
        now[giver], now[taker] = _holding(now[giver], -1, moment), _holding(now[taker], 1, moment)
        moves.append(Move(giver, decided))
    return moves


def _possible_moves(
    left: Mapping[str, Sequence[Wanted]], now: Mapping[str, Candidate], moment: datetime, apart: int
) -> Iterator[tuple[Wanted, str]]:
    at_work = (one for one in now.values() if _is_at_work(one, moment))
    by_load = sorted(at_work, key=lambda one: (one.open_count, one.person))
    for giver in reversed(by_load):
        for taker in by_load:
            if giver.open_count - taker.open_count <= apart:
                break
            for wanted in reversed(left.get(giver.person, ())):
                asked = not skill_is_lifted(wanted, list(now.values()))
                if not wanted.begun and bar_to(taker, wanted, moment, ask_skill=asked) is None:
                    yield wanted, giver.person


def _can_take_any(one: Candidate, group: str, moment: datetime) -> bool:
    return _is_at_work(one, moment) and one.has_room and group in one.groups


def _is_at_work(one: Candidate, moment: datetime) -> bool:
    return one.active and one.on_duty and not one.is_away(moment)


def _holding(one: Candidate, change: int, moment: datetime) -> Candidate:
    if change < 0:
        return replace(one, open_count=one.open_count + change)
    return replace(one, open_count=one.open_count + 1, given_count=one.given_count + 1, given_at=moment)
