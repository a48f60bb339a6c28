"""What nobody has answered yet (K7): missed clocks, feedback and searches without an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from contracts.knowledge import Language, MissedBy, SearchMissed
from contracts.tickets import FeedbackReceived, SlaBreached
from eventkit.envelope import Event
from services.knowledge import rules
from services.knowledge.cutting import language_of
from services.knowledge.rules import MissKind
from services.knowledge.usecases import tell_rated

if TYPE_CHECKING:
    from services.knowledge.storage import KnowledgeStore


@dataclass(frozen=True, slots=True)
class Miss:
    """An answer that was missing once more. key: what it is known by; example: a text that shows what is missing."""

    kind: MissKind
    key: str
    missed_by: MissedBy
    at: datetime
    example: str
    example_by: str | None
    problem_code: str | None = None


def note_breach(store: KnowledgeStore, event: Event[SlaBreached]) -> None:
    """Keep a missed clock's problem code as a missing answer, unless a published article is about it."""
    ticket, code = event.data, event.data.problem_code
    if code and not store.is_covered(code):
        example = rules.example_of(ticket.title)
        note(store, Miss(MissKind.PROBLEM_CODE, code, MissedBy.BREACH, event.time, example, ticket.requester, code))


def take_feedback(store: KnowledgeStore, event: Event[FeedbackReceived]) -> None:
    """Attach feedback to the article that it is about; look for an answer to other feedback."""
    data = event.data
    row = store.articles.get(data.about_article) if data.about_article else None
    if row is not None:
        if store.feedback.get(data.feedback_id) is None:
            store.feedback.add(
                id=data.feedback_id,
                article_id=row["id"],
                score=data.score,
                text=data.text,
                author=data.author,
                received_at=data.received_at,
            )
            tell_rated(store, row, data.feedback_id, data.score)
    elif not event.history:
        payload = {
            "text": rules.example_of(data.text),
            "code": data.problem_code,
            "author": data.author,
            "at": event.time.isoformat(),
        }
        store.work.job("look_up_feedback", key=data.feedback_id, subject=data.feedback_id, payload=payload)


def note_feedback(store: KnowledgeStore, payload: Mapping[str, Any], is_answered: bool) -> None:
    """Keep feedback as a missing answer, unless an article about its code, or a good hit, answers it."""
    code, text = payload["code"], payload["text"]
    if is_answered or (code and store.is_covered(code)):
        return
    kind, key = (MissKind.PROBLEM_CODE, code) if code else (MissKind.FEEDBACK, text.lower())
    at = datetime.fromisoformat(payload["at"])
    note(store, Miss(kind, key, MissedBy.FEEDBACK, at, text, payload["author"], code))


def note_search(store: KnowledgeStore, payload: Mapping[str, Any], at: datetime) -> None:
    """Keep a question whose search found nothing."""
    note(store, Miss(MissKind.QUERY, payload["key"], MissedBy.SEARCH, at, payload["text"], payload["person"]))


def note(store: KnowledgeStore, miss: Miss) -> None:
    """Count a missing answer once more, open it again if it was resolved, and tell of it."""
    one = rules.miss_id(miss.kind, miss.key)
    language = language_of(miss.example)
    row = store.missing.get(one)
    if row is None:
        store.missing.add(
            id=one,
            kind=miss.kind.value,
            key=rules.kept_key(miss.kind, miss.key),
            problem_code=miss.problem_code,
            language=language,
            example=miss.example,
            example_by=miss.example_by,
            count=1,
            first_seen_at=miss.at,
            last_seen_at=miss.at,
        )
    else:
        store.missing.change(
            row,
            count=row["count"] + 1,
            first_seen_at=min(row["first_seen_at"], miss.at),
            last_seen_at=max(row["last_seen_at"], miss.at),
            resolved_by=None,
            resolved_at=None,
        )
    fact = SearchMissed(missed_by=miss.missed_by, problem_code=miss.problem_code, language=Language(language))
    store.work.emit(fact, subject=one)
