"""What the knowledge service does with articles: load, decide by the rules, save, tell (K3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contracts.knowledge import ArticleDrafted, ArticlePublished, ArticleRated, ArticleRetired, Language
from contracts.tickets import TicketResolved
from eventkit.envelope import Event
from eventkit.errors import NotFound, RuleBroken
from services.knowledge import rules
from services.knowledge.cutting import language_of
from services.knowledge.rules import VERSION_FIELDS, Level, State

if TYPE_CHECKING:
    from services.knowledge.storage import KnowledgeStore

Row = dict[str, Any]


def draft(
    store: KnowledgeStore, fields: Mapping[str, Any], author: str | None, *, from_ticket: str | None = None
) -> Row:
    """Keep a new draft and tell of it.

    fields: VERSION_FIELDS and body. from_ticket: the solved ticket it was made of (K3).
    """
    row = store.articles.add(
        id=store.new_article_id(),
        state=State.DRAFT.value,
        version=1,
        source_ticket=from_ticket,
        by_hand=from_ticket is None,
        created_by=author,
        created_at=store.now,
        changed_at=store.now,
        retired_reason="",
        **{name: fields[name] for name in VERSION_FIELDS},
    )
    store.add_version(row, fields, author)
    store.work.emit(ArticleDrafted(**_told(row, 1), from_ticket=from_ticket), subject=row["id"])
    return row


def edit(store: KnowledgeStore, one: str, based_on: int, fields: Mapping[str, Any], author: str | None) -> Row:
    """Keep a new version of an article; what is published stays until the new version is.

    based_on: the version that the writer had before them. Raises RuleBroken when there is a newer one by now.
    """
    row = _article(store, one)
    state = State(row["state"])
    rules.check_edit(state, row["version"], based_on)
    values: Row = {"version": row["version"] + 1, "changed_at": store.now, "by_hand": True}
    if state is not State.PUBLISHED:
        # What was reviewed is not what it says now.
        values |= {"state": State.DRAFT.value} | {name: fields[name] for name in VERSION_FIELDS}
    row = store.articles.change(row, **values)
    store.add_version(row, fields, author)
    return row


def submit(store: KnowledgeStore, one: str) -> Row:
    """Ask for a review of a draft."""
    row = _article(store, one)
    rules.check_submit(State(row["state"]))
    return store.articles.change(row, state=State.IN_REVIEW.value, changed_at=store.now)


def publish(store: KnowledgeStore, one: str, answers: Sequence[str], publisher: str | None) -> Row:
    """Let people find the newest version. answers: missing answers that it is the answer to, besides its codes'."""
    row = _article(store, one)
    rules.check_publish(State(row["state"]), row["version"], row["published_version"])
    text = store.read_version(one, row["version"])
    if text is None:
        raise NotFound(f"no version {row['version']} of {one}", field="version")
    row = store.articles.change(
        row,
        state=State.PUBLISHED.value,
        published_version=row["version"],
        published_at=store.now,
        changed_at=store.now,
        **{name: text[name] for name in VERSION_FIELDS},
    )
    store.index(one, "article")
    _resolve_misses(store, row, answers)
    fact = ArticlePublished(**_told(row, row["version"]), published_by=publisher)
    store.work.emit(fact, subject=one)
    return row


def _resolve_misses(store: KnowledgeStore, row: Row, answers: Sequence[str]) -> None:
    for miss in store.open_misses_of(row["problem_codes"]):
        store.missing.change(miss, resolved_by=row["id"], resolved_at=store.now)
    for one in answers:
        found = store.missing.get(one)
        if found is None:
            raise NotFound(f"no missing answer {one}", field="answers")
        store.missing.change(found, resolved_by=row["id"], resolved_at=store.now)


def retire(store: KnowledgeStore, one: str, reason: str) -> Row:
    """Let nobody find an article any more."""
    row = _article(store, one)
    rules.check_retire(State(row["state"]))
    was_published = row["published_version"] is not None
    row = store.articles.change(
        row, state=State.RETIRED.value, retired_at=store.now, retired_reason=reason, changed_at=store.now
    )
    if was_published:
        store.index(one, "article")
        version = row["published_version"]
        store.work.emit(ArticleRetired(**_told(row, version), reason=reason), subject=one)
    return row


def rate(store: KnowledgeStore, one: str, score: int, text: str, reader: str) -> None:
    """Keep what a reader thinks of an article; a second rating replaces the first. score: 1 worst to 5 best."""
    row = _article(store, one)
    if row["state"] != State.PUBLISHED:
        raise RuleBroken("only a published article is rated", field="state")
    rating_id = f"{one}/{reader}"
    known = store.feedback.get(rating_id)
    if known is None:
        author = reader
        store.feedback.add(id=rating_id, article_id=one, score=score, text=text, author=author, received_at=store.now)
    else:
        store.feedback.change(known, score=score, text=text, received_at=store.now)
    tell_rated(store, row, rating_id, score)


def tell_rated(store: KnowledgeStore, row: Mapping[str, Any], feedback_id: str, score: int | None) -> None:
    """Tell that feedback about an article came in."""
    told = _told(row, row["published_version"] or row["version"])
    store.work.emit(ArticleRated(**told, feedback_id=feedback_id, score=score), subject=row["id"])


def draft_from_ticket(store: KnowledgeStore, event: Event[TicketResolved], categories: Sequence[str]) -> None:
    """Make a draft of how a ticket was solved, once for each ticket (K3).

    When it is solved anew, the draft says so, as long as nobody has worked on it. History drafts nothing: an import
    would flood the reviewers.
    """
    ticket = event.data
    if event.history or not rules.is_draftable(ticket.solution):
        return
    body = rules.draft_body(ticket.title, ticket.solution)
    category = ticket.category if ticket.category in categories else None
    fields = {
        "language": language_of(body),
        "category": category,
        "problem_codes": [ticket.problem_code] if ticket.problem_code else [],
        "level": Level.INTERNAL.value,
        "title": ticket.title,
        "body": body,
    }
    known = store.articles.get(ticket.number, column="source_ticket")
    if known is None:
        draft(store, fields, None, from_ticket=ticket.number)
    elif known["state"] == State.DRAFT and not known["by_hand"]:
        row = store.articles.change(
            known,
            version=known["version"] + 1,
            changed_at=store.now,
            **{name: fields[name] for name in VERSION_FIELDS},
        )
        store.add_version(row, fields, None)


def _article(store: KnowledgeStore, one: str) -> Row:
    row = store.articles.get(one)
    if row is None:
        raise NotFound(f"no article {one}", field="article_id")
    return row


def _told(row: Mapping[str, Any], version: int) -> dict[str, Any]:
    return {
        "article_id": row["id"],
        "version": version,
        # Above 内部, no text leaves the service (S6).
        "title": row["id"] if row["level"] == Level.SENSITIVE else row["title"],
        "language": Language(row["language"]),
        "category": row["category"],
        "problem_codes": tuple(row["problem_codes"]),
    }
