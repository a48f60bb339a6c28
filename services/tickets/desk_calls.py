"""The desk's own ways into the tickets service: changing, binding, escalating, closing tickets, and the duty roster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts import tickets as facts
from contracts.words import TicketState
from eventkit.service import Configured, Stored, answers
from services.tickets import calls
from services.tickets.closing import calls as closing_calls
from services.tickets.duty import calls as duty_calls
from services.tickets.register import calls as register_calls
from services.tickets.register.storage import RegisterStore
from services.tickets.relations import calls as relation_calls
from services.tickets.settings import Settings
from services.tickets.storage import TicketStore

#: What may be told when a ticket changes.
LIFE = (
    facts.TicketOpened,
    facts.TicketChanged,
    facts.TicketAssigned,
    facts.TicketEscalated,
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


class DeskCalls:
    """What the desk's people and requesters ask about a ticket that is there."""

    store: TicketStore = Stored(TicketStore)
    register: RegisterStore = Stored(RegisterStore)
    settings: Settings = Configured(Settings.from_env)

    @answers(command=True, emits=LIFE)
    def change_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Change a ticket's fields, holder or state."""
        return calls.change(self.store, self.settings.policy, arguments, self.store.work.actor)

    @answers(command=True, emits=LIFE)
    def change_many(self, arguments: Mapping[str, Any]) -> Any:
        """Change many tickets alike."""

        def change(number: str) -> Mapping[str, Any]:
            one = {**arguments["change"], "number": number, "scope": arguments.get("scope")}
            return calls.change(self.store, self.settings.policy, one, self.store.work.actor)

        return relation_calls.each(self.store, list(arguments["numbers"]), change)

    @answers(command=True, emits=LIFE)
    def close_many(self, arguments: Mapping[str, Any]) -> Any:
        """Close many resolved tickets."""

        def close(number: str) -> Mapping[str, Any]:
            one = {"number": number, "comment": arguments.get("comment"), "scope": arguments.get("scope")}
            actor = self.store.work.actor
            return calls.bring_to(self.store, self.settings.policy, one, actor, TicketState.CLOSED)

        return relation_calls.each(self.store, list(arguments["numbers"]), close)

    @answers(command=True, emits=LIFE)
    def link_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Link a ticket to another, or take a link away."""
        return relation_calls.link(self.store, self.settings.policy, arguments, self.store.work.actor)

    @answers()
    def ticket_links(self, arguments: Mapping[str, Any]) -> Any:
        """Show a ticket's links and watchers."""
        return relation_calls.links(self.store, arguments)

    @answers(command=True, emits=LIFE)
    def merge_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Merge a ticket into another."""
        return relation_calls.merge(self.store, self.settings.policy, arguments, self.store.work.actor)

    @answers(command=True, emits=LIFE)
    def watch_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Let somebody watch a ticket, or no more."""
        return relation_calls.watch(self.store, self.settings.policy, arguments, self.store.work.actor)

    @answers()
    def quick_texts(self, arguments: Mapping[str, Any]) -> Any:
        """Show the quick texts."""
        return relation_calls.quick_texts(self.store)

    @answers(command=True)
    def put_quick_text(self, arguments: Mapping[str, Any]) -> Any:
        """Write a quick text."""
        return relation_calls.put_quick_text(self.store, arguments, self.store.work.actor)

    @answers()
    def ticket_statistics(self, arguments: Mapping[str, Any]) -> Any:
        """Show the figures of a period."""
        return calls.statistics(self.store, arguments)

    @answers(command=True)
    def put_register_entry(self, arguments: Mapping[str, Any]) -> Any:
        """Write a problem or a risk."""
        return register_calls.put(self.register, self.settings.policy, arguments, self.store.work.actor)

    @answers()
    def get_register_entry(self, arguments: Mapping[str, Any]) -> Any:
        """Show a problem or a risk with its changes."""
        return register_calls.get(self.register, arguments)

    @answers()
    def list_register(self, arguments: Mapping[str, Any]) -> Any:
        """Show problems and risks, the gravest first."""
        return register_calls.listed(self.register, arguments)

    @answers()
    def ticket_for_requester(self, arguments: Mapping[str, Any]) -> Any:
        """Show a ticket on the page behind a link."""
        return closing_calls.show(self.store, arguments)

    @answers(command=True, emits=(*LIFE, facts.SurveyAnswered))
    def decide_solution(self, arguments: Mapping[str, Any]) -> Any:
        """Take a requester's answer to a solution."""
        return closing_calls.decide(self.store, self.settings.policy, arguments)

    @answers(command=True, emits=LIFE)
    def reply_to_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Take a requester's word from the page behind a link."""
        return closing_calls.reply(self.store, self.settings.policy, arguments)

    @answers()
    def ticket_assignments(self, arguments: Mapping[str, Any]) -> Any:
        """Show why a ticket was given to whom."""
        return duty_calls.assignments(self.store, arguments)

    @answers(command=True)
    def load_roster(self, arguments: Mapping[str, Any]) -> Any:
        """Take in a duty roster."""
        return duty_calls.load_roster(self.store, self.settings.policy, arguments)

    @answers(command=True)
    def swap_duty(self, arguments: Mapping[str, Any]) -> Any:
        """Let one take over another's duty."""
        return duty_calls.swap_duty(self.store, arguments, self.store.work.actor)

    @answers()
    def show_duty(self, arguments: Mapping[str, Any]) -> Any:
        """Show who is on duty, and when nobody will be."""
        return duty_calls.show_duty(self.store, self.settings.policy, arguments)
