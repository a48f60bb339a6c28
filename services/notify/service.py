"""Every way into notify: events, timers, and what came of calls to the outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from contracts.gateway import PersonChanged
from contracts.notify import NotificationAccepted, NotificationFailed
from contracts.tickets import SlaBreached, SlaWarned, TicketAssigned, TicketOpened, TicketResolved
from eventkit.definition import Done, Failed, Unknown
from eventkit.envelope import Event
from eventkit.process import ServiceProcess
from eventkit.service import Configured, Page, Records, Stored, fires, handles
from eventkit.timers import Timer
from services.notify import channels, usecases
from services.notify.channels import MailChannel
from services.notify.gauges import OpenDeliveries
from services.notify.rules import Answer, Said
from services.notify.settings import Settings
from services.notify.storage import Counter, NotifyStore

M = TypeVar("M", bound=Callable[..., Any])


class Gauges(Page):
    """Adds our gauges to the process's own `/metrics`."""

    def __init__(self) -> None:
        super().__init__("/metrics", lambda process: b"")

    def attach(self, process: ServiceProcess) -> None:
        """Have the process show them."""
        process.metrics.registry.register(OpenDeliveries(process.engine))


class SendsMail(Records):
    """The method records what came of a mail; the call is made with the settings and the database of the process.

    It says itself what happens after a crash, rule by rule, so eventkit never repeats it.
    """

    def __init__(self) -> None:
        outcomes = (NotificationAccepted, NotificationFailed)
        super().__init__(
            "send_mail", call=self._send, repeat_after_crash=False, lease_s=channels.LEASE_S, emits=outcomes
        )

    def setup(self) -> None:
        """Read the settings once, before anything runs."""
        self._settings = Settings.from_env(self.container.config)
        self._channel = MailChannel(self._settings.smtp, self._settings.mail_from)

    def _send(self, job: Timer) -> Answer:
        process = self.hosting.process
        if process is None:
            raise RuntimeError("mail is sent by a running process only")
        return usecases.send(Counter(process.engine), self._settings, self._channel, job.key)


def sends_mail() -> Callable[[M], M]:
    """Have a method record what came of mails."""
    return cast(Callable[[M], M], SendsMail.decorator())


class NotifyService:
    """Tells people what happened, once, on a channel that reaches them."""

    name = "notify"
    store = Stored(NotifyStore)
    settings = Configured(Settings.from_env)
    gauges = Gauges()

    def load_recipients(self, events: Sequence[Event[Any]]) -> None:
        """Read in one go what the handlers below will need."""
        usecases.load_recipients(self.store, self.settings.rules, events)

    # The order within a ticket does not matter: each message stands for itself, and one that cannot be decided must
    # not keep back the next.
    @handles(TicketOpened, preload="load_recipients", ordered=False)
    def on_ticket_opened(self, event: Event[TicketOpened]) -> None:
        """Give the requester a receipt and the assignee a task, or alert the desk that nobody has it."""
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

    def load_changing(self, events: Sequence[Event[PersonChanged]]) -> None:
        """Lock and read in one go the people who change, and what waits for them."""
        self.store.load_changing([event.data.employee_number for event in events])

    @handles(PersonChanged, preload="load_changing", ordered=False)
    def on_person_changed(self, event: Event[PersonChanged]) -> None:
        """Keep how to reach a person, and send what waited for that."""
        usecases.take_person(self.store, event.data)

    def load_deliveries(self, timers: Sequence[Timer]) -> None:
        """Lock the deliveries that have waited long enough."""
        self.store.load_deliveries([timer.key for timer in timers])

    @fires("give_up_waiting", preload="load_deliveries")
    def on_waited_long_enough(self, timer: Timer) -> None:
        """Let the desk have what its recipient cannot be sent."""
        usecases.give_up_waiting(self.store, timer.key)

    @sends_mail()
    def on_mail_sent(self, job: Timer, outcome: Done | Failed | Unknown) -> None:
        """Keep what came of a mail."""
        usecases.record(self.store, job.key, answer_of(outcome))


def answer_of(outcome: Done | Failed | Unknown) -> Answer:
    """Return what an outcome means for the delivery.

    A call that raised did so before the dialogue began: the channel itself raises nothing.
    """
    if isinstance(outcome, Done):
        return cast(Answer, outcome.value)
    if isinstance(outcome, Failed):
        return Answer(Said.LATER, reason=type(outcome.error).__name__)
    return Answer(Said.UNCLEAR, reason="the process died during the call")
