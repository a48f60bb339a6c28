"""A desk around the clock: three crews of four engineers who take turns, for weeks, on time that is not waited for.

What is played is the service's own: `place`, `freed`, `turn`, `draw`, `even_out` and the timers that they arm, over a
store in memory. An engineer works on one ticket at a time and holds up to five; what they hold waits until they are
back.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, cast

from contracts.words import TicketState
from services.tickets.business_time.files import load_calendars
from services.tickets.duty import usecases
from services.tickets.duty.assignment import Assignment, Candidate
from services.tickets.duty.roster import Post, Roster, Shift, Span
from services.tickets.opening import FRESH
from services.tickets.sla.policy import Policy
from services.tickets.sla.policy_file import read_policy
from services.tickets.tables import ticket
from services.tickets.telling import Change, Row, Via
from tests.policies import AROUND_THE_CLOCK

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
POST = Post("服务台", usecases.SPECIALIST)
PEOPLE = [f"E{number:02}" for number in range(1, 13)]
CAPACITY = 5
DUTY = timedelta(hours=8)
#: What the timers of the duty do.
EFFECTS: dict[str, Callable[..., None]] = {
    "draw": usecases.draw,
    "draw_again": usecases.draw,
    "even_out": usecases.even_out,
    "duty_turn": lambda store, policy, group, change: usecases.turn(store, policy, group),
}
#: Duties in which tickets come, and after them some in which the last ones are solved.
DUTIES, LAST_DUTIES = 63, 9


def policy(folder: Path, *, even_out: bool) -> Policy:
    """Return the policy of this desk."""
    assignment = f"assignment: {{capacity: {CAPACITY}, even_out: {str(even_out).lower()}}}\n"
    path = folder / "round_the_clock.yaml"
    path.write_text(assignment + AROUND_THE_CLOCK.read_text())
    return read_policy(path, load_calendars())


def steady_crews(number: int) -> list[str]:
    """Return the crew of a duty: three in turns; every day they move on by one, so that all have as many nights."""
    place = (number + number // 3) % 3
    return PEOPLE[place * 4 : place * 4 + 4]


def mixed_crews(number: int) -> list[str]:
    """Return the crew of a duty, with other people each day; everybody works once a day."""
    day, place = divmod(number, 3)
    return Random(day).sample(PEOPLE, 12)[place * 4 : place * 4 + 4]


def roster(crew: Callable[[int], list[str]]) -> Roster:
    """Return duties of eight hours, around the clock."""
    return Roster(
        [
            Shift(POST, person, Span(BEGIN + number * DUTY, BEGIN + (number + 1) * DUTY))
            for number in range(DUTIES + LAST_DUTIES)
            for person in crew(number)
        ]
    )


class Memory:
    """What `duty.usecases` ask of a TicketStore, its `work`, `tickets` and `duty`, kept in memory."""

    def __init__(self, roster: Roster) -> None:
        self.now = BEGIN
        self._roster = roster
        self.work = self.tickets = self.duty = self
        self.open: dict[str, Row] = {}
        self.armed: dict[tuple[str, str], datetime] = {}
        self.on_duty: set[str] = set()
        self.first_given: dict[str, str] = {}
        self.moves = 0
        self._given: Counter[tuple[str, Any]] = Counter()
        self._given_at: dict[str, datetime] = {}

    def arm(self, kind: str, *, key: str, due_at: datetime, **_: Any) -> None:
        self.armed[kind, key] = due_at

    def emit(self, *_: Any, **__: Any) -> None:
        """Nobody is told."""

    def change(self, row: Row, **values: Any) -> Row:
        self.open[row["number"]] = {**row, **values}
        return self.open[row["number"]]

    def note(self, what: Assignment | str, moment: datetime, *_: Any, **__: Any) -> None:
        if isinstance(what, Assignment) and what.person:
            self._given[what.person, moment.date()] += 1
            self._given_at[what.person] = moment
            self.moves += what.ticket_id in self.first_given
            self.first_given.setdefault(what.ticket_id, what.person)

    def moved(self, before: str | None, after: str | None) -> None:
        """What somebody holds is counted from the tickets."""

    def expect(self, people: Iterable[str]) -> None:
        """Nobody else gives anything at the same moment."""

    def joined_queue(self, group: str) -> None:
        """Who waits is seen from the tickets."""

    def has_queue(self, group: str) -> bool:
        return any(row["waits"] for row in self.open.values())

    def waiting_in(self, groups: Iterable[str]) -> list[Row]:
        return [row for row in self.open.values() if row["waits"]]

    def unbegun_in(self, group: str) -> list[Row]:
        return [row for row in self.open.values() if row["assignee"] and row["state"] == TicketState.NEW]

    def roster(self, group: str) -> Roster:
        return self._roster

    def held_by(self, person: str) -> list[Row]:
        return [row for row in self.open.values() if row["assignee"] == person]

    def candidates(self, group: str, level: int, moment: datetime, default_capacity: int) -> list[Candidate]:
        held = Counter(row["assignee"] for row in self.open.values())
        return [
            Candidate(
                person,
                (group,),
                held[person],
                default_capacity,
                on_duty=person in self.on_duty,
                given_count=self._given[person, moment.date()],
                given_at=self._given_at.get(person),
            )
            for person in PEOPLE
        ]


class Desk:
    """What becomes of the desk. apart: how often the loads of those on duty were how far apart, while one had room."""

    def __init__(self, policy: Policy, random: Random, crew: Callable[[int], list[str]] = steady_crews) -> None:
        self.roster = roster(crew)
        self.memory = Memory(self.roster)
        self.store = cast(Any, self.memory)
        self.policy = policy
        self.random = random
        self.solved: list[str] = []
        self.apart: Counter[int] = Counter()
        self.waited = 0
        self._numbers = count()
        self._work: Counter[str] = Counter()
        self._calendar: list[tuple[datetime, int, str, str]] = []

    def play(self, tickets: int) -> Desk:
        """Let tickets come, by day three times as many as by night, until all are solved."""
        for moment in self._arrivals(tickets):
            self._plan(moment, "comes", "")
        for number in range(DUTIES + LAST_DUTIES):
            self._plan(BEGIN + number * DUTY, "duty", "")
        usecases.expect_turn(self.store, POST.group)
        while self._calendar and len(self.solved) < tickets:
            now, _, what, who = heapq.heappop(self._calendar)
            self._fire(until=now - timedelta(microseconds=1))
            self.memory.now = now
            getattr(self, f"_{what}")(Change(now, via=Via.TIMER), who)
            self._fire(until=now)
            self._look()
        return self

    def _fire(self, until: datetime) -> None:
        """Fire what falls due, each at its moment, as the service does."""
        armed = self.memory.armed
        while armed and (due_at := min(armed.values())) <= until:
            kind, group = next(one for one, at in armed.items() if at == due_at)
            del armed[kind, group]
            self.memory.now = max(due_at, self.memory.now)
            EFFECTS[kind](self.store, self.policy, group, Change(self.memory.now, via=Via.TIMER))
            self._begin()

    def _look(self) -> None:
        loads = [len(self.memory.held_by(person)) for person in self.memory.on_duty]
        if min(loads) < CAPACITY:
            assert not self.memory.has_queue(POST.group), "somebody has room, and a ticket waits"
            self.apart[max(loads) - min(loads)] += 1

    def _arrivals(self, tickets: int) -> Iterator[datetime]:
        """Yield moments, spread over all duties, so that every crew has its full share of days and nights."""
        days = DUTIES // 3
        for place in sorted(self.random.random() for _ in range(tickets)):
            day, share = divmod(place * days, 1)
            # Three quarters of a day's tickets come from 08:00 to 20:00.
            hour = 8 + share * 16 if share < 0.75 else (20 + (share - 0.75) * 48) % 24
            yield BEGIN + timedelta(days=int(day), hours=hour)

    def _plan(self, moment: datetime, what: str, who: str) -> None:
        heapq.heappush(self._calendar, (moment, next(self._numbers), what, who))

    def _comes(self, change: Change, _: str) -> None:
        priority = self.random.choice((1, 2, 3, 3, 3, 4))
        fresh = {
            "number": f"T{next(self._numbers):05}",
            "state": TicketState.NEW,
            "group_name": POST.group,
            "priority": priority,
            "opened_at": change.moment,
            "changed_at": change.moment,
            "due_solution_at": change.moment + timedelta(hours=4 * priority),
        }
        row = self.memory.change(dict.fromkeys(column.name for column in ticket.columns) | FRESH | fresh)
        self.waited += usecases.place(self.store, self.policy, row, change)["waits"]
        self._begin()

    def _duty(self, change: Change, _: str) -> None:
        self.memory.on_duty = {duty.person for duty in self.roster.on_duty(POST, change.moment)}
        for person in PEOPLE:
            self._work[person] += 1
            for row in self.memory.held_by(person):
                if person in self.memory.on_duty and row["state"] != TicketState.NEW:
                    self._goes_on(row)
        self._begin()

    def _ready(self, change: Change, who: str) -> None:
        person, number, work = who.split("/")
        if self._work[person] == int(work):
            del self.memory.open[number]
            self.solved.append(number)
            usecases.freed(self.store, self.policy, POST.group)
            self._begin()

    def _begin(self) -> None:
        """Everybody on duty who has begun nothing begins what is most urgent."""
        for person in sorted(self.memory.on_duty):
            own = self.memory.held_by(person)
            if own and all(row["state"] == TicketState.NEW for row in own):
                row = min(own, key=lambda one: (one["priority"], one["due_solution_at"], one["number"]))
                self._goes_on(self.memory.change(row, state=TicketState.IN_PROGRESS))

    def _goes_on(self, row: Row) -> None:
        person = row["assignee"]
        self._work[person] += 1
        takes = timedelta(minutes=self.random.lognormvariate(1.7, 0.8))
        self._plan(self.memory.now + takes, "ready", f"{person}/{row['number']}/{self._work[person]}")
