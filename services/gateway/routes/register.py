"""The routes of the problem statistics (T6) and of the register of problems and risks (T11)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request

from services.gateway.access import Who, action, guarded_router
from services.gateway.asking import Asked
from services.gateway.models.register import Entry, EntrySearch, EntryWish, Period, Register, Statistics
from services.gateway.routes.tickets import IdempotencyKey

_TICKETS = Asked("tickets")
router = guarded_router(tags=["register"])


@router.get("/v1/statistics/tickets", response_model=Statistics, summary="问题统计", **action("statistics.read"))
def ticket_statistics(request: Request, who: Who, period: Annotated[Period, Query()]) -> Any:
    """Show frequent fault types, where missed tickets lost their time, first-contact solutions and reopenings."""
    return _TICKETS.ask_for(request, who, "ticket_statistics", period.model_dump(mode="json"))


@router.get("/v1/register", response_model=Register, summary="问题与风险登记册", **action("register.read"))
def list_register(request: Request, who: Who, search: Annotated[EntrySearch, Query()]) -> Any:
    """Show problems and risks, the gravest first."""
    return _TICKETS.ask_for(request, who, "list_register", {"filters": search.model_dump(exclude_none=True)})


@router.post(
    "/v1/register",
    status_code=201,
    response_model=Entry,
    summary="登记",
    **action("register.write", problems=(400, 422)),
)
def add_entry(request: Request, who: Who, body: EntryWish, idempotency_key: IdempotencyKey = None) -> Any:
    """Write a new problem or risk."""
    wish = body.model_dump(mode="json", exclude_none=True)
    return _TICKETS.ask_for(request, who, "put_register_entry", wish, idempotency_key)


@router.get(
    "/v1/register/{entry}", response_model=Entry, summary="查看登记", **action("register.read", problems=(404,))
)
def get_entry(request: Request, who: Who, entry: str) -> Any:
    """Show an entry with its changes."""
    return _TICKETS.ask_for(request, who, "get_register_entry", {"id": entry})


@router.patch(
    "/v1/register/{entry}",
    response_model=Entry,
    summary="修改登记",
    **action("register.write", problems=(400, 404, 422)),
)
def change_entry(
    request: Request, who: Who, entry: str, body: EntryWish, idempotency_key: IdempotencyKey = None
) -> Any:
    """Change an entry; what is absent stays."""
    wish = body.model_dump(mode="json", exclude_none=True) | {"id": entry}
    return _TICKETS.ask_for(request, who, "put_register_entry", wish, idempotency_key)
