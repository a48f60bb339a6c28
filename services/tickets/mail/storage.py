"""Who is known by a mail address."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select

from eventkit.work import Row, Rows, Work
from services.tickets.tables import person


class Senders:
    """The people of this transaction by their addresses."""

    def __init__(self, work: Work, people: Rows) -> None:
        self._work = work
        self._people = people
        self._numbers: dict[str, str | None] = {}

    def load(self, addresses: Iterable[str | None]) -> Sequence[str]:
        """Learn in one statement who writes from these addresses, and return their employee numbers."""
        wanted = sorted({one.lower() for one in addresses if one} - self._numbers.keys())
        if not wanted:
            return []
        found: dict[str, list[str]] = {one: [] for one in wanted}
        statement = select(person.c.email, person.c.employee_number).where(person.c.email.in_(wanted), person.c.active)
        for row in self._work.connection.execute(statement):
            found[row.email].append(row.employee_number)
        # An address that several people share says nothing about who wrote.
        known = {address: numbers[0] if len(numbers) == 1 else None for address, numbers in found.items()}
        self._numbers |= known
        return [number for number in known.values() if number]

    def person_at(self, address: str) -> Row | None:
        """Return who alone is known by an address; nobody when they have left."""
        self.load([address])
        number = self._numbers[address.lower()]
        row = self._people.get(number) if number else None
        return row if row is not None and row["active"] else None
