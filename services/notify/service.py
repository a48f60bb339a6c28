"""Every way into notify: events, timers, and what came of calls to the outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Engine

from contracts.gateway import AlertFired, AlertResolved, PersonChanged
from contracts.knowledge import AnswerSuggested
from contracts.notify import NotificationAccepted, NotificationFailed
from contracts.tickets import (
    DutyUncovered,
    FeedbackAnswered,
    FeedbackAssigned,
    FeedbackReceived,
    SlaBreached,
    SlaWarned,
    TicketAssigned,
    TicketCommented,
    TicketOpened,
    TicketReopened,
    TicketResolved,
)
from contracts.training import CourseCompleted, EnrolmentConfirmed, RetrainingAssigned
from eventkit.definition import Done, Failed, Unknown
from eventkit.envelope import Event
from eventkit.service import Configured, Outside, Shows, Stored, fires, handles, records
from eventkit.timers import Timer
from services.notify import usecases
from services.notify.channels import MailChannel
from services.notify.gauges import OpenDeliveries
from services.notify.pending import PendingDeliveries
from services.notify.rules import LEASE_S, Answer, Said
from services.notify.settings import Settings
from services.notify.storage import NotifyStore
from services.notify.watchdog import Watchdog, WatchdogAge


class Mailer:
    """Makes the calls: mails, with the settings and the database of the process."""

    def __init__(self, env: Mapping[str, str], engine: Engine) -> None:
        self._settings = Settings.from_env(env)
        self._channel = MailChannel(self._settings.smtp, self._settings.mail_from)
        self._pending = PendingDeliveries(engine)

    def send(self, delivery_id: str) -> Answer:
        """Send one delivery and say what came of it."""
        return usecases.send(self._pending, self._settings, self._channel, delivery_id)


class NotifyService:
    """Tells people what happened, once, on a channel that reaches them."""

    name = "notify"
    gather_s = 0.1
    store = Stored(NotifyStore)
    watchdog = Stored(Watchdog)
    settings = Configured(Settings.from_env)
    mailer = Outside(Mailer)
    open_deliveries = Shows(lambda env, engine: OpenDeliveries(engine))
    watchdog_age = Shows(lambda env, engine: WatchdogAge(engine))

    def load_recipients(self, events: Sequence[Event[Any]]) -> None:
        """Read in one go what the handlers below will need."""
        usecases.load_recipients(self.store, self.settings.rules, events)

    # The order within a subject does not matter: each message stands for itself, and one that cannot be decided must
    # not keep back the next.
    @handles(TicketOpened, preload="load_recipients", ordered=False)
    def on_ticket_opened(self, event: Event[TicketOpened]) -> None:
        """Give the requester a receipt with suggestions and the assignee a task, or alert the desk: nobody has it."""
        usecases.tell(self.store, self.settings.rules, event)

    @handles(TicketAssigned, preload="load_recipients", ordered=False)
    def on_ticket_assigned(self, event: Event[TicketAssigned]) -> None:
        """Tell the new assignee, or alert the desk that nobody has it any more."""
        usecases.tell(self.store, self.settings.rules, event)

    @handles(SlaWarned, preload="load_recipients", ordered=False)
    def on_sla_warned(self, event: Event[SlaWarned]) -> None:
        """Warn who holds the ticket."""
        usecases.tell(self.store, self.settings.rules, event)

    @handles(SlaBreached, preload="load_recipients", ordered=False)
    def on_sla_breached(self, event: Event[SlaBreached]) -> None:
        """Tell who holds the ticket and those in charge."""
        usecases.tell(self.store, self.settings.rules, event)

    @handles(TicketResolved, preload="load_recipients", ordered=False)
    def on_ticket_resolved(self, event: Event[TicketResolved]) -> None:
        """Tell the requester the solution."""
        usecases.tell(self.store, self.settings.rules, event)

    @handles(TicketCommented, preload="load_recipients", ordered=False)
    def on_ticket_commented(self, event: Event[TicketCommented]) -> None:
        """Tell whoever is in charge what the requester wrote, and the requester what the desk did."""
        usecases.tell(self.store, self.settings.rules, event)

    @handles(TicketReopened, preload="load_recipients", ordered=False)
    def on_ticket_reopened(self, event: Event[TicketReopened]) -> None:
        """Tell whoever is in charge that the solution did not hold."""
        usecases.tell(self.store, self.settings.rules, event)

    @handles(DutyUncovered, preload="load_recipients", ordered=False)
    def on_duty_uncovered(self, event: Event[DutyUncovered]) -> None:
        """Tell a group's lead that nobody will be on duty (T13)."""
        usecases.tell(self.store, self.settings.rules, event)

    @handles(EnrolmentConfirmed, preload="load_recipients", ordered=False)
    def on_enrolment_confirmed(self, event: Event[EnrolmentConfirmed]) -> None:
        """Tell the learner which course they take."""
        usecases.tell(self.store, self.settings.rules, event)

    @handles(CourseCompleted, preload="load_recipients", ordered=False)
    def on_course_completed(self, event: Event[CourseCompleted]) -> None:
        """Tell the learner the result and the next step, and the department's training contact."""
        usecases.tell(self.store, self.settings.rules, event)

    @handles(RetrainingAssigned, preload="load_recipients", ordered=False)
    def on_retraining_assigned(self, event: Event[RetrainingAssigned]) -> None:
        """Tell the learner what to learn again, and the department's training contact."""
        usecases.tell(self.store, self.settings.rules, event)

    @handles(FeedbackReceived, preload="load_recipients", ordered=False)
    def on_feedback_received(self, event: Event[FeedbackReceived]) -> None:
        """Give it to its owner, or to the desk when nobody is; a named author gets a receipt."""
        usecases.tell(self.store, self.settings.rules, event)

    @handles(FeedbackAssigned, preload="load_recipients", ordered=False)
    def on_feedback_assigned(self, event: Event[FeedbackAssigned]) -> None:
        """Give it to its new owner, or to the desk when nobody is."""
        usecases.tell(self.store, self.settings.rules, event)

    @handles(FeedbackAnswered, preload="load_recipients", ordered=False)
    def on_feedback_answered(self, event: Event[FeedbackAnswered]) -> None:
        """Tell a named author the status and the answer."""
        usecases.tell(self.store, self.settings.rules, event)

    def load_waiting(self, events: Sequence[Event[AnswerSuggested]]) -> None:
        """Lock and read in one go the messages that wait for suggestions."""
        usecases.load_waiting(self.store, events)

    @handles(AnswerSuggested, preload="load_waiting", ordered=False)
    def on_answer_suggested(self, event: Event[AnswerSuggested]) -> None:
        """Put what was suggested into the message that waits for it."""
        usecases.take_suggestions(self.store, event)

    def load_changing(self, events: Sequence[Event[PersonChanged]]) -> None:
        """Lock and read in one go the people who change, and what waits for them."""
        self.store.load_changing([event.data.employee_number for event in events])

    @handles(PersonChanged, preload="load_changing", ordered=False)
    def on_person_changed(self, event: Event[PersonChanged]) -> None:
        """Keep how to reach a person, and send what waited for that."""
        usecases.take_person(self.store, event.data)

    def load_alerts(self, events: Sequence[Event[AlertFired]]) -> None:
        """Read in one go what alerts need."""
        self.watchdog.preload(events)
        self.store.load_alerts([event.data for event in events])

    @handles(AlertFired, preload="load_alerts", ordered=False)
    def on_alert_fired(self, event: Event[AlertFired]) -> None:
        """Tell the desk, unless it is the watchdog: that is noted, and no message to anybody."""
        if not self.watchdog.hear(event):
            usecases.tell_of_alert(self.store, self.settings.rules, event)

    def load_ends(self, events: Sequence[Event[AlertResolved]]) -> None:
        """Read in one go what was told of these alerts."""
        self.store.load_alerts([event.data for event in events])

    @handles(AlertResolved, preload="load_ends", ordered=False)
    def on_alert_resolved(self, event: Event[AlertResolved]) -> None:
        """Tell the desk that it is over, if it was told of its beginning."""
        usecases.tell_of_alert(self.store, self.settings.rules, event)

    def load_deliveries(self, timers: Sequence[Timer]) -> None:
        """Lock the deliveries that have waited long enough."""
        self.store.load_deliveries([timer.key for timer in timers])

    @fires("give_up_waiting", preload="load_deliveries")
    def on_waited_long_enough(self, timer: Timer) -> None:
        """Let the desk have what its recipient cannot be sent."""
        usecases.give_up_waiting(self.store, timer.key)

    def load_sent(self, jobs: Sequence[Timer]) -> None:
        """Lock the deliveries of which an outcome is to be kept."""
        self.store.load_deliveries([job.key for job in jobs])

    def send_mail(self, job: Timer) -> Answer:
        """Hand a mail over. It is marked before, so that a second call knows what it finds."""
        answer: Answer = self.mailer.send(job.key)
        return answer

    @records(
        "send_mail",
        call="send_mail",
        preload="load_sent",
        repeat_after_crash=True,
        lease_s=LEASE_S,
        emits=(NotificationAccepted, NotificationFailed),
    )
    def on_mail_sent(self, job: Timer, outcome: Done | Failed | Unknown) -> None:
        """Keep what came of a mail."""
        usecases.record(self.store, job.key, answer_of(outcome), interrupted=job.interrupted)


def answer_of(outcome: Done | Failed | Unknown) -> Answer:
    """Return what an outcome means for the delivery.

    A call that raised did so before the dialogue began: the channel itself raises nothing.
    """
    if isinstance(outcome, Done):
        return cast(Answer, outcome.value)
    if isinstance(outcome, Failed):
        return Answer(Said.LATER, reason=type(outcome.error).__name__)
    raise TypeError("a mail is called again after a crash, so that its outcome is never unknown to eventkit")
