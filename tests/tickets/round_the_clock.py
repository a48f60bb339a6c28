"""A desk around the clock, played with the rules alone: three crews of four engineers who take turns, for weeks.

An engineer works on one ticket at a time and holds up to five. At the end of a duty the next crew takes over.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

from services.tickets.duty.assignment import Candidate, Wanted
from services.tickets.duty.roster import Post, Roster, Shift, Span
from services.tickets.duty.waiting import drawn, evened_out, queue_order, to_hand_over

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
POST = Post("服务台", 2)
PEOPLE = [f"E{number:02}" for number in range(1, 13)]
CAPACITY = 5
DUTY = timedelta(hours=8)


def roster(duties: int) -> Roster:
    """Three crews, eight hours each; every day the crews move on by one, so that all have as many nights."""
    crews = [PEOPLE[0:4], PEOPLE[4:8], PEOPLE[8:12]]
    return Roster(
        [
            Shift(POST, person, Span(BEGIN + number * DUTY, BEGIN + (number + 1) * DUTY))
            for number in range(duties)
            for person in crews[(number + number // 3) % 3]
        ]
    )


@dataclass
class Desk:
    """What the desk is like at one moment. given: whom each ticket was first given to.

    given_count: tickets that each person was given since the beginning, also from others' hands.
    apart: how often the loads of those on duty were how far apart, while one of them had room.
    """

    even_out: bool
    random: Random
    duties: int = 63
    held: dict[str, list[Wanted]] = field(default_factory=lambda: {person: [] for person in PEOPLE})
    waiting: list[Wanted] = field(default_factory=list)
    given: dict[str, str] = field(default_factory=dict)
    given_count: Counter[str] = field(default_factory=Counter)
    solved: list[str] = field(default_factory=list)
    apart: Counter[int] = field(default_factory=Counter)
    moves: int = 0
    waited: int = 0

    def __post_init__(self) -> None:
        self.roster = roster(self.duties)
        self._numbers = count()
        self._work: dict[str, int] = {}
        self._calendar: list[tuple[datetime, int, str, str]] = []
        self._on_duty: set[str] = set()

    def play(self, tickets: int) -> Desk:
        """Let tickets come, by day three times as many as by night, until all are solved."""
        for moment in self._arrivals(tickets):
            self._plan(moment, "comes", "")
        for number in range(self.duties):
            self._plan(BEGIN + number * DUTY, "duty", "")
        while self._calendar and len(self.solved) < tickets:
            now, _, what, who = heapq.heappop(self._calendar)
            getattr(self, f"_{what}")(now, who)
            self._settle(now)
        return self

    def loads(self) -> list[int]:
        """Return how many tickets each of those on duty holds."""
        return [len(self.held[person]) for person in self._on_duty]

    def _arrivals(self, tickets: int) -> Iterator[datetime]:
        """Yield moments, spread over all duties, so that every crew has its full share of days and nights."""
        days = self.duties // 3
        for place in sorted(self.random.random() for _ in range(tickets)):
            day, share = divmod(place * days, 1)
            # Three quarters of a day's tickets come from 08:00 to 20:00.
            hour = 8 + share * 16 if share < 0.75 else (20 + (share - 0.75) * 48) % 24
            yield BEGIN + timedelta(days=int(day), hours=hour)

    def _plan(self, moment: datetime, what: str, who: str) -> None:
        heapq.heappush(self._calendar, (moment, next(self._numbers), what, who))

    def _comes(self, now: datetime, _: str) -> None:
        number = f"T{next(self._numbers):05}"
        priority = self.random.choice((1, 2, 3, 3, 3, 4))
        self.waiting.append(Wanted(number, POST.group, priority, now, now + timedelta(hours=4 * priority)))

    def _duty(self, now: datetime, _: str) -> None:
        self._on_duty = {duty.person for duty in self.roster.on_duty(POST, now)}
        for one in self._candidates():
            over = to_hand_over(one, self.held[one.person], now, at_end_of_duty=True)
            self.waiting += [replace(ticket, begun=False) for ticket in over]
            self.held[one.person] = [ticket for ticket in self.held[one.person] if one.on_duty]
            self._work[one.person] = self._work.get(one.person, 0) + 1

    def _ready(self, now: datetime, who: str) -> None:
        person, work = who.split("/")
        if self._work[person] == int(work):
            [done] = [ticket for ticket in self.held[person] if ticket.begun]
            self.held[person].remove(done)
            self.solved.append(done.ticket_id)

    def _settle(self, now: datetime) -> None:
        before = len(self.waiting)
        tickets = {ticket.ticket_id: ticket for ticket in self.waiting}
        for answer in drawn(self.waiting, self._candidates(), now):
            assert answer.person
            self.held[answer.person].append(tickets.pop(answer.ticket_id))
            self.given.setdefault(answer.ticket_id, answer.person)
            self.given_count[answer.person] += 1
        self.waiting = list(tickets.values())
        self.waited += before == len(self.waiting) > 0
        if self.even_out:
            self._even_out(now)
        self._begin(now)
        if min(self.loads()) < CAPACITY:
            self.apart[max(self.loads()) - min(self.loads())] += 1
            assert self.waiting == []

    def _even_out(self, now: datetime) -> None:
        for move in evened_out(self.held, self._candidates(), now):
            assert move.decided.person
            [ticket] = [one for one in self.held[move.giver] if one.ticket_id == move.decided.ticket_id]
            self.held[move.giver].remove(ticket)
            self.held[move.decided.person].append(ticket)
            self.moves += 1

    def _begin(self, now: datetime) -> None:
        for person in sorted(self._on_duty):
            own = self.held[person]
            if own and not any(ticket.begun for ticket in own):
                ticket = min(own, key=queue_order)
                own[own.index(ticket)] = replace(ticket, begun=True)
                self._work[person] += 1
                takes = timedelta(minutes=self.random.lognormvariate(1.7, 0.8))
                self._plan(now + takes, "ready", f"{person}/{self._work[person]}")

    def _candidates(self) -> list[Candidate]:
        return [
            Candidate(
                person,
                (POST.group,),
                len(self.held[person]),
                CAPACITY,
                on_duty=person in self._on_duty,
                given_count=self.given_count[person],
            )
            for person in PEOPLE
        ]
