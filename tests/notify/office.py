"""The notify service as it runs, with a mail server of its own that can be told to misbehave."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from nameko.containers import ServiceContainer

from contracts.fact import Fact
from contracts.gateway import AlertResolved, PersonChanged
from contracts.knowledge import AnswerSuggested, SuggestedFor, Suggestion
from contracts.tickets import (
    DutyUncovered,
    FeedbackAnswered,
    FeedbackAssigned,
    SlaBreached,
    SlaWarned,
    Target,
    TicketCommented,
    TicketReopened,
    TicketResolved,
    Voice,
)
from contracts.training import CourseCompleted, EnrolmentConfirmed, RetrainingAssigned
from contracts.words import Channel, FeedbackClass, FeedbackStatus, FeedbackWay, Severity, TicketState
from deploy.local.mailbox import KeptMail, MailFolder
from deploy.local.mailserver import KEEP, MailServer, Verdict
from eventkit.definition import ServiceDefinition
from eventkit.envelope import Event
from eventkit.process import ServiceProcess
from eventkit.service import definition_from, service_folder
from liaison.installation import Installation, free_port
from services.notify.service import NotifyService
from tests.eventkit.desk import Desk, eventually, reported

_numbers = itertools.count(1)
OPENED_AT = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
DESK_MAIL = "desk@liaison.invalid"


def about(fact: type[Fact], **more: Any) -> Any:
    """Build a fact about ticket T-1, requested by E1 and held by E2, whose lead is E3."""
    values: dict[str, Any] = {
        "number": "T-1",
        "title": "打印机坏了",
        "state": TicketState.NEW,
        "priority": 2,
        "channel": Channel.WEB,
        "opened_at": OPENED_AT,
        "requester": "E1",
        "assignee": "E2",
        "group": "华东一组",
        "group_lead": "E3",
        "due_response_at": OPENED_AT + timedelta(hours=1),
        "due_solution_at": OPENED_AT + timedelta(hours=4),
    }
    if fact in (SlaWarned, SlaBreached):
        values |= {"target": Target.SOLUTION, "cycle": 1, "due_at": OPENED_AT + timedelta(hours=4)}
    if fact is SlaWarned:
        values["share"] = 0.8
    if fact is TicketResolved:
        values |= {"resolved_at": OPENED_AT + timedelta(hours=2), "solution": "换了新的墨盒。\n已测试打印。"}
    if fact is TicketCommented:
        values |= {"comment_id": "c1", "voice": Voice.DESK, "text": "请重启。\n再试一次。"}
    if fact is TicketReopened:
        values |= {"reopened_at": OPENED_AT + timedelta(hours=3), "reason": "还是打不开"}
    return fact(**values | more)


def about_course(fact: type[Fact], **more: Any) -> Any:
    """Build a fact about the course C-7 that E5 takes; E6 is the training contact of the department."""
    values: dict[str, Any] = {
        "course": "C-7",
        "course_title": "OA 流程基础",
        "learner": "E5",
        "department": "集团/华东分公司",
        "contact": "E6",
    }
    if fact is EnrolmentConfirmed:
        values |= {"enrolled_at": OPENED_AT, "due_on": date(2026, 4, 30)}
    if fact is CourseCompleted:
        values |= {"attempt": 2, "completed_at": OPENED_AT, "score": 0.92, "class_hours": 1.5}
        values |= {"next_course": "C-8", "next_course_title": "OA 流程进阶"}
    if fact is RetrainingAssigned:
        values |= {"attempt": 1, "failed_at": OPENED_AT, "score": 0.4, "modules": ("审批流", "表单")}
        values |= {"due_on": date(2026, 4, 30)}
    return fact(**values | more)


def about_feedback(fact: type[Fact], **more: Any) -> Any:
    """Build a fact about the feedback F-3 that E7 wrote and E8 follows up."""
    values: dict[str, Any] = {
        "feedback_id": "F-3",
        "text": "打印太慢。\n请换打印机。",
        "way": FeedbackWay.WEB,
        "received_at": OPENED_AT,
        "status": FeedbackStatus.ACCEPTED,
        "owner": "E8",
        "author": "E7",
        "department": "集团/华东分公司",
        "score": 2,
    }
    if fact is FeedbackAssigned:
        values |= {"previous_owner": "E9", "reason": "the owner left"}
    if fact is FeedbackAnswered:
        values |= {"status": FeedbackStatus.RESOLVED, "previous_status": FeedbackStatus.ACCEPTED}
        values |= {"answer": "新打印机下周到。", "feedback_class": FeedbackClass.SETTLED}
    return fact(**values | more)


def about_alert(fact: type[Fact], **more: Any) -> Any:
    """Build a fact about an alert of the monitoring."""
    values: dict[str, Any] = {
        "fingerprint": "f1",
        "alert": "OutboxStuck",
        "severity": Severity.CRITICAL,
        "starts_at": OPENED_AT,
        "service": "tickets",
        "summary": "事件发不出去",
        "description": "最早的事件已等待 300 秒。",
        "runbook_url": "deploy/RUNBOOK.md#outboxstuck",
    }
    if fact is AlertResolved:
        values["ended_at"] = OPENED_AT + timedelta(minutes=7)
    return fact(**values | more)


def example_of(fact: type[Fact]) -> Any:
    """Build a fact of any type that a rule may name."""
    if fact is DutyUncovered:
        span: dict[str, Any] = {"begin_at": OPENED_AT, "end_at": OPENED_AT + timedelta(hours=8)}
        return DutyUncovered(group="华东一组", level=2, group_lead="E3", absent=("E7",), **span)
    by_module = {"training": about_course, "gateway": about_alert}
    build = about_feedback if fact.TYPE.startswith("liaison.feedback.") else by_module.get(fact.emitter(), about)
    return build(fact)


def suggested(subject: str = "T-1", **more: Any) -> AnswerSuggested:
    """Build what knowledge suggests for a ticket of E1: two articles."""
    values: dict[str, Any] = {
        "suggested_for": SuggestedFor.TICKET,
        "about_subject": subject,
        "person": "E1",
        "suggestions": (
            Suggestion(article_id="A-1", title="打印机\n不出纸", url="https://desk.invalid/v1/articles/A-1"),
            Suggestion(article_id="A-2", title="更换墨盒", url="/v1/articles/A-2"),
        ),
    }
    return AnswerSuggested(**values | more)


def person(number: str, **more: Any) -> PersonChanged:
    """Build a person, reachable at a mailbox of their number."""
    values: dict[str, Any] = {"version": 1, "name": f"员工{number}", "email": f"{number.lower()}@example.invalid"}
    return PersonChanged(employee_number=number, **values | more)


def ticket_event(fact: Fact, **more: Any) -> Event[Any]:
    """Build an event of the tickets service."""
    return reported(fact, "T-1", source="/liaison/tickets", **more)


def training_event(fact: Fact, **more: Any) -> Event[Any]:
    """Build an event of the training service."""
    return reported(fact, "C-7/E5", source="/liaison/training", **more)


def suggestion_event(fact: AnswerSuggested, **more: Any) -> Event[Any]:
    """Build an event of the knowledge service."""
    return reported(fact, fact.about_subject, source="/liaison/knowledge", **more)


def alert_event(fact: Fact, **more: Any) -> Event[Any]:
    """Build an event that came through the gateway from the monitoring."""
    return reported(fact, "f1", **{"source": "/monitoring", **more})


class Office(Desk):
    """Notify under test: one database, one queue, one mail server."""

    def __init__(self, installation: Installation, folder: Path, env: Mapping[str, str], name: str) -> None:
        self.mails = MailFolder(folder)
        self.verdicts: list[Verdict | Callable[[], Verdict]] = []
        self.smtp_port = free_port()
        self.env = {
            "SMTP_URI": f"smtp://127.0.0.1:{self.smtp_port}",
            "LIAISON_MAIL_FROM": "联络台 <no-reply@liaison.invalid>",
            "LIAISON_DESK_MAIL": DESK_MAIL,
            **env,
        }
        name = name or f"n{next(_numbers)}"
        _, service = self._replica(name)
        super().__init__(installation, service, service_folder(NotifyService))
        self.open_tap()

    def _replica(self, name: str) -> tuple[ServiceContainer, ServiceDefinition]:
        container = ServiceContainer(NotifyService, dict(self.env))
        for extension in (*container.dependencies, *container.entrypoints):
            extension.setup()
        return container, replace(definition_from(container), name=name)

    def start(self, service: ServiceDefinition | None = None) -> ServiceProcess:
        """Start a replica in this process, on plain threads."""
        container, definition = self._replica(self.definition.name)
        process = ServiceProcess(definition, self.settings(), self.folder)
        for entrypoint in container.entrypoints:
            entrypoint.hosting.process = process
        for provider in container.dependencies:
            if hasattr(provider, "attach"):
                provider.attach(process)
        process.start()
        self.processes.append(process)
        return process

    def judge(self, sender: str, to: list[str], content: bytes) -> Verdict:
        """Answer as the test has laid down, else keep the mail."""
        verdict = self.verdicts.pop(0) if self.verdicts else KEEP
        return verdict if isinstance(verdict, Verdict) else verdict()

    def mail_server(self) -> MailServer:
        """Return the mail server, not running yet."""
        return MailServer(self.mails, self.smtp_port, free_port(), self.judge)

    def knows(self, *people: PersonChanged) -> None:
        """Tell notify of people and wait until it knows them."""
        self.publish(*[reported(one, one.employee_number, source="/hr") for one in people])
        for one in people:
            self.wait_for("select 1 from person where employee_number = :n and version >= :v", one)

    def wait_for(self, statement: str, one: PersonChanged) -> None:
        """Wait until a statement about a person finds something."""
        eventually(
            lambda: self.rows(statement, n=one.employee_number, v=one.version), what=f"{one.employee_number} is known"
        )

    def kept(self) -> list[KeptMail]:
        """Return the mails, the oldest first."""
        return self.mails.newest(1000)[::-1]

    def texts(self) -> dict[str, str]:
        """Return the text of each mail by its address, of which each has got one."""
        return {mail.to[0]: mail.text.replace("\r", "") for mail in self.kept()}

    def mailed(self) -> list[tuple[str, str]]:
        """Return (address, subject) of each mail, sorted."""
        return sorted((mail.to[0], mail.subject) for mail in self.kept())

    def states(self) -> dict[str, str]:
        """Return the state of each delivery by its recipient, of whom there is one each."""
        return {row.recipient: row.state for row in self.rows("select recipient, state from delivery")}

    def settled(self, count: int) -> None:
        """Wait until this many deliveries have come to their end, and none is open."""
        query = "select count(settled_at), count(*) from delivery"
        eventually(lambda: tuple(self.rows(query)[0]) == (count, count), what=f"{count} deliveries are settled")

    def emitted(self) -> list[tuple[str, dict[str, Any]]]:
        """Return (type, data) of what notify has announced, the oldest first."""
        rows = self.rows(
            "select type, convert_from(payload, 'UTF8')::jsonb as data from eventkit.outbox order by position"
        )
        return [(row.type, row.data) for row in rows]

    def handled(self, event: Event[Any]) -> None:
        """Wait until an event has been handled."""
        query = "select 1 from eventkit.inbox where source = :s and id = :i"
        eventually(lambda: self.rows(query, s=event.source, i=event.id), what=f"{event.type} is handled")


@contextmanager
def office_of(installation: Installation, folder: Path, env: Mapping[str, str], *, name: str = "") -> Iterator[Office]:
    """Run notify's surroundings for one test; the test starts the replicas."""
    office = Office(installation, folder, env, name)
    try:
        with office.mail_server():
            yield office
    finally:
        office.close()
