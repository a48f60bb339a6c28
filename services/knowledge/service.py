"""Every way into the knowledge service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.knowledge import (
    AnswerSuggested,
    ArticleDrafted,
    ArticlePublished,
    ArticleRated,
    ArticleRetired,
    SearchMissed,
)
from contracts.tickets import FeedbackReceived, SlaBreached, TicketOpened, TicketResolved
from contracts.training import CourseCompleted
from eventkit.definition import Done, Failed, Unknown
from eventkit.envelope import Event
from eventkit.service import AtStart, Configured, Outside, Shows, Stored, answers, fires, handles, records
from eventkit.timers import Timer
from services.knowledge import calls, courses, missing, suggesting, usecases
from services.knowledge.cutting import warm_up
from services.knowledge.gauges import IndexGauges
from services.knowledge.librarian import Librarian
from services.knowledge.rules import Found
from services.knowledge.settings import Settings
from services.knowledge.storage import KnowledgeStore


class KnowledgeService:
    """Keeps articles, has them found, and keeps what nobody has answered yet."""

    name = "knowledge"
    gather_s = 0.1
    store: KnowledgeStore = Stored(KnowledgeStore)
    settings: Settings = Configured(Settings.from_env)
    librarian: Librarian = Outside(Librarian)
    gauges = Shows(IndexGauges)
    # Reading them takes half a second, which the first question should not wait for.
    dictionaries = AtStart(warm_up)

    # The order within a ticket does not matter: a suggestion stands for itself.
    @handles(TicketOpened, ordered=False)
    def on_ticket_opened(self, event: Event[TicketOpened]) -> None:
        """Look for articles that may help (K5)."""
        suggesting.look_for(self.store, event)

    def suggest(self, job: Timer) -> list[Found]:
        """Search; the receipt waits for it, so it is asked once."""
        return self.librarian.suggest(job)

    @records("suggest", call="suggest", repeat_after_crash=True, lease_s=10.0, emits=(AnswerSuggested,))
    def on_suggested(self, job: Timer, outcome: Done | Failed | Unknown) -> None:
        """Tell what was found, or that the search did not answer."""
        found = outcome.value if isinstance(outcome, Done) else None
        suggesting.tell(self.store, job, found, self.settings.url)

    def load_resolved(self, events: Sequence[Event[TicketResolved]]) -> None:
        """Lock and read in one statement the drafts of these tickets."""
        self.store.articles.preload([event.data.number for event in events], column="source_ticket")

    @handles(TicketResolved, preload="load_resolved", emits=(ArticleDrafted,))
    def on_ticket_resolved(self, event: Event[TicketResolved]) -> None:
        """Make a draft of a solution (K3)."""
        usecases.draft_from_ticket(self.store, event, self.settings.categories)

    def load_breached(self, events: Sequence[Event[SlaBreached]]) -> None:
        """Read in two statements what is covered and what is known to be missing."""
        self.store.load_breached([event.data.problem_code for event in events if event.data.problem_code])

    @handles(SlaBreached, preload="load_breached", emits=(SearchMissed,), ordered=False)
    def on_sla_breached(self, event: Event[SlaBreached]) -> None:
        """A problem that takes too long and that no article is about (K7)."""
        missing.note_breach(self.store, event)

    def load_courses(self, events: Sequence[Event[CourseCompleted]]) -> None:
        """Lock and read in one statement what is known of these courses."""
        self.store.load_materials([event.data.course for event in events])

    @handles(CourseCompleted, preload="load_courses", emits=(AnswerSuggested,))
    def on_course_completed(self, event: Event[CourseCompleted]) -> None:
        """Have the materials found, and give the learner a reading list."""
        courses.take_course(self.store, event, self.settings.url)

    def load_articles(self, events: Sequence[Event[FeedbackReceived]]) -> None:
        """Lock and read in two statements the articles that feedback is about, and what is known of the feedback."""
        self.store.articles.preload([event.data.about_article for event in events if event.data.about_article])
        self.store.feedback.preload([event.data.feedback_id for event in events])

    @handles(FeedbackReceived, preload="load_articles", emits=(ArticleRated,))
    def on_feedback_received(self, event: Event[FeedbackReceived]) -> None:
        """Attach feedback to its article, or see whether there is an answer to it."""
        missing.take_feedback(self.store, event)

    def look_up_feedback(self, job: Timer) -> bool:
        """Search for an answer to feedback."""
        return self.librarian.look_up(job)

    @records("look_up_feedback", call="look_up_feedback", repeat_after_crash=True, emits=(SearchMissed,))
    def on_feedback_looked_up(self, job: Timer, outcome: Done | Failed | Unknown) -> None:
        """Keep feedback that nothing answers."""
        missing.note_feedback(self.store, job.payload, isinstance(outcome, Done) and outcome.value)

    def put_in(self, job: Timer) -> int:
        """Bring the index to what the database says."""
        return self.librarian.put_in(job)

    @records("index", call="put_in", repeat_after_crash=True)
    def on_put_in(self, job: Timer, outcome: Done | Failed | Unknown) -> None:
        """Keep which version the index has."""
        if isinstance(outcome, Done):
            self.store.indexed(job.key, outcome.value)

    def rebuild_lost(self, job: Timer) -> None:
        """Build the index anew from the database."""
        self.librarian.rebuild(job)

    @records("rebuild", call="rebuild_lost", repeat_after_crash=True)
    def on_rebuilt(self, job: Timer, outcome: Done | Failed | Unknown) -> None:
        """Keep nothing: whether there is an index, the search server knows."""

    def load_searched(self, timers: Sequence[Timer]) -> None:
        """Lock what is known of these questions."""
        self.store.missing.preload([timer.subject for timer in timers])

    @fires("note_search", preload="load_searched", emits=(SearchMissed,))
    def on_search_settled(self, timer: Timer) -> None:
        """Keep a question that found nothing."""
        missing.note_search(self.store, timer.payload, timer.due_at)

    @answers()
    def search(self, arguments: Mapping[str, Any]) -> Any:
        """Look for articles and materials (K2)."""
        return calls.search(self.store, self.librarian, self.settings.url, arguments)

    @answers(command=True, emits=(ArticleDrafted,))
    def create_article(self, arguments: Mapping[str, Any]) -> Any:
        """Write a draft."""
        return calls.create_article(self.store, self.settings.categories, arguments)

    @answers(command=True)
    def edit_article(self, arguments: Mapping[str, Any]) -> Any:
        """Write a new version."""
        return calls.edit_article(self.store, self.settings.categories, arguments)

    @answers(command=True)
    def submit_article(self, arguments: Mapping[str, Any]) -> Any:
        """Ask for a review."""
        return calls.submit_article(self.store, arguments)

    @answers(command=True, emits=(ArticlePublished,))
    def publish_article(self, arguments: Mapping[str, Any]) -> Any:
        """Let people find it."""
        return calls.publish_article(self.store, arguments)

    @answers(command=True, emits=(ArticleRetired,))
    def retire_article(self, arguments: Mapping[str, Any]) -> Any:
        """Let nobody find it any more."""
        return calls.retire_article(self.store, arguments)

    @answers(command=True, emits=(ArticleRated,))
    def rate_article(self, arguments: Mapping[str, Any]) -> Any:
        """Say what one thinks of it."""
        return calls.rate_article(self.store, arguments)

    @answers()
    def get_article(self, arguments: Mapping[str, Any]) -> Any:
        """Show one article."""
        return calls.get_article(self.store, arguments)

    @answers()
    def list_articles(self, arguments: Mapping[str, Any]) -> Any:
        """Show a page of articles."""
        return calls.list_articles(self.store, arguments)

    @answers()
    def list_missing_answers(self, arguments: Mapping[str, Any]) -> Any:
        """Show what nobody has answered yet."""
        return calls.list_missing_answers(self.store, arguments)
