"""What becomes of feedback (T9): taken in with one owner, classified, answered, passed on; every step told and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from contracts.gateway import FeedbackSubmitted
from contracts.tickets import FeedbackAnswered, FeedbackAssigned, FeedbackReceived
from contracts.words import FeedbackClass, FeedbackStatus
from eventkit.errors import BadMessage, RuleBroken
from services.tickets.feedback import rules
from services.tickets.feedback.rules import Owners
from services.tickets.telling import Change, Row
from services.tickets.usecases import request_key

if TYPE_CHECKING:
    from services.tickets.feedback.storage import FeedbackStore
    from services.tickets.settings import Settings

#: Whoever has a receipt can add information; this keeps a table from growing without end.
MOST_ADDITIONS = 50


def take_in(
    store: FeedbackStore,
    settings: Settings,
    said: FeedbackSubmitted,
    change: Change,
    *,
    key: str | None = None,
    externalref: str | None = None,
    receipt_hash: str | None = None,
) -> Row:
    """Keep what somebody said, find its one owner and tell; what came with the same key before is returned as it is.

    key: the sender's own key within its source. receipt_hash: SHA-256 of the code that reads the status.
    """
    known = store.earlier(key, receipt_hash)
    if known is not None:
        return known
    row = _new_row(store, settings, said, change, key, receipt_hash)
    store.note(row["id"], change.moment, change.actor, "status", after=row["status"])
    store.note(row["id"], change.moment, change.actor, "owner", after=row["owner"])
    # Who typed an anonymous slip in is not its author, and readers of the event could take them for it.
    teller = change.actor if row["author"] else store.work.source
    _tell(store, FeedbackReceived, row, replace(change, actor=teller), externalref if row["author"] else None)
    return row


def _new_row(
    store: FeedbackStore,
    settings: Settings,
    said: FeedbackSubmitted,
    change: Change,
    key: str | None,
    receipt_hash: str | None,
) -> Row:
    owners = settings.owners
    people = store.people([*owners.everybody, *([said.author] if said.author else [])])
    author = people.get(said.author) if said.author else None
    department = said.department or (author["department"] if author else None)
    candidates = owners.candidates(said.problem_code, department)
    return store.rows.add(
        id=feedback_id(settings.policy.year_of(change.moment), store.next_number()),
        request_key=key,
        receipt_hash=receipt_hash,
        text=said.text,
        way=str(said.way),
        status=str(FeedbackStatus.ACCEPTED),
        feedback_class=None,
        owner=_first_there(people, candidates, change.moment, author=said.author),
        author=said.author,
        department=department,
        score=said.score,
        about_ticket=said.about_ticket,
        about_article=said.about_article,
        problem_code=said.problem_code,
        answer="",
        received_at=change.moment,
        changed_at=change.moment,
        history=change.history,
    )


def feedback_id(year: int, running: int) -> str:
    """Return a feedback's number, such as F2026-000123. year: as the desk's own clock shows it."""
    return f"F{year}-{running:06d}"


def take_in_event(
    store: FeedbackStore,
    settings: Settings,
    said: FeedbackSubmitted,
    change: Change,
    *,
    source: str,
    externalref: str | None,
) -> None:
    """Keep what another system sent. Raises BadMessage for a receipt that another text has already."""
    key = request_key(source, externalref)
    anonymous = said.author is None
    change = replace(change, actor=source) if anonymous else change
    receipt = said.receipt_hash if anonymous else None
    row = take_in(store, settings, said, change, key=key, externalref=externalref, receipt_hash=receipt)
    if receipt and row["receipt_hash"] == receipt and row["text"] != said.text:
        raise BadMessage("is the receipt of other feedback already", field="receipt_hash")


def classify(store: FeedbackStore, row: Row, feedback_class: FeedbackClass, change: Change) -> Row:
    """Say what becomes of feedback: 可改进, 需协调 or 已解决. Raises RuleBroken when it stands so already."""
    before = _class_of(row)
    if reason := rules.class_problem(before, feedback_class):
        raise RuleBroken(reason, field="class")
    row = _change(store, row, change, feedback_class=str(feedback_class))
    _tell(store, FeedbackAnswered, row, change, **_answered(row, row["status"], before))
    return row


def answer(store: FeedbackStore, row: Row, status: FeedbackStatus, said: str, change: Change) -> Row:
    """Give feedback a status and what its author may read. Raises RuleBroken for an impossible step."""
    before, class_before = FeedbackStatus(row["status"]), _class_of(row)
    if problem := rules.step_problem(before, status, answer=said, known_answer=row["answer"]):
        raise RuleBroken(problem[1], field=problem[0])
    class_after = rules.class_after(status, class_before)
    row = _change(
        store,
        row,
        change,
        status=str(status),
        answer=said.strip() or row["answer"],
        feedback_class=str(class_after) if class_after else None,
    )
    _tell(store, FeedbackAnswered, row, change, **_answered(row, before, class_before))
    return row


def add_information(store: FeedbackStore, row: Row, said: str, change: Change) -> Row:
    """Keep what an author adds; the owner takes the feedback up again (已受理). Raises RuleBroken after too many."""
    if store.additions(row["id"]) >= MOST_ADDITIONS:
        raise RuleBroken("too much was added already; submit it as feedback of its own", field="text")
    store.note(row["id"], change.moment, change.actor, "information", after=said)
    before = row["status"]
    if before == FeedbackStatus.ACCEPTED:
        return row
    row = _change(store, row, change, status=str(FeedbackStatus.ACCEPTED))
    _tell(store, FeedbackAnswered, row, change, **_answered(row, before, _class_of(row)))
    return row


def assign(store: FeedbackStore, row: Row, owner: str, change: Change) -> Row:
    """Have somebody else follow feedback up. Raises RuleBroken for somebody who is not there, and for its author."""
    if owner == row["owner"]:
        raise RuleBroken(f"{owner} follows it up already", field="owner")
    people = store.people([owner])
    if _first_there(people, [owner], change.moment, author=row["author"]) is None:
        raise RuleBroken("is unknown, has left, is away, or wrote it", field="owner")
    return _pass_on(store, row, owner, change, reason="asked for")


def follow_person(store: FeedbackStore, owners: Owners, employee_number: str, change: Change) -> None:
    """Hand over what somebody follows up who has left; what nobody can follow up has no owner, and that is told."""
    person = store.person(employee_number)
    if change.history or person is None or person["active"]:
        return
    rows = store.open_of(employee_number)
    people = store.people(owners.everybody) if rows else {}
    for row in rows:
        candidates = owners.candidates(row["problem_code"], row["department"])
        owner = _first_there(people, candidates, change.moment, author=row["author"])
        _pass_on(store, row, owner, change, reason="the owner left")


def _pass_on(store: FeedbackStore, row: Row, owner: str | None, change: Change, *, reason: str) -> Row:
    previous = row["owner"]
    row = _change(store, row, change, reason, owner=owner)
    _tell(store, FeedbackAssigned, row, change, previous_owner=previous, reason=reason)
    return row


def _first_there(
    people: Mapping[str, Row], candidates: Sequence[str], moment: datetime, *, author: str | None
) -> str | None:
    there = {number for number, person in people.items() if rules.is_there(person, moment)}
    return rules.choose_owner(candidates, there, author=author)


def _class_of(row: Row) -> FeedbackClass | None:
    return FeedbackClass(row["feedback_class"]) if row["feedback_class"] else None


def _answered(row: Row, status: str, feedback_class: FeedbackClass | None) -> dict[str, Any]:
    return {
        "answer": row["answer"],
        "previous_status": FeedbackStatus(status),
        "previous_class": feedback_class,
    }


def _change(store: FeedbackStore, row: Row, change: Change, reason: str = "", **values: Any) -> Row:
    """Write new values and, for each that differs, who changed what (S4)."""
    moment = max(change.moment, row["changed_at"])
    for name, value in values.items():
        if value != row[name]:
            store.note(row["id"], moment, change.actor, name, before=row[name] or None, after=value, reason=reason)
    return store.rows.change(row, changed_at=moment, **values)


def _tell(
    store: FeedbackStore, fact: Any, row: Row, change: Change, externalref: str | None = None, **more: Any
) -> None:
    """Announce a fact about feedback, with what every reader needs to know of it."""
    data = fact(
        feedback_id=row["id"],
        text=row["text"],
        way=row["way"],
        received_at=row["received_at"],
        status=row["status"],
        feedback_class=row["feedback_class"],
        owner=row["owner"],
        author=row["author"],
        department=row["department"],
        score=row["score"],
        about_ticket=row["about_ticket"],
        about_article=row["about_article"],
        problem_code=row["problem_code"],
        **more,
    )
    moment = max(change.moment, row["changed_at"])
    store.work.emit(data, subject=row["id"], time=moment, actor=change.actor, externalref=externalref)
