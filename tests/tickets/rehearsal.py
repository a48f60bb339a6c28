"""The tickets service on a real database, called at moments that a test names: nothing waits for a clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from eventkit import timers
from eventkit.envelope import Event
from eventkit.timers import Timer
from eventkit.work import Work
from services.tickets.business_time.files import load_calendars, read_calendars
from services.tickets.sla import change_plan
from services.tickets.sla.policy import Policy
from services.tickets.sla.policy_file import read_policy
from services.tickets.sla.usecases import clocks_of
from services.tickets.storage import TicketStore
from tests.eventkit.desk import Desk
from tests.tickets.stories import ALL, told

CHINA = ZoneInfo("Asia/Shanghai")


def on(moment: str) -> datetime:
    """Return a moment of the desk's wall clock in March 2026, such as 02 09:00; the 2nd is a Monday."""
    return datetime.fromisoformat(f"2026-03-{moment}").replace(tzinfo=CHINA)


class Rehearsal:
    """The tickets service at moments of a test's choice, a transaction for each thing done; it does nothing alone."""

    def __init__(self, desk: Desk, policy_file: Path) -> None:
        self.desk = desk
        self.policy_file = policy_file

    @contextmanager
    def work(self, moment: str) -> Iterator[Work]:
        with self.desk.engine.begin() as connection:
            work = Work(connection, source=self.desk.definition.source, now=on(moment))
            yield work
            work.flush()

    def call(self, moment: str, method: str, *, actor: str = "E1001", **arguments: Any) -> Any:
        with self.work(moment) as work:
            work.actor = actor
            return self.desk.definition.methods[method].call(work, {"scope": ALL} | arguments)

    def opened(self, moment: str, **fields: Any) -> str:
        """Open a ticket of E7 and return its number."""
        return str(self.call(moment, "open_ticket", **{"title": "打不开", "requester": "E7"} | fields)["number"])

    def receive(self, moment: str, event: Event[Any]) -> None:
        with self.work(moment) as work:
            work.cause = event
            self.desk.definition.handlers[event.type].handle(work, event)

    def armed(self, until: str = "31 23:59") -> list[Timer]:
        """Return the timers that fall due until a moment."""
        rows = self.desk.rows(
            "select * from eventkit.timer where due_at <= :until order by due_at, id", until=on(until)
        )
        return [Timer(**{name: getattr(row, name) for name in timers.COLUMNS}) for row in rows]

    def fire(self, moment: str, these: Sequence[Timer] | None = None) -> None:
        """Fire what is due at a moment, or timers that were armed once."""
        with self.work(moment) as work:
            due, effects = self.armed(moment) if these is None else these, self.desk.definition.effects
            for kind in dict.fromkeys(timer.kind for timer in due):
                if preload := effects[kind].preload:
                    preload(work, [timer for timer in due if timer.kind == kind])
            work.take_late_locks()
            for timer in due:
                effects[timer.kind].fire(work, timer)
                timers.remove(work.connection, [timer])

    def told(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """Return the data of what was told of a kind."""
        return [data for name, data in told(self.desk) if name == kind and fields.items() <= data.items()]

    def shares(self, target: str = "solution") -> list[float]:
        """Return the shares that were warned of, in order."""
        return [data["share"] for data in self.told("sla.warned", target=target)]

    def policy(self, before: str = "", after: str = "", calendars: Mapping[str, Any] | None = None) -> Policy:
        """Return the policy file as it would be with other words, or with other calendars."""
        self.policy_file.write_text(self.policy_file.read_text().replace(before, after))
        found, faults = read_calendars(calendars or {})
        assert not faults
        return read_policy(self.policy_file, found if calendars else load_calendars())

    def plan(self, moment: str, policy: Policy, number: str) -> list[change_plan.Move]:
        """Return what would become of a ticket's clocks under another policy."""
        with self.work(moment) as work:
            store = TicketStore(work)
            row = store.tickets.get(number)
            assert row is not None
            return list(change_plan.moves_of(policy, row, clocks_of(store, policy, row), work.now))

    def apply(self, moment: str, policy: Policy, number: str) -> list[change_plan.Move]:
        """Let a ticket's clocks follow another policy."""
        with self.work(moment) as work:
            store = TicketStore(work)
            row = store.tickets.get(number)
            assert row is not None
            return change_plan.apply(store, policy, row, work.now)
