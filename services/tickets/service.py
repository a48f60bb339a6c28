"""Every way into the tickets service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from contracts import tickets as facts
from contracts.gateway import FeedbackSubmitted, PersonChanged, TicketRequested, TicketUpdateRequested
from contracts.words import TicketState
from eventkit.envelope import Event
from eventkit.errors import BadMessage, RuleBroken
from eventkit.moments import believed_moment
from eventkit.service import Stored, answers, fires, handles
from eventkit.timers import Timer
from services.tickets import calls, people, usecases
from services.tickets.attachments import calls as attachment_calls
from services.tickets.closing import usecases as closing
from services.tickets.desk_calls import LIFE, DeskCalls
from services.tickets.duty import usecases as duty
from services.tickets.feedback import calls as feedback_calls
from services.tickets.feedback import usecases as feedback
from services.tickets.feedback.storage import FeedbackStore
from services.tickets.mail import usecases as mail
from services.tickets.opening import department_of, group_of
from services.tickets.sla import calls as sla_calls
from services.tickets.sla import usecases as sla
from services.tickets.support import calls as support_calls
from services.tickets.support import usecases as support
from services.tickets.telling import Change, fired
from services.tickets.usecases import request_key

#: What a change of hands tells: clocks that follow another group may turn out to be missed.
HANDS = (facts.TicketAssigned, facts.SlaBreached)


class TicketsService(DeskCalls):
    """Keeps tickets and their clocks, and tells what becomes of them."""

    name = "tickets"
    feedback: FeedbackStore = Stored(FeedbackStore)

    def load_requests(self, events: Sequence[Event[TicketRequested]]) -> None:
        """Read in few statements what opening these tickets needs."""
        self.store.reserve_numbers(len(events))
        self.store.preload(
            request_keys=[key for event in events if (key := request_key(event.source, event.externalref))],
            numbers=[],
            people=[
                *(one for event in events for one in (event.data.requester, event.data.assignee) if one),
                *self.store.senders.load(event.data.mail_from for event in events),
            ],
            fingerprints=[key for event in events if (key := request_key(event.source, event.data.fingerprint))],
        )
        policy = self.settings.policy
        placed = [event.data for event in events if not event.history and event.data.assignee is None]
        departments = {department_of(self.store, one) for one in placed} if duty.KEY_USER in policy.support else set()
        self.store.preload_groups(
            {group_of(self.store, policy, one) or policy.default_group for one in placed},
            {one for one in departments if one},
        )

    @handles(TicketRequested, preload="load_requests", emits=LIFE)
    def on_ticket_requested(self, event: Event[TicketRequested]) -> None:
        """T1: events from other systems are a way in."""
        with as_message():
            mail.open_ticket(
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
            people=[
                *(event.data.assignee for event in events if event.data.assignee),
                *self.store.senders.load(event.data.mail_from for event in events),
            ],
        )

    @handles(TicketUpdateRequested, preload="load_updates", emits=LIFE)
    def on_ticket_update_requested(self, event: Event[TicketUpdateRequested]) -> None:
        """Another system changes a ticket: state, holder, comment, solution; or somebody answers by mail."""
        store, policy, change = self.store, self.settings.policy, _change(event)
        source, externalref = event.source, event.externalref
        with as_message():
            if event.data.mail_from is None:
                usecases.update_ticket(store, policy, event.data, change, source=source, externalref=externalref)
            else:
                mail.take_reply(
                    store, policy, event.data, change, source=source, externalref=externalref, mail_id=event.id
                )

    def load_people(self, events: Sequence[Event[PersonChanged]]) -> None:
        """Read in one statement the people who changed."""
        self.store.people.preload([event.data.employee_number for event in events])

    @handles(PersonChanged, preload="load_people", emits=(*HANDS, facts.FeedbackAssigned))
    def on_person_changed(self, event: Event[PersonChanged]) -> None:
        """Engineers come, go and are away; a leaver's work is handed over."""
        people.change_person(self.store, self.settings.policy, event.data, _change(event))
        feedback.follow_person(self.feedback, self.settings.owners, event.data.employee_number, _change(event))

    def load_feedback(self, events: Sequence[Event[FeedbackSubmitted]]) -> None:
        """Read in few statements what taking this feedback in needs."""
        keys = [key for event in events if (key := request_key(event.source, event.externalref))]
        receipts = [event.data.receipt_hash for event in events if event.data.receipt_hash]
        self.feedback.preload(keys, len(events), receipts)
        authors = [event.data.author for event in events if event.data.author]
        self.feedback.people([*self.settings.owners.everybody, *authors])

    @handles(FeedbackSubmitted, preload="load_feedback", emits=(facts.FeedbackReceived,))
    def on_feedback_submitted(self, event: Event[FeedbackSubmitted]) -> None:
        """T9: other systems send feedback."""
        feedback.take_in_event(
            self.feedback,
            self.settings,
            event.data,
            _change(event),
            source=event.source,
            externalref=event.externalref,
        )

    def load_timers(self, timers: Sequence[Timer]) -> None:
        """Lock the tickets whose clocks fell due: subject first."""
        self.store.preload(request_keys=[], numbers=[timer.subject for timer in timers], people=[])

    @fires("sla_warning", preload="load_timers", emits=(facts.SlaWarned,))
    def on_sla_warning(self, timer: Timer) -> None:
        """A share of a target is used up."""
        sla.clock_fell_due(self.store, self.settings.policy, timer.payload, fired(self.store))

    @fires("sla_breach", preload="load_timers", emits=(facts.SlaBreached,))
    def on_sla_breach(self, timer: Timer) -> None:
        """A target is missed."""
        sla.clock_fell_due(self.store, self.settings.policy, timer.payload, fired(self.store))

    @fires("escalation", preload="load_timers", emits=LIFE)
    def on_escalation(self, timer: Timer) -> None:
        """A level of support has missed its own target, which may bring the ticket to the next one (T4)."""
        number, cycle = timer.payload["number"], timer.payload["cycle"]
        support.overdue(self.store, self.settings.policy, number, cycle, fired(self.store))

    def load_queues(self, timers: Sequence[Timer]) -> None:
        """Lock the tickets that wait, subject first, and read who may draw them."""
        groups = sorted(timer.key for timer in timers)
        self.store.waiting_in(groups)
        self.store.duty.preload(groups)

    @fires("draw", preload="load_queues", emits=(facts.TicketAssigned,))
    @fires("draw_again", preload="load_queues", emits=(facts.TicketAssigned,))
    def on_draw(self, timer: Timer) -> None:
        """Somebody may have room for what waits in a group's queue."""
        duty.draw(self.store, self.settings.policy, timer.key, fired(self.store))

    def load_unbegun(self, timers: Sequence[Timer]) -> None:
        """Lock what may be evened out where it must be: tickets, subject first."""
        groups = sorted(timer.key for timer in timers)
        if uneven := duty.uneven(self.store, self.settings.policy, groups, self.store.work.now):
            self.store.lock_unbegun(uneven)
            self.store.duty.preload(uneven)

    @fires("even_out", preload="load_unbegun", emits=(facts.TicketAssigned,))
    def on_even_out(self, timer: Timer) -> None:
        """Some hold far more than others."""
        duty.even_out(self.store, self.settings.policy, timer.key, fired(self.store))

    @fires("duty_turn")
    def on_duty_turn(self, timer: Timer) -> None:
        """Somebody comes on duty, goes, is back or is away."""
        duty.turn(self.store, self.settings.policy, timer.key)

    def load_absentees(self, timers: Sequence[Timer]) -> None:
        """Lock the tickets of people who go away: subject first."""
        for timer in timers:
            self.store.open_tickets_of(timer.payload["person"])

    @fires("absence", preload="load_absentees", emits=HANDS)
    def on_absence(self, timer: Timer) -> None:
        """Somebody goes away: what cannot wait is handed over."""
        person = self.store.people.get(timer.payload["person"])
        if person is not None:
            duty.hand_over(self.store, self.settings.policy, person, fired(self.store), reason="holder away")

    @fires("silence", preload="load_timers", emits=LIFE)
    def on_silence(self, timer: Timer) -> None:
        """T5: nobody has answered a solution in time."""
        number, cycle = timer.payload["number"], timer.payload["cycle"]
        closing.silence(self.store, self.settings.policy, number, cycle, fired(self.store))

    @fires("duty_watch", emits=(facts.DutyUncovered,))
    def on_duty_watch(self, timer: Timer) -> None:
        """The roster is looked over for gaps."""
        duty.watch(self.store, self.settings.policy, fired(self.store))

    @answers(command=True, emits=LIFE)
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

    @answers(command=True, emits=LIFE)
    def respond_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Take a ticket up: the first answer."""
        return self._bring_to(arguments, TicketState.IN_PROGRESS)

    @answers(command=True, emits=LIFE)
    def resolve_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Give a solution."""
        return self._bring_to(arguments, TicketState.RESOLVED)

    @answers(command=True, emits=LIFE)
    def reopen_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Say that a solution did not hold."""
        return self._bring_to(arguments, TicketState.IN_PROGRESS, reopening=True)

    @answers(command=True, emits=LIFE)
    def close_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Finish a resolved ticket."""
        return self._bring_to(arguments, TicketState.CLOSED)

    @answers(command=True, emits=LIFE)
    def comment_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Write on a ticket, for everybody or for the desk only."""
        return calls.comment(self.store, self.settings.policy, arguments, self.store.work.actor)

    @answers()
    def ticket_comments(self, arguments: Mapping[str, Any]) -> Any:
        """Show what was written on a ticket."""
        return calls.comments(self.store, arguments)

    @answers(command=True)
    def add_attachment(self, arguments: Mapping[str, Any]) -> Any:
        """Put a file on a ticket."""
        return attachment_calls.add_attachment(self.store, arguments, self.store.work.actor)

    @answers()
    def ticket_attachments(self, arguments: Mapping[str, Any]) -> Any:
        """Show a ticket's files."""
        return attachment_calls.ticket_attachments(self.store, arguments)

    @answers()
    def get_attachment(self, arguments: Mapping[str, Any]) -> Any:
        """Show one file of a ticket."""
        return attachment_calls.get_attachment(self.store, arguments)

    @answers()
    def ticket_changes(self, arguments: Mapping[str, Any]) -> Any:
        """Show who changed what on a ticket."""
        return calls.changes(self.store, arguments)

    @answers()
    def explain_sla(self, arguments: Mapping[str, Any]) -> Any:
        """Show a ticket's clocks, each counted and skipped span with its reason."""
        return sla_calls.explain_ticket(self.store, self.settings.policy, arguments)

    @answers(command=True, emits=LIFE)
    def escalate_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Bring a ticket to a higher level of support."""
        return support_calls.escalate(self.store, self.settings.policy, arguments, self.store.work.actor)

    @answers(command=True, emits=LIFE)
    def diagnose_ticket(self, arguments: Mapping[str, Any]) -> Any:
        """Note how a ticket is diagnosed."""
        return support_calls.diagnose(self.store, self.settings.policy, arguments, self.store.work.actor)

    @answers(command=True, emits=LIFE)
    def note_vendor(self, arguments: Mapping[str, Any]) -> Any:
        """Note what the vendor says."""
        return support_calls.note_vendor(self.store, self.settings.policy, arguments, self.store.work.actor)

    @answers()
    def ticket_support(self, arguments: Mapping[str, Any]) -> Any:
        """Show a ticket's level, diagnosis and vendor."""
        return support_calls.support_of(self.store, arguments)

    @answers()
    def ticket_ledger(self, arguments: Mapping[str, Any]) -> Any:
        """Show who held a ticket for how long."""
        return support_calls.ledger(self.store, arguments)

    @answers(command=True, emits=(facts.FeedbackReceived,))
    def submit_feedback(self, arguments: Mapping[str, Any]) -> Any:
        """Take feedback in for a caller, who may be nobody."""
        return feedback_calls.submit(self.feedback, self.settings, arguments, self.store.work.actor)

    @answers()
    def get_feedback(self, arguments: Mapping[str, Any]) -> Any:
        """Show one feedback with its changes."""
        return feedback_calls.get(self.feedback, arguments)

    @answers()
    def list_feedback(self, arguments: Mapping[str, Any]) -> Any:
        """Show a page of feedback."""
        return feedback_calls.listed(self.feedback, arguments)

    @answers(command=True, emits=(facts.FeedbackAnswered,))
    def classify_feedback(self, arguments: Mapping[str, Any]) -> Any:
        """Say what becomes of feedback."""
        return feedback_calls.classify(self.feedback, arguments, self.store.work.actor)

    @answers(command=True, emits=(facts.FeedbackAnswered,))
    def answer_feedback(self, arguments: Mapping[str, Any]) -> Any:
        """Give feedback a status and an answer."""
        return feedback_calls.answer(self.feedback, arguments, self.store.work.actor)

    @answers(command=True, emits=(facts.FeedbackAssigned,))
    def assign_feedback(self, arguments: Mapping[str, Any]) -> Any:
        """Have somebody else follow feedback up."""
        return feedback_calls.assign(self.feedback, arguments, self.store.work.actor)

    @answers(command=True, emits=(facts.FeedbackAnswered,))
    def add_to_feedback(self, arguments: Mapping[str, Any]) -> Any:
        """Add what a named author has to add."""
        return feedback_calls.add_information(self.feedback, arguments, self.store.work.actor)

    @answers()
    def feedback_status(self, arguments: Mapping[str, Any]) -> Any:
        """Tell the holder of a receipt what became of it."""
        return feedback_calls.status(self.feedback, arguments)

    @answers(command=True, emits=(facts.FeedbackAnswered,))
    def add_to_feedback_by_receipt(self, arguments: Mapping[str, Any]) -> Any:
        """Add what the holder of a receipt has to add."""
        return feedback_calls.add_by_receipt(self.feedback, arguments)

    def _bring_to(self, arguments: Mapping[str, Any], state: TicketState, *, reopening: bool = False) -> Any:
        actor = self.store.work.actor
        return calls.bring_to(self.store, self.settings.policy, arguments, actor, state, reopening=reopening)


@contextmanager
def as_message() -> Iterator[None]:
    """Have a rule that an event breaks kept with it as its reason: nobody waits for an answer."""
    try:
        yield
    except RuleBroken as broken:
        raise BadMessage(str(broken), field=broken.field) from None


def _change(event: Event[Any]) -> Change:
    moment = believed_moment(event.time, event.arrived_at, history=event.history)
    return Change(moment, event.actor or event.source, event.history, via=event.source)
