"""What the gateway may ask about feedback: arguments checked, scope enforced, answers as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from contracts.gateway import FeedbackSubmitted
from contracts.words import FeedbackClass, FeedbackStatus, FeedbackWay
from eventkit.arguments import checked
from eventkit.errors import NotFound, RuleBroken
from services.tickets.calls import MAX_PAGE
from services.tickets.feedback import rules, usecases
from services.tickets.telling import Row, called

if TYPE_CHECKING:
    from services.tickets.feedback.storage import FeedbackStore
    from services.tickets.settings import Settings

_STATUS = ("status", "feedback_class", "answer", "received_at", "changed_at")
_SHOWN = (
    *_STATUS,
    "text",
    "way",
    "owner",
    "author",
    "department",
    "score",
    "about_ticket",
    "about_article",
    "problem_code",
)
#: What an author is shown of the changes: what became of the feedback, not who did it.
_FOR_AUTHORS = frozenset({"status", "feedback_class", "answer", "information"})


def shown(row: Row) -> dict[str, Any]:
    """Return feedback as those see it who follow it up, and its named author."""
    return _status(row) | {name: row[name] for name in _SHOWN}


def _status(row: Row) -> dict[str, Any]:
    feedback_class = row["feedback_class"]
    texts = {
        "feedback_id": row["id"],
        "status_text": rules.STATUS_TEXTS[FeedbackStatus(row["status"])],
        "class_text": rules.CLASS_TEXTS[FeedbackClass(feedback_class)] if feedback_class else None,
    }
    return texts | {name: row[name] for name in _STATUS}


def submit(store: FeedbackStore, settings: Settings, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Take feedback in and return its status, without its text or anybody's name: the answer is kept for repeats.

    arguments: those of `FeedbackSubmitted`; `receipt`, the hash of the code that reads the status.
    Raises RuleBroken naming the field.
    """
    said = checked(FeedbackSubmitted, arguments)
    scope = arguments.get("scope") or {}
    if scope.get("kind") == "own" and said.author not in (None, scope.get("person")):
        raise RuleBroken("only for yourself; a specialist may submit for somebody else", field="author")
    if scope.get("kind") == "own" and said.way is not FeedbackWay.WEB:
        raise RuleBroken("what came in by another way is typed in by a specialist", field="way")
    if said.author is None and said.about_ticket:
        raise RuleBroken("a ticket leads to whoever asked for it: leave it out, or sign", field="about_ticket")
    change = called(store, actor)
    return _status(usecases.take_in(store, settings, said, change, receipt_hash=arguments.get("receipt")))


def get(store: FeedbackStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return feedback with its changes. Raises NotFound also when the caller may not see it."""
    scope = arguments.get("scope") or {}
    row = _visible(store, arguments)
    changes = store.changes(row["id"])
    if not rules.may_follow_up(row, scope) and rules.is_person(row["author"], scope):
        changes = [change | {"actor": None} for change in changes if change["field"] in _FOR_AUTHORS]
    return shown(row) | {"changes": changes}


def listed(store: FeedbackStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a page of the feedback that the caller may see, newest first, and the cursor of the next page."""
    limit = min(max(int(arguments.get("limit") or 50), 1), MAX_PAGE)
    scope, filters = arguments.get("scope") or {}, arguments.get("filters") or {}
    rows = store.listed(scope, filters, after=arguments.get("cursor"), limit=limit + 1)
    page = rows[:limit]
    return {"items": [shown(row) for row in page], "next_cursor": page[-1]["id"] if len(rows) > limit else None}


def classify(store: FeedbackStore, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Say what becomes of feedback and return it."""
    row = _followed(store, arguments)
    return shown(usecases.classify(store, row, FeedbackClass(arguments["class"]), called(store, actor)))


def answer(store: FeedbackStore, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Give feedback a status and an answer and return it."""
    row, said = _followed(store, arguments), arguments.get("answer") or ""
    status = FeedbackStatus(arguments["status"])
    return shown(usecases.answer(store, row, status, said, called(store, actor)))


def assign(store: FeedbackStore, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Have somebody else follow feedback up and return it."""
    row = _followed(store, arguments)
    return shown(usecases.assign(store, row, arguments["owner"], called(store, actor)))


def add_information(store: FeedbackStore, arguments: Mapping[str, Any], actor: str | None) -> dict[str, Any]:
    """Add what a named author has to add, and return the status."""
    row = _visible(store, arguments)
    if not rules.is_person(row["author"], arguments.get("scope") or {}):
        raise RuleBroken("only its author adds to feedback; whoever follows it up answers it", field="feedback_id")
    return _added(store, row, arguments["text"], actor)


def add_by_receipt(store: FeedbackStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Add what the holder of a receipt has to add, and return the status. Raises NotFound for an unknown receipt."""
    return _added(store, _by_receipt(store, arguments), arguments["text"], None)


def status(store: FeedbackStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the holder of a receipt may know. Raises NotFound for an unknown receipt."""
    return _status(_by_receipt(store, arguments))


def _added(store: FeedbackStore, row: Row, text: str, actor: str | None) -> dict[str, Any]:
    return _status(usecases.add_information(store, row, text, called(store, actor)))


def _by_receipt(store: FeedbackStore, arguments: Mapping[str, Any]) -> Row:
    row = store.rows.get(arguments["receipt"], column="receipt_hash")
    if row is None:
        raise NotFound("no feedback has this receipt code", field="code")
    return row


def _visible(store: FeedbackStore, arguments: Mapping[str, Any]) -> Row:
    row = store.rows.get(arguments["feedback_id"])
    if row is None or not rules.is_visible(row, arguments.get("scope") or {}):
        raise NotFound(f"no feedback {arguments['feedback_id']}", field="feedback_id")
    return row


def _followed(store: FeedbackStore, arguments: Mapping[str, Any]) -> Row:
    row = _visible(store, arguments)
    if not rules.may_follow_up(row, arguments.get("scope") or {}):
        raise RuleBroken("only whoever follows it up may do this", field="feedback_id")
    return row
