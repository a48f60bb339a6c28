"""Random stories of a desk, told in events, and ways in which a broker may deliver them."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.fact import Fact
from contracts.gateway import AlertFired, AlertResolved, EventRefused, PersonChanged, TicketRequested
from contracts.knowledge import (
    AnswerSuggested,
    ArticleDrafted,
    ArticlePublished,
    ArticleRated,
    ArticleRetired,
    Language,
    MissedBy,
    SearchMissed,
    SuggestedFor,
    Suggestion,
)
from contracts.notify import Medium, NotificationAccepted, NotificationFailed
from contracts.tickets import (
    FeedbackAnswered,
    FeedbackReceived,
    SlaBreached,
    SlaMet,
    SlaWarned,
    Target,
    TicketAssigned,
    TicketChanged,
    TicketClosed,
    TicketCommented,
    TicketOpened,
    TicketPaused,
    TicketReopened,
    TicketResolved,
    TicketResponded,
    TicketResumed,
)
from contracts.training import CourseCompleted, EnrolmentConfirmed, RetrainingAssigned
from contracts.words import Channel, FeedbackClass, FeedbackStatus, FeedbackWay, Severity, TicketState
from eventkit.envelope import Event, new_id, partitionkey_of

NOW = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
_WAITING = (TicketState.AWAITING_USER, TicketState.AWAITING_PROBLEM, TicketState.AWAITING_VENDOR)


class Story:
    """Makes events at random: whole lives of tickets, messages, people, refusals; most lie before `now`."""

    def __init__(self, seed: int, now: datetime = NOW) -> None:
        self._now = now
        self.random = random.Random(seed)
        self.events: list[Event[Any]] = []
        self._sequences: Counter[str] = Counter()

    def tell(self, data: Fact, subject: str, time: datetime, *, source: str, history: bool) -> Event[Any]:
        """Add an event."""
        key = partitionkey_of(source, subject)
        self._sequences[key] += 1
        event = Event(
            id=new_id(),
            source=source,
            type=data.TYPE,
            subject=subject,
            time=time,
            data=data,
            partitionkey=key,
            sequence=self._sequences[key],
            history=history,
            arrived_at=time + timedelta(seconds=self.random.choice([0, 0, 0.25])),
        )
        self.events.append(event)
        return event

    def _moment(self) -> datetime:
        return self._now - timedelta(seconds=self.random.choice([3, 40, 400]) * 3600 * self.random.random())

    def ticket(self, number: str) -> None:
        """Tell one ticket's life, or as much of it as has happened."""
        life = Life(self, number, self._moment(), history=self.random.random() < 0.3)
        life.say(TicketOpened)
        if self.random.random() < 0.7:
            life.stand |= {"assignee": f"E{self.random.randint(1, 9)}", "group": "桌面", "region": "华东"}
            life.say(TicketAssigned)
        for _ in range(self.random.randint(0, 8)):
            life.at += timedelta(seconds=self.random.choice([60, 3600, 90000]) * self.random.random())
            self.random.choice(life.steps)()
        life.clocks()

    def others(self, count: int) -> None:
        """Tell of messages, people, requests and refusals."""
        for _ in range(count):
            at, delivery = self._moment(), new_id()
            about: dict[str, Any] = {
                "delivery_id": delivery,
                "medium": self.random.choice(list(Medium)),
                "rule": "receipt",
                "about_type": TicketOpened.TYPE,
                "about_subject": "T1",
            }
            fact: Fact = NotificationAccepted(**about)
            if self.random.random() < 0.5:
                fact = NotificationFailed(**about, outcome=self.random.choice(["failed", "unknown", "cancelled"]))
            self.tell(fact, delivery, at, source="/liaison/notify", history=self.random.random() < 0.1)
            self._person(at)
            self.tell(EventRefused(publisher="erp"), "erp", at, source="/liaison/gateway", history=False)
            self.tell(TicketRequested(title="连不上 VPN"), new_id(), at, source="/erp", history=False)

    def learner(self, number: int) -> None:
        """Tell how one person takes one course: enrolled, perhaps failed, perhaps passed, perhaps twice."""
        at, history = self._moment(), self.random.random() < 0.2
        course, learner = f"C{number % 3}", f"E{number}"
        stand: dict[str, Any] = {
            "course": course,
            "course_title": "VPN 使用",
            "learner": learner,
            "department": self.random.choice(["销售部", "生产部", '研发"一"部', None]),
        }

        def say(fact: type[Fact], **more: Any) -> None:
            told = history and self.random.random() < 0.7
            self.tell(fact(**stand, **more), f"{course}/{learner}", at, source="/liaison/training", history=told)

        say(EnrolmentConfirmed, enrolled_at=at, reported=self.random.random() < 0.3)
        for attempt in range(1, self.random.randint(1, 4)):
            at += timedelta(hours=30 * self.random.random())
            if self.random.random() < 0.4:
                say(RetrainingAssigned, attempt=attempt, failed_at=at)
            else:
                say(CourseCompleted, attempt=attempt, completed_at=at, first=attempt == 1)

    def feedback(self) -> None:
        """Tell of one piece of feedback and of what its owner made of it."""
        at, number = self._moment(), new_id()
        history = self.random.random() < 0.2
        stand: dict[str, Any] = {
            "feedback_id": number,
            "text": "打印机又坏了",
            "way": self.random.choice(list(FeedbackWay)),
            "received_at": at,
            "status": FeedbackStatus.ACCEPTED,
            "score": self.random.choice([None, 1, 2, 3, 4, 5]),
            "department": "销售部",
            "author": self.random.choice([None, "E1"]),
        }
        self.tell(FeedbackReceived(**stand), number, at, source="/liaison/tickets", history=history)
        for _ in range(self.random.randint(0, 2)):
            at += timedelta(hours=self.random.random())
            stand["status"] = self.random.choice(list(FeedbackStatus))
            stand["feedback_class"] = self.random.choice([None, *FeedbackClass])
            answered = FeedbackAnswered(**stand, answer="已更换")
            # What was imported may be answered here.
            told = history and self.random.random() < 0.5
            self.tell(answered, number, at, source="/liaison/tickets", history=told)

    def knowledge(self) -> None:
        """Tell of an article, a suggestion and a missing answer."""
        at, article = self._moment(), new_id()
        stand: dict[str, Any] = {"article_id": article, "version": 1, "title": "重置密码", "language": Language.ZH_CN}
        facts: list[Fact] = [ArticleDrafted(**stand), ArticlePublished(**stand), ArticleRetired(**stand)]
        facts.append(ArticleRated(**stand, feedback_id="F1", score=self.random.choice([None, 1, 5])))
        found = [Suggestion(article_id=article, title="重置密码", url="http://desk.invalid/a")]
        facts.append(
            AnswerSuggested(
                suggested_for=self.random.choice(list(SuggestedFor)),
                about_subject="T1",
                suggestions=tuple(self.random.choice([found, []])),
            )
        )
        facts.append(SearchMissed(missed_by=self.random.choice(list(MissedBy))))
        for fact in facts:
            self.tell(fact, article, at, source="/liaison/knowledge", history=self.random.random() < 0.1)

    def alert(self) -> None:
        """Tell of an alert."""
        at, severity = self._moment(), self.random.choice(list(Severity))
        about: dict[str, Any] = {"fingerprint": new_id(), "alert": "ServiceDown", "severity": severity}
        self.tell(AlertFired(**about, starts_at=at), "a", at, source="/liaison/gateway", history=False)
        self.tell(AlertResolved(**about, starts_at=at, ended_at=at), "a", at, source="/liaison/gateway", history=False)

    def _person(self, at: datetime) -> None:
        number = f"E{self.random.randint(1, 9)}"
        person = PersonChanged(
            employee_number=number, version=len(self.events), name="张伟", active=self.random.random() < 0.6
        )
        self.tell(person, number, at, source="/hr", history=self.random.random() < 0.3)


class Life:
    """One ticket, told step by step. stand: what every event of it says."""

    def __init__(self, story: Story, number: str, opened_at: datetime, *, history: bool) -> None:
        self._story, self._random, self._history = story, story.random, history
        self.at = opened_at
        self._reopened = 0
        self.stand: dict[str, Any] = {
            "number": number,
            "title": "打印机坏了",
            "state": TicketState.NEW,
            "priority": self._random.randint(1, 4),
            "channel": self._random.choice(list(Channel)),
            "opened_at": opened_at,
        }
        self.steps = (
            lambda: self._go(TicketState.IN_PROGRESS, TicketResponded, responded_at=self.at),
            lambda: self._go(self._random.choice(_WAITING), TicketPaused, previous_state=self.stand["state"]),
            lambda: self._go(TicketState.IN_PROGRESS, TicketResumed, previous_state=self.stand["state"]),
            lambda: self._go(TicketState.RESOLVED, TicketResolved, resolved_at=self.at),
            lambda: self._go(TicketState.CLOSED, TicketClosed, closed_at=self.at),
            self._reopen,
            lambda: self._change(TicketChanged, priority=self._random.randint(1, 4)),
            lambda: self._change(TicketAssigned, assignee=None),
            lambda: self.say(TicketCommented, comment_id=new_id()),
        )

    def say(self, fact: type[Fact], **more: Any) -> None:
        """Tell of the ticket as it stands."""
        data = fact(**self.stand, **more)
        self._story.tell(data, self.stand["number"], self.at, source="/liaison/tickets", history=self._history)

    def _go(self, state: TicketState, fact: type[Fact], **more: Any) -> None:
        self.stand["state"] = state
        self.say(fact, **more)

    def _change(self, fact: type[Fact], **values: Any) -> None:
        self.stand |= values
        self.say(fact)

    def _reopen(self) -> None:
        self._reopened += 1
        self._go(TicketState.IN_PROGRESS, TicketReopened, reopened_at=self.at, reopen_count=self._reopened)

    def clocks(self) -> None:
        """Tell what became of the ticket's clocks."""
        chance = self._random.random
        for target in (Target.FIRST_RESPONSE, Target.SOLUTION):
            due_at = self.stand["opened_at"] + timedelta(hours=self._random.choice([1, 30, 800]) * chance())
            clock: dict[str, Any] = {"target": target, "cycle": 1, "due_at": due_at}
            if chance() < 0.5:
                self.say(SlaWarned, **clock, share=0.75)
            if chance() < 0.6:
                self.say(SlaBreached, **clock, retroactive=self._history)
            elif chance() < 0.5:
                self.say(SlaMet, **clock, stopped_at=due_at - timedelta(minutes=1))


def told(seed: int, *, tickets: int = 25, others: int = 20, now: datetime = NOW) -> list[Event[Any]]:
    """Return the events of a random story, each subject's in order."""
    story = Story(seed, now)
    for number in range(tickets):
        story.ticket(f"T{number}")
    story.others(others)
    for number in range(others):
        story.learner(number)
        story.feedback()
    for _ in range(others // 2):
        story.knowledge()
        story.alert()
    return story.events


def delivered(events: list[Event[Any]], seed: int) -> list[list[Event[Any]]]:
    """Return batches in which every event comes at least once and many come again, in any order."""
    chooser = random.Random(seed)
    copies = [event for event in events for _ in range(chooser.choice([1, 1, 1, 2, 3]))]
    chooser.shuffle(copies)
    batches = []
    while copies:
        size = chooser.choice([1, 7, 60, 200])
        batches.append(copies[:size])
        del copies[:size]
    return batches
