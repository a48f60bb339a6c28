"""The page behind a signed link (T5): a requester sees a ticket, answers its solution, adds a word; no sign-in.

Looking changes nothing, so that a chat's link preview decides nothing; each answer is a form that is posted.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qs

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse, Response

from eventkit.errors import DeadlinePassed, NotFound, RuleBroken, Unavailable
from services.gateway import rules
from services.gateway.access import action, guarded_router, parts_of
from services.gateway.html import DEFAULT_LANGUAGE, page

router = guarded_router(prefix="/t", include_in_schema=False)
#: What the page says after a form was posted, by the word for it in the address.
_DONE = {"thanks", "sent"}


class Holder(NamedTuple):
    """What a link says: whose ticket, which of its solutions, for whom, in which language."""

    number: str
    cycle: int
    person: str
    language: str


class _NoLink(Exception):
    """The link is not ours, or has expired."""


def holder(request: Request, token: str) -> Holder:
    """Return what a link says. Raises _NoLink."""
    links = parts_of(request).links
    if links is None:
        raise _NoLink
    try:
        says = links.read(token)
        return Holder(str(says["n"]), int(says["c"]), str(says["p"]), str(says.get("l", DEFAULT_LANGUAGE)))
    except (NotFound, RuleBroken, KeyError, ValueError):
        raise _NoLink from None


async def form(request: Request) -> dict[str, str]:
    """Return a posted form's fields."""
    read = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=20)
    return {name: values[0] for name, values in read.items()}


Form = Annotated[dict[str, str], Depends(form)]


@router.get("/{token}", **action(rules.PUBLIC))
def show(request: Request, token: str, done: str = "") -> Response:
    """Show the ticket, and ask for an answer while one is wanted. Changes nothing."""
    return _shown(request, token, "ticket_for_requester", {}, done=done if done in _DONE else "")


@router.post("/{token}/confirm", **action(rules.PUBLIC))
def confirm(request: Request, token: str, given: Form) -> Response:
    """Say that it is solved, perhaps with a rating and a word."""
    wish = {"decision": "confirm", "rating": given.get("rating"), "text": given.get("text", "")}
    return _shown(request, token, "decide_solution", wish, then="thanks")


@router.post("/{token}/refuse", **action(rules.PUBLIC))
def refuse(request: Request, token: str, given: Form) -> Response:
    """Say that it is not solved, and why."""
    return _shown(
        request, token, "decide_solution", {"decision": "refuse", "text": given.get("text", "")}, then="thanks"
    )


@router.post("/{token}/reply", **action(rules.PUBLIC))
def reply(request: Request, token: str, given: Form) -> Response:
    """Add a word."""
    return _shown(request, token, "reply_to_ticket", {"text": given.get("text", "")}, then="sent")


def _shown(
    request: Request, token: str, method: str, wish: dict[str, Any], *, done: str = "", then: str = ""
) -> Response:
    """Ask the tickets service and show what it says; after a form, by an address that can be loaded again."""
    language, base = DEFAULT_LANGUAGE, f"/t/{token}"
    try:
        found = holder(request, token)
        language = found.language
        who = {"number": found.number, "cycle": found.cycle, "person": found.person}
        rpc = parts_of(request).rpc
        try:
            ticket = rpc.call("tickets", method, who | wish, actor=found.person)
        except NotFound:
            raise _NoLink from None
        except RuleBroken as refused:
            ticket = rpc.call("tickets", "ticket_for_requester", who, actor=found.person)
            return page(
                "answer.html", language=language, status=422, ticket=ticket, base=base, done="", problem=str(refused)
            )
    except _NoLink:
        return page("problem.html", language=language, status=404, reason="gone")
    except (DeadlinePassed, Unavailable):
        return page("problem.html", language=language, status=503, reason="later")
    if then:
        return RedirectResponse(f"{base}?done={then}", 303, {"Cache-Control": "no-store"})
    return page("answer.html", language=language, ticket=ticket, base=base, done=done, problem="")
