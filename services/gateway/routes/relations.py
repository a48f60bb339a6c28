"""The routes about changing tickets, one or many, and about what binds them: links, merging, watchers, quick texts."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from services.gateway.access import Who, action, guarded_router
from services.gateway.asking import Asked
from services.gateway.models.relations import (
    Links,
    LinkWish,
    ManyChanged,
    ManyClosed,
    ManyDone,
    Merging,
    QuickText,
    QuickTexts,
    QuickTextWish,
    TicketChange,
    Watching,
)
from services.gateway.models.tickets import Ticket
from services.gateway.routes.tickets import IdempotencyKey

_TICKETS = Asked("tickets")
router = guarded_router(tags=["tickets"])
_WRONG = (400, 404, 422)


def _given(body: Any) -> dict[str, Any]:
    found: dict[str, Any] = body.model_dump(exclude_none=True)
    return found


@router.patch(
    "/v1/tickets/{number}", response_model=Ticket, summary="修改工单", **action("tickets.change", problems=_WRONG)
)
def change_ticket(
    request: Request, who: Who, number: str, body: TicketChange, idempotency_key: IdempotencyKey = None
) -> Any:
    """Change fields, holder or state; solving, closing and reopening have commands of their own."""
    return _TICKETS.ask_for(request, who, "change_ticket", _given(body) | {"number": number}, idempotency_key)


@router.post(
    "/v1/tickets/bulk/change",
    response_model=ManyDone,
    summary="批量修改或分派",
    **action("tickets.change", problems=(400, 422)),
)
def change_many(request: Request, who: Who, body: ManyChanged, idempotency_key: IdempotencyKey = None) -> Any:
    """Change many tickets alike, such as giving them to somebody."""
    return _TICKETS.ask_for(request, who, "change_many", _given(body), idempotency_key)


@router.post(
    "/v1/tickets/bulk/close",
    response_model=ManyDone,
    summary="批量关闭",
    **action("tickets.close", problems=(400, 422)),
)
def close_many(request: Request, who: Who, body: ManyClosed, idempotency_key: IdempotencyKey = None) -> Any:
    """Close many resolved tickets."""
    return _TICKETS.ask_for(request, who, "close_many", _given(body), idempotency_key)


@router.get(
    "/v1/tickets/{number}/links",
    response_model=Links,
    summary="关联与关注",
    **action("tickets.read", problems=(404,)),
)
def ticket_links(request: Request, who: Who, number: str) -> Any:
    """Show a ticket's links and who watches it."""
    return _TICKETS.ask_for(request, who, "ticket_links", {"number": number})


@router.post(
    "/v1/tickets/{number}/links", response_model=Links, summary="关联工单", **action("tickets.change", problems=_WRONG)
)
def link_ticket(request: Request, who: Who, number: str, body: LinkWish, idempotency_key: IdempotencyKey = None) -> Any:
    """Link a ticket to another, or take a link away."""
    return _TICKETS.ask_for(request, who, "link_ticket", _given(body) | {"number": number}, idempotency_key)


@router.post(
    "/v1/tickets/{number}/merge", response_model=Ticket, summary="合并工单", **action("tickets.change", problems=_WRONG)
)
def merge_ticket(request: Request, who: Who, number: str, body: Merging, idempotency_key: IdempotencyKey = None) -> Any:
    """Close a ticket as the duplicate of another, which takes over its requester and watchers."""
    return _TICKETS.ask_for(request, who, "merge_ticket", _given(body) | {"number": number}, idempotency_key)


@router.post(
    "/v1/tickets/{number}/watchers",
    response_model=Links,
    summary="关注工单",
    **action("tickets.comment", problems=_WRONG),
)
def watch_ticket(
    request: Request, who: Who, number: str, body: Watching, idempotency_key: IdempotencyKey = None
) -> Any:
    """Be told of what becomes of a ticket, or no more; the desk may let others watch."""
    return _TICKETS.ask_for(request, who, "watch_ticket", _given(body) | {"number": number}, idempotency_key)


@router.get("/v1/quick-texts", response_model=QuickTexts, summary="常用语", **action("quick_texts.list"))
def quick_texts(request: Request, who: Who) -> Any:
    """Show the quick texts."""
    return _TICKETS.ask_for(request, who, "quick_texts", {})


@router.put(
    "/v1/quick-texts/{name}",
    response_model=QuickText,
    summary="编写常用语",
    **action("quick_texts.write", problems=(400, 422)),
)
def put_quick_text(
    request: Request, who: Who, name: str, body: QuickTextWish, idempotency_key: IdempotencyKey = None
) -> Any:
    """Write a quick text, or take it away."""
    return _TICKETS.ask_for(request, who, "put_quick_text", _given(body) | {"name": name}, idempotency_key)
