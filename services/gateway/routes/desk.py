"""The queue page of the desk's people: lists by view, and one ticket; made on the server, only looking.

A browser signs in with an access token, which a cookie of these pages alone carries on.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import parse_qs, quote, urlencode

from fastapi import Depends, Query, Request
from fastapi.responses import RedirectResponse, Response

from eventkit.blobs import BlobStore
from services.gateway import rules
from services.gateway.access import DESK_COOKIE, Permitted, Who, action, caller_with, guarded_router, parts_of
from services.gateway.asking import Asked
from services.gateway.html import page
from services.gateway.models.tickets import Ticket, TicketSearch
from services.gateway.routes.attachments import blobs_of, given_out

_TICKETS = Asked("tickets")
_SHIFT_S = 12 * 3600
_VIEWS = ("mine", "group", "due_soon", "unassigned")
router = guarded_router(prefix="/desk", include_in_schema=False)


async def form(request: Request) -> dict[str, str]:
    """Return a posted form's fields."""
    read = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=5)
    return {name: values[0] for name, values in read.items()}


@router.get("/sign-in", **action(rules.PUBLIC))
def sign_in_page(wrong: bool = False) -> Response:
    """Ask for an access token."""
    return page("sign_in.html", wrong=wrong)


@router.post("/sign-in", **action(rules.PUBLIC))
def sign_in(request: Request, given: Annotated[dict[str, str], Depends(form)]) -> Response:
    """Take an access token, and let the browser carry it on for a shift."""
    token = given.get("token", "").strip()
    if caller_with(parts_of(request), token) is None:
        return RedirectResponse("/desk/sign-in?wrong=1", 303)
    answer = RedirectResponse("/desk/queue", 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(
        DESK_COOKIE, token, max_age=_SHIFT_S, path="/desk", httponly=True, samesite="strict", secure=secure
    )
    return answer


@router.post("/sign-out", **action(rules.PUBLIC))
def sign_out() -> Response:
    """Forget the token."""
    answer = RedirectResponse("/desk/sign-in", 303)
    answer.delete_cookie(DESK_COOKIE, path="/desk")
    return answer


@router.get("/queue", **action("tickets.list"))
def queue(request: Request, who: Who, search: Annotated[TicketSearch, Query()]) -> Response:
    """Show a view of the queue, the least remaining time first."""
    view = search.view or ("group" if who.caller.groups else "unassigned" if who.scope is rules.Scope.ALL else "mine")
    filters = search.model_dump(exclude_none=True, exclude={"limit", "cursor", "view", "sort"})
    asked = {"filters": filters, "view": view, "sort": "due", "limit": search.limit, "cursor": search.cursor}
    found = _TICKETS.ask_for(request, who, "list_tickets", asked)
    now = datetime.now(UTC)
    rows = [_whole(one) | {"left": _left(one.get("due_next_at"), now)} for one in found["items"]]
    more = urlencode({"view": view, "q": search.q or "", "cursor": found["next_cursor"]})
    return page(
        "queue.html",
        who=_name(who),
        views=_VIEWS,
        view=view,
        q=search.q or "",
        rows=rows,
        more=f"/desk/queue?{more}" if found["next_cursor"] else None,
    )


@router.get("/tickets/{number}", **action("tickets.read"))
def ticket(request: Request, who: Who, number: str) -> Response:
    """Show one ticket: what it is about, what was said, its clocks, and what was changed."""

    def asked(method: str) -> Any:
        return _TICKETS.ask_for(request, who, method, {"number": number})

    may_audit = rules.scope_of(rules.Role(who.caller.role), "tickets.audit") is not rules.Scope.NONE
    return page(
        "ticket.html",
        who=_name(who),
        ticket=_whole(asked("get_ticket")),
        comments=asked("ticket_comments")["items"],
        files=[one | {"size": _size(one["size_bytes"])} for one in asked("ticket_attachments")["items"]],
        clocks=asked("explain_sla")["clocks"],
        changes=asked("ticket_changes")["items"] if may_audit else [],
        decisions=asked("ticket_assignments")["items"] if may_audit else [],
        address=f"/desk/tickets/{quote(number)}",
    )


@router.get("/tickets/{number}/files/{attachment_id}", **action("tickets.read"))
def file(
    request: Request, who: Who, number: str, attachment_id: str, blobs: Annotated[BlobStore, Depends(blobs_of)]
) -> Response:
    """Give a ticket's file out."""
    return given_out(request, who, number, attachment_id, blobs)


def _whole(found: Any) -> dict[str, Any]:
    """Return a ticket with every field that a page may show."""
    return Ticket.model_validate(found).model_dump(mode="json")


def _name(who: Permitted) -> str:
    return who.caller.person or who.caller.name


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e6 else f"{max(1, round(size_bytes / 1000))} kB"


def _left(due_at: str | None, now: datetime) -> dict[str, Any]:
    """Return the time that is left, as hours and minutes, and whether none is."""
    if due_at is None:
        return {"text": "", "late": False}
    left_s = (datetime.fromisoformat(due_at) - now).total_seconds()
    minutes = round(abs(left_s) / 60)
    text = f"{minutes // 1440} d {minutes % 1440 // 60} h" if minutes >= 1440 else f"{minutes // 60}:{minutes % 60:02}"
    return {"text": text, "late": left_s < 0}
