"""Every way into the tickets service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contracts import tickets as facts
from contracts.gateway import PersonChanged, TicketRequested, TicketUpdateRequested
from contracts.words import TicketState
from eventkit.envelope import Event
from eventkit.service import Configured, Stored, answers, fires, handles
from eventkit.timers import Timer
from services.tickets import calls, sla, usecases
from services.tickets.settings import Settings
from services.tickets.storage import TicketStore
from services.tickets.telling import Change
from services.tickets.usecases import request_key

_LIFE = (
    facts.TicketOpened,
    facts.TicketChanged,
    facts.TicketAssigned,
    facts.TicketResponded,
    facts.TicketPaused,
    facts.TicketResumed,
    facts.TicketResolved,
    facts.TicketReopened,
    facts.TicketClosed,
    facts.TicketCommented,
    facts.SlaBreached,
    facts.SlaMet,
)


class TicketsService:
    """Keeps tickets and their clocks, and tells what becomes of them."""

    name = "tickets"
    store: TicketStore = Stored(TicketStore)
    settings: Settings = Configured(Settings.from_env)

    def load_requests(self, events: Sequence[Event[TicketRequested]]) -> None:
        """Read in few statements what opening these tickets needs."""
        self.store.reserve_numbers(len(events))
        self.store.preload(
            request_keys=[key for event in events if (key := request_key(event.source, event.externalref))],
            numbers=[],
            people=[event.data.requester for event in events if event.data.requester],
        )

    @handles(TicketRequested, preload="load_requests", emits=_LIFE)
    def on_ticket_requested(self, event: Event[TicketRequested]) -> None:
        """T1: events from other systems are a way in."""
        usecases.open_ticket(
            self.store,
            self.settings.policy,
            event.data,
            _change(event),
            source=event.source,
            externalref=event.externalref,
        )

    def load_updates(self, events: Sequence[Event[TicketUpdateRequested]]) -> None:
        """Read in few statements what changing these tickets needs."""
        self.store.preload(
            request_keys=[
                key
                for event in events
                if not event.data.number and (key := request_key(event.source, event.externalref))
            ],
            numbers=[event.data.number for event in events if event.data.number],
            people=[],
        )

    @handles(TicketUpdateRequested, preload="load_updates", emits=_LIFE)
    def on_ticket_update_requested(self, event: Event[TicketUpdateRequested]) -> None:
        """Another system changes a ticket: state, holder, comment, solution."""
        usecases.update_ticket(
            self.store,
            self.settings.policy,
            event.data,
            _change(event),
            source=event.source,
            externalref=event.externalref,
        )

    def load_people(self, events: Sequence[Event[PersonChanged]]) -> None:
        """Read in one statement the people who changed."""
        self.store.people.preload([event.data.employee_number for event in events])

    @handles(PersonChanged, preload="load_people", emits=(facts.TicketAssigned,))
    def on_person_changed(self, event: Event[PersonChanged]) -> None:
        """Engineers come, go and are away; a leaver's work is handed over."""
        usecases.change_person(self.store, self.settings.policy, event.data, _change(event))

    def load_timers(self, timers: Sequence[Timer]) -> None:
        """Lock the tickets whose clocks fell due: subject first."""
        self.store.preload(request_keys=[], numbers=[timer.subject for timer in timers], people=[])

    @fires("sla_warning", preload="load_timers", emits=(facts.SlaWarned,))
    def on_sla_warning(self, timer: Timer) -> None:
        """A share of a target is used up."""
        sla.clock_fell_due(self.store, self.settings.policy, timer.payload, self.store.work.now, warning=True)

    @fires("sla_breach", preload="load_timers", emits=(facts.SlaBreached,))
    def on_sla_breach(self, timer: Timer) -> None:
        """A target is missed."""
        sla.clock_fell_due(self.store, self.settings.policy, timer.payload, self.store.work.now, warning=False)

    @answers(command=True)
    def open_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Open a ticket for a caller."""
        return calls.open_ticket(self.store, self.settings.policy, arguments, self.store.work.actor)

    @answers()
    def get_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Show one ticket."""
        return calls.get_ticket(self.store, arguments)

    @answers()
    def list_tickets(self, arguments: Mapping[str, Any]) -> Any:
        """Show a page of tickets."""
        return calls.list_tickets(self.store, arguments)

    @answers(command=True)
    def respond_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Take a ticket up: the first answer."""
        return self._bring_to(arguments, TicketState.IN_PROGRESS)

    @answers(command=True)
    def resolve_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Give a solution."""
        return self._bring_to(arguments, TicketState.RESOLVED)

    @answers(command=True)
    def reopen_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Say that a solution did not hold."""
        return self._bring_to(arguments, TicketState.IN_PROGRESS, reopening=True)

    @answers(command=True)
    def close_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Finish a resolved ticket."""
        return self._bring_to(arguments, TicketState.CLOSED)

    def _bring_to(self, arguments: Mapping[str, Any], state: TicketState, *, reopening: bool = False) -> Any:
        actor = self.store.work.actor
        return calls.bring_to(self.store, self.settings.policy, arguments, actor, state, reopening=reopening)


def _change(event: Event[Any]) -> Change:
    moment = calls.moment_of(event.time, event.arrived_at, history=event.history)
    return Change(moment, event.actor or event.source, event.history)
