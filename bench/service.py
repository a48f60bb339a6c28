"""The bench handler: inbox, one business row, one outgoing event, commit, ack. See `python -m bench --help`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, MetaData, Table, Text

from contracts.gateway import TicketRequested
from contracts.tickets import TicketOpened
from contracts.words import TicketState
from eventkit.envelope import Event
from eventkit.service import Stored, handles
from eventkit.work import Work

metadata = MetaData()
bench_row = Table(
    "bench_row",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("title", Text, nullable=False),
)


class BenchStore:
    """Writes the business rows."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.rows = work.rows(bench_row)


class BenchService:
    """Does per event what every peer of the benchmark does per message."""

    name = "bench"
    store: BenchStore = Stored(BenchStore)

    @handles(TicketRequested, emits=(TicketOpened,))
    def on_ticket_requested(self, event: Event[TicketRequested]) -> None:
        """Write one row and announce one event."""
        self.store.rows.append(event_id=event.id, subject=event.subject, title=event.data.title)
        self.store.work.emit(
            TicketOpened(
                number=event.subject,
                title=event.data.title,
                state=TicketState.NEW,
                priority=3,
                channel=event.data.channel,
                opened_at=event.time,
            ),
            subject=event.subject,
        )
