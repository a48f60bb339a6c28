"""The routes of people: questions and commands about tickets, passed on to the tickets service."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, Query, Request
from pydantic import BaseModel

from services.gateway.access import Who, action, guarded_router
from services.gateway.asking import Asked
from services.gateway.models.duty import DecisionPage
from services.gateway.models.support import Diagnosis, Escalation, Ledger, Support, VendorPart
from services.gateway.models.tickets import (
    ChangePage,
    Closing,
    CommentPage,
    Reopening,
    Response,
    ServiceLevels,
    Solution,
    Ticket,
    TicketPage,
    TicketSearch,
    TicketWish,
    Words,
)

_TICKETS = Asked("tickets")
router = guarded_router(prefix="/v1/tickets", tags=["tickets"])
IdempotencyKey = Annotated[
    str | None,
    Header(max_length=200, description="makes it safe to send the same command again: it is done once"),
]


def _given(body: BaseModel) -> dict[str, Any]:
    return body.model_dump(exclude_none=True)


@router.post(
    "", status_code=201, response_model=Ticket, summary="提交工单", **action("tickets.open", problems=(400, 422))
)
def open_ticket(request: Request, who: Who, body: TicketWish, idempotency_key: IdempotencyKey = None) -> Any:
    """Open a ticket; requesters only for themselves."""
    return _TICKETS.ask_for(request, who, "open_ticket", _given(body), idempotency_key)


@router.get("", response_model=TicketPage, summary="工单列表", **action("tickets.list", problems=(422,)))
def list_tickets(request: Request, who: Who, search: Annotated[TicketSearch, Query()]) -> Any:
    """Show the tickets that the caller may see, newest first or by remaining time, a page at a time."""
    filters = search.model_dump(exclude_none=True, exclude={"limit", "cursor", "view", "sort"})
    asked = {"filters": filters, "view": search.view, "sort": search.sort}
    return _TICKETS.ask_for(request, who, "list_tickets", asked | {"limit": search.limit, "cursor": search.cursor})


@router.get("/{number}", response_model=Ticket, summary="查看工单", **action("tickets.read", problems=(404,)))
def get_ticket(request: Request, who: Who, number: str) -> Any:
    """Show one ticket; one that the caller may not see is not found."""
    return _TICKETS.ask_for(request, who, "get_ticket", {"number": number})


@router.post(
    "/{number}/respond",
    response_model=Ticket,
    summary="首次响应",
    **action("tickets.respond", problems=(400, 404, 422)),
)
def respond_ticket(
    request: Request, who: Who, number: str, body: Response, idempotency_key: IdempotencyKey = None
) -> Any:
    """Take a ticket up: the first answer stops the response clock."""
    return _TICKETS.ask_for(request, who, "respond_ticket", _given(body) | {"number": number}, idempotency_key)


@router.post(
    "/{number}/resolve",
    response_model=Ticket,
    summary="给出解决方案",
    **action("tickets.resolve", problems=(400, 404, 422)),
)
def resolve_ticket(
    request: Request, who: Who, number: str, body: Solution, idempotency_key: IdempotencyKey = None
) -> Any:
    """Give a solution, which stops the solution clock."""
    return _TICKETS.ask_for(request, who, "resolve_ticket", _given(body) | {"number": number}, idempotency_key)


@router.post(
    "/{number}/reopen",
    response_model=Ticket,
    summary="重新打开",
    **action("tickets.reopen", problems=(400, 404, 422)),
)
def reopen_ticket(
    request: Request, who: Who, number: str, body: Reopening, idempotency_key: IdempotencyKey = None
) -> Any:
    """Say that the solution did not hold."""
    return _TICKETS.ask_for(request, who, "reopen_ticket", _given(body) | {"number": number}, idempotency_key)


@router.post(
    "/{number}/close",
    response_model=Ticket,
    summary="关闭工单",
    **action("tickets.close", problems=(400, 404, 422)),
)
def close_ticket(request: Request, who: Who, number: str, body: Closing, idempotency_key: IdempotencyKey = None) -> Any:
    """Finish a resolved ticket."""
    return _TICKETS.ask_for(request, who, "close_ticket", _given(body) | {"number": number}, idempotency_key)


@router.post(
    "/{number}/comments",
    status_code=201,
    response_model=Ticket,
    summary="添加备注或回复",
    **action("tickets.comment", problems=(400, 404, 422)),
)
def comment_ticket(request: Request, who: Who, number: str, body: Words, idempotency_key: IdempotencyKey = None) -> Any:
    """Write to the requester, or with `public` false for the desk only; the desk's first public word is a response."""
    return _TICKETS.ask_for(request, who, "comment_ticket", _given(body) | {"number": number}, idempotency_key)


@router.get(
    "/{number}/comments",
    response_model=CommentPage,
    summary="往来记录",
    **action("tickets.read", problems=(404,)),
)
def ticket_comments(request: Request, who: Who, number: str) -> Any:
    """Show what was written on a ticket, oldest first; requesters see what is public."""
    return _TICKETS.ask_for(request, who, "ticket_comments", {"number": number})


@router.get(
    "/{number}/changes",
    response_model=ChangePage,
    summary="变更记录",
    **action("tickets.audit", problems=(404,)),
)
def ticket_changes(request: Request, who: Who, number: str) -> Any:
    """Show who changed what, when and why, oldest first."""
    return _TICKETS.ask_for(request, who, "ticket_changes", {"number": number})


@router.get(
    "/{number}/sla",
    response_model=ServiceLevels,
    summary="时限及其由来",
    **action("tickets.read", problems=(404,)),
)
def ticket_sla(request: Request, who: Who, number: str) -> Any:
    """Show a ticket's clocks: when each is due, and every span that counted or was skipped, with its reason."""
    return _TICKETS.ask_for(request, who, "explain_sla", {"number": number})


@router.get(
    "/{number}/assignments",
    response_model=DecisionPage,
    summary="为何分派给此人",
    **action("tickets.audit", problems=(404,)),
)
def ticket_assignments(request: Request, who: Who, number: str) -> Any:
    """Show why a ticket was given to whom: every candidate with their score, oldest decision first."""
    return _TICKETS.ask_for(request, who, "ticket_assignments", {"number": number})


@router.post(
    "/{number}/escalate",
    response_model=Ticket,
    summary="升级",
    **action("tickets.escalate", problems=(400, 404, 422)),
)
def escalate_ticket(
    request: Request, who: Who, number: str, body: Escalation, idempotency_key: IdempotencyKey = None
) -> Any:
    """Bring a ticket to a higher level of support, the next one unless `level` says which."""
    wish = body.model_dump(mode="json", exclude_none=True) | {"number": number}
    return _TICKETS.ask_for(request, who, "escalate_ticket", wish, idempotency_key)


@router.put(
    "/{number}/diagnosis",
    response_model=Support,
    summary="诊断方式",
    **action("tickets.escalate", problems=(400, 404, 422)),
)
def diagnose_ticket(
    request: Request, who: Who, number: str, body: Diagnosis, idempotency_key: IdempotencyKey = None
) -> Any:
    """Note how a ticket is diagnosed: remotely (远程协助), or on site (现场勘查) with an appointment."""
    wish = body.model_dump(mode="json", exclude_none=True) | {"number": number}
    return _TICKETS.ask_for(request, who, "diagnose_ticket", wish, idempotency_key)


@router.put(
    "/{number}/vendor",
    response_model=Support,
    summary="厂商信息",
    **action("tickets.escalate", problems=(400, 404, 422)),
)
def note_vendor(
    request: Request, who: Who, number: str, body: VendorPart, idempotency_key: IdempotencyKey = None
) -> Any:
    """Note the vendor's number, promise and root cause."""
    wish = body.model_dump(mode="json", exclude_none=True) | {"number": number}
    return _TICKETS.ask_for(request, who, "note_vendor", wish, idempotency_key)


@router.get(
    "/{number}/support",
    response_model=Support,
    summary="支持层级",
    **action("tickets.audit", problems=(404,)),
)
def ticket_support(request: Request, who: Who, number: str) -> Any:
    """Show a ticket's level of support, its diagnosis and the vendor's part."""
    return _TICKETS.ask_for(request, who, "ticket_support", {"number": number})


@router.get(
    "/{number}/ledger",
    response_model=Ledger,
    summary="经手时长",
    **action("tickets.audit", problems=(404,)),
)
def ticket_ledger(request: Request, who: Who, number: str) -> Any:
    """Show for how many seconds each level, group and person held a ticket; they add up to its life."""
    return _TICKETS.ask_for(request, who, "ticket_ledger", {"number": number})
