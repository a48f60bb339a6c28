"""What the page behind a signed link asks: the ticket as its requester sees it, and the answer to its solution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from contracts.tickets import Voice
from contracts.words import TicketState
from eventkit.errors import NotFound, RuleBroken
from services.tickets import rules, usecases
from services.tickets.closing.usecases import confirm, refuse
from services.tickets.closing.waiting import cycle_of
from services.tickets.sla.policy import Policy
from services.tickets.telling import Row, Via, called

if TYPE_CHECKING:
    from services.tickets.storage import TicketStore

_MOST_TEXT = 20_000


def show(store: TicketStore, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ticket for its requester: what the page shows, and whether an answer is asked for."""
    row = _own(store, arguments)
    comments = store.comments_of(row["number"], public_only=True)
    return _brief(row, arguments) | {
        "comments": [
            {"at": one["at"], "mine": one["actor"] == row["requester"], "body": one["body"]} for one in comments
        ],
    }


def _brief(row: Row, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "number": row["number"],
        "title": row["title"],
        "state": row["state"],
        "state_text": rules.state_text(TicketState(row["state"])),
        "opened_at": row["opened_at"],
        "solution": row["solution"],
        "asked": row["state"] == TicketState.RESOLVED and cycle_of(row) == int(arguments["cycle"]),
        "may_rate": row["requester"] not in (row["assignee"], row["resolved_by"]),
    }


def decide(store: TicketStore, policy: Policy, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Take the requester's answer: `confirm` with perhaps a rating and a comment, `refuse` with a reason.

    It counts once: a second one, or one about an earlier solution, is refused.
    """
    row = _own(store, arguments)
    if cycle_of(row) != int(arguments["cycle"]):
        raise RuleBroken("this was about an earlier solution", field="cycle")
    change = called(store, row["requester"], via=Via.PAGE)
    said = str(arguments.get("text") or "").strip()[:_MOST_TEXT]
    if arguments["decision"] == "confirm":
        row = confirm(store, policy, row, change, rating=_rating(arguments.get("rating")), comment=said)
    elif arguments["decision"] == "refuse":
        if not said:
            raise RuleBroken("say what is still wrong", field="text")
        row = refuse(store, policy, row, change, reason=said)
    else:
        raise RuleBroken("is neither confirm nor refuse", field="decision")
    return _brief(row, arguments)


def reply(store: TicketStore, policy: Policy, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Take a word of the requester's."""
    row = _own(store, arguments)
    said = str(arguments.get("text") or "").strip()[:_MOST_TEXT]
    if not said:
        raise RuleBroken("is empty", field="text")
    change = called(store, row["requester"], via=Via.PAGE)
    row = usecases.comment_on(store, policy, row, said, change, voice=Voice.REQUESTER)
    return _brief(row, arguments)


def _own(store: TicketStore, arguments: Mapping[str, Any]) -> Row:
    row = store.tickets.get(str(arguments["number"]))
    if row is None or row["requester"] is None or row["requester"] != arguments["person"]:
        raise NotFound("no such ticket", field="number")
    return row


def _rating(given: Any) -> int | None:
    if given in (None, ""):
        return None
    if str(given) not in ("1", "2", "3", "4", "5"):
        raise RuleBroken("is not a number from 1 to 5", field="rating")
    return int(given)
