"""Who can hold tickets, the roster, and why each ticket was given to whom."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, and_, any_, delete, insert, or_, select, tuple_

from eventkit.work import Row, Rows, Work, array_of
from services.tickets.duty.assignment import Assignment, Candidate, away_of
from services.tickets.duty.crews import Crew, kept_crews, named_by
from services.tickets.duty.loads import Load, Loads
from services.tickets.duty.roster import Gap, Post, Roster, Shift, Span, Swap, covered, manned
from services.tickets.duty.tables import assignment, gap, shift, swap
from services.tickets.tables import person

#: A group whose last shift ended longer ago than this keeps no roster any more: everybody counts as on duty.
_ROSTER_KEPT = timedelta(days=7)


class DutyStore:
    """What one transaction sees and changes of duty. people: this transaction's view of them."""

    def __init__(self, work: Work, people: Rows) -> None:
        self.work = work
        self._people = people
        self._shifts = work.rows(shift)
        self._swaps = work.rows(swap)
        self._assignments = work.rows(assignment)
        self._crews: dict[str, Crew] = {}
        self._takers: dict[str, set[str]] = {}
        self._key_users: dict[str, list[Row]] = {}
        self._since = work.now - _ROSTER_KEPT
        self._rosters: dict[str, Roster] = {}
        self._loads = Loads(work)
        self.moved = self._loads.moved
        self.expect = self._loads.expect
        self.changed_people: set[str] = set()

    def preload(self, groups: Collection[str], departments: Collection[str] = ()) -> None:
        """Read in few statements who may hold the tickets of groups, their rosters, and the key users of departments.

        What they hold is locked later, all at once: in one order, so that two transactions do not wait for each other.
        """
        self._read(groups)
        if departments:
            self._read_key_users(departments)
        rows = [row for group in groups for row in self._crews[group].people]
        rows += [row for department in departments for row in self._key_users[department]]
        self.expect(row["employee_number"] for row in rows)

    def candidates(self, group: str, level: int, moment: datetime, default_capacity: int) -> list[Candidate]:
        """Return everybody who may ever hold this group's tickets, as they are at a moment.

        They are its engineers, and whoever else its roster has on duty then. Until this transaction ends nobody else
        can give them anything, so that they stay as they are.
        """
        on_duty = self._on_duty(Post(group, level), moment)
        holders = self._holders(group, on_duty)
        return _candidates(holders, self._loads.locked(holders, moment), group, on_duty, default_capacity)

    def candidates_at_a_glance(
        self, groups: Collection[str], level: int, moment: datetime, default_capacity: int
    ) -> dict[str, list[Candidate]]:
        """Return the same of several groups without keeping others off: each may hold more or less already."""
        self._read(groups)
        on_duty = {group: self._on_duty(Post(group, level), moment) for group in groups}
        holders = {group: self._holders(group, on_duty[group]) for group in groups}
        loads = self._loads.at_a_glance(set().union(*holders.values()), moment)
        return {group: _candidates(holders[group], loads, group, on_duty[group], default_capacity) for group in groups}

    def _holders(self, group: str, on_duty: Collection[str]) -> dict[str, Row]:
        people = {row["employee_number"]: row for row in self._people_of(group)}
        return {number: row for number, row in people.items() if _serves(row, group) or number in on_duty}

    def key_users_of(self, department: str, group: str, moment: datetime, default_capacity: int) -> list[Candidate]:
        """Return the key users of a department, who may hold its tickets of any group."""
        if department not in self._key_users:
            # When none of them takes it the group does: all are locked together.
            self.preload([group], [department])
        helpers = self._with_changes(self._key_users[department], lambda row: _helps(row, department))
        people = {row["employee_number"]: row for row in helpers}
        return _candidates(people, self._loads.locked(people, moment), group, people, default_capacity)

    def _read_key_users(self, departments: Collection[str]) -> None:
        condition = and_(person.c.department.in_(departments), person.c.is_key_user, person.c.active)
        found = [dict(row) for row in self.work.connection.execute(select(person).where(condition)).mappings()]
        people = [{**row, "away_spans": away_of(row)} for row in found]
        for department in departments:
            self._key_users[department] = [row for row in people if _helps(row, department)]

    def _read(self, groups: Collection[str]) -> None:
        """Read in three statements the rosters of groups, and their people, unless the process knows them."""
        if not (unknown := [group for group in groups if group not in self._crews]):
            return
        kept = kept_crews(self.work.connection)
        if new := [group for group in unknown if group not in kept]:
            kept |= self._read_crews(new)
        self._crews |= {group: kept[group].since(self._since) for group in unknown}

    def _read_crews(self, groups: Collection[str]) -> dict[str, Crew]:
        shifts, swaps = self._read_recent(shift, groups), self._read_recent(swap, groups)
        people = self._read_people({group: named_by(shifts[group], swaps[group]) for group in groups})
        return {group: Crew(shifts[group], swaps[group], people[group]) for group in groups}

    def _people_of(self, group: str) -> Sequence[Row]:
        """Return a group's engineers and whom its roster names."""
        self._read([group])
        return self._with_changes(
            self._crews[group].people, lambda row: _serves(row, group) or row["employee_number"] in self._named(group)
        )

    def _with_changes(self, stored: Sequence[Row], belongs: Callable[[Row], bool]) -> Sequence[Row]:
        """Return people as stored, with this transaction's changes."""
        if not self.changed_people:
            return stored
        same = [row for row in stored if row["employee_number"] not in self.changed_people]
        changed = (self._people.get(number) for number in sorted(self.changed_people))
        return same + [{**row, "away_spans": away_of(row)} for row in changed if row and belongs(row)]

    def _read_people(self, named: Mapping[str, Collection[str]]) -> dict[str, list[Row]]:
        """Return the engineers of groups and those of any group who are named."""
        engineers = and_(person.c.groups.overlap(list(named)), person.c.is_engineer)
        asked = array_of(person, "employee_number", sorted(set().union(*named.values())))
        statement = select(person).where(or_(engineers, person.c.employee_number == any_(asked)))
        found = [dict(row) for row in self.work.connection.execute(statement).mappings()]
        people = [{**row, "away_spans": away_of(row)} for row in found]
        return {
            group: [row for row in people if _serves(row, group) or row["employee_number"] in others]
            for group, others in named.items()
        }

    def _named(self, group: str) -> set[str]:
        """Return everybody whom a group's roster names or may name, of whatever group they are."""
        crew = self._crews[group]
        return named_by(crew.shifts, crew.swaps) | self._takers.get(group, set())

    def note(self, decided: Assignment, moment: datetime) -> None:
        """Keep why a ticket was given to somebody, or waits."""
        self._assignments.append(
            number=decided.ticket_id,
            at=moment,
            group_name=decided.group,
            person=decided.person,
            waits_for=decided.waits_for,
            skill_lifted=decided.skill_lifted,
            judged=[
                {
                    "person": one.person,
                    "score": round(one.score, 3),
                    "open_count": one.open_count,
                    "capacity": one.capacity,
                    "passed": one.passed,
                }
                for one in decided.judged
            ],
        )
        if decided.person:
            self._loads.given(decided.person, moment)

    def assignments_of(self, number: str) -> list[Row]:
        """Return every assignment of a ticket, oldest first."""
        statement = select(assignment).where(assignment.c.number == number).order_by(assignment.c.id)
        return [dict(row) for row in self.work.connection.execute(statement).mappings()]

    def _on_duty(self, post: Post, moment: datetime) -> Collection[str]:
        """Return who is on duty on a post: the roster's, or where its group keeps none for it all engineers."""
        roster = self.roster(post.group)
        if post in roster.posts:
            return {duty.person for duty in roster.on_duty(post, moment)}
        return {row["employee_number"] for row in self._people_of(post.group) if _serves(row, post.group)}

    def roster_for(self, group: str, taker: str) -> Roster:
        """Return a group's roster with what is known of somebody who may come into it."""
        self._read([group])
        self._takers.setdefault(group, set()).add(taker)
        people = self._read_people({group: self._named(group)})[group]
        self._crews[group] = replace(self._crews[group], people=people)
        self._rosters.pop(group, None)
        return self.roster(group)

    def roster(self, group: str) -> Roster:
        """Return a group's roster from a while ago on."""
        if group not in self._rosters:
            people = self._people_of(group)
            self._rosters[group] = Roster(
                [shift_of(row) for row in self._crews[group].shifts],
                [_swap_of(row) for row in self._crews[group].swaps],
                {row["employee_number"]: row["away_spans"] for row in people},
                [row["employee_number"] for row in people if not row["active"]],
            )
        return self._rosters[group]

    def _read_recent(self, table: Table, groups: Collection[str]) -> dict[str, list[Any]]:
        statement = (
            select(table).where(table.c.group_name.in_(groups), table.c.end_at > self._since).order_by(table.c.id)
        )
        found = self.work.connection.execute(statement).mappings().all()
        return {group: [row for row in found if row["group_name"] == group] for group in groups}

    def groups_with_roster(self) -> list[str]:
        """Return the groups that keep a roster."""
        statement = (
            select(shift.c.group_name).distinct().where(shift.c.end_at > self._since).order_by(shift.c.group_name)
        )
        return list(self.work.connection.execute(statement).scalars())

    def replace_shifts(self, shifts: Sequence[Shift]) -> tuple[int, int]:
        """Put shifts in the place of those of the same posts within the span they cover, from now on.

        What is over, and what lies outside that span, stays as it was: of what is over a shift takes only a time in
        which its post had nobody. Returns how many were taken in, and how many went, also in part.
        """
        now, gone = self.work.now, 0
        rows = self._shifts_about(shifts)
        had = manned((shift_of(row) for row in rows), now)
        taken = [parts for one in shifts if (parts := one.without(had.get(one.post, ())))]
        new = [part for parts in taken for part in parts]
        replaced = covered(new, now)
        for row in rows:
            before = shift_of(row)
            span = replaced.get(before.post)
            if span and span.overlaps(before.span):
                self._shifts.remove(row)
                new += before.without([span])
                gone += 1
        for one in new:
            self._add_shift(one)
        return len(taken), gone

    def _shifts_about(self, shifts: Sequence[Shift]) -> list[Row]:
        """Lock and return in one statement what is stored of the posts and the time of shifts."""
        posts = sorted({(one.post.group, one.post.level) for one in shifts})
        return self._shifts.find(
            and_(
                tuple_(shift.c.group_name, shift.c.level).in_(posts),
                shift.c.begin_at < max(one.span.end_at for one in shifts),
                shift.c.end_at > min(one.span.begin_at for one in shifts),
            )
        )

    def _add_shift(self, one: Shift) -> None:
        self._shifts.append(
            group_name=one.post.group,
            level=one.post.level,
            person=one.person,
            begin_at=one.span.begin_at,
            end_at=one.span.end_at,
            stand_in=one.stand_in,
        )

    def add_swap(self, one: Swap, agreed_by: str | None) -> None:
        """Keep a swap that was agreed."""
        self._swaps.append(
            group_name=one.post.group,
            level=one.post.level,
            giver=one.giver,
            taker=one.taker,
            begin_at=one.span.begin_at,
            end_at=one.span.end_at,
            agreed_by=agreed_by,
        )

    def known_gaps(self) -> list[Gap]:
        """Return the gaps that the last look found."""
        rows = self.work.connection.execute(select(gap)).mappings()
        return [
            Gap(Post(row["group_name"], row["level"]), Span(row["begin_at"], row["end_at"]), goes_on=row["goes_on"])
            for row in rows
        ]

    def keep_gaps(self, gaps: Collection[Gap]) -> None:
        """Keep what a look found in the place of what the last one did."""
        self.work.connection.execute(delete(gap))
        rows = [
            {
                "group_name": one.post.group,
                "level": one.post.level,
                "begin_at": one.span.begin_at,
                "end_at": one.span.end_at,
                "goes_on": one.goes_on,
            }
            for one in gaps
        ]
        if rows:
            self.work.connection.execute(insert(gap), rows)


def _serves(row: Row, group: str) -> bool:
    return row["is_engineer"] and group in row["groups"]


def _helps(row: Row, department: str) -> bool:
    return bool(row["is_key_user"] and row["active"] and row["department"] == department)


def _candidates(
    people: Mapping[str, Row], loads: Mapping[str, Load], group: str, on_duty: Collection[str], default_capacity: int
) -> list[Candidate]:
    return [
        Candidate(
            person=number,
            # Whoever has a group's duty serves it, also from outside.
            groups={*row["groups"], group},
            open_count=loads[number].open_count,
            capacity=default_capacity if row["capacity"] is None else row["capacity"],
            skills=row["skills"],
            active=row["active"],
            away=row["away_spans"],
            on_duty=number in on_duty,
            given_count=loads[number].given_count,
            given_at=loads[number].given_at,
        )
        for number, row in people.items()
    ]


def shift_of(row: Any) -> Shift:
    """Return a stored shift."""
    post = Post(row["group_name"], row["level"])
    return Shift(post, row["person"], Span(row["begin_at"], row["end_at"]), row["stand_in"])


def _swap_of(row: Any) -> Swap:
    post = Post(row["group_name"], row["level"])
    return Swap(post, row["giver"], row["taker"], Span(row["begin_at"], row["end_at"]))
