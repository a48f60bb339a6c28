"""The routes of the duty roster (T13)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request

from services.gateway.access import Who, action, guarded_router
from services.gateway.asking import Asked
from services.gateway.models.duty import Duty, DutySearch, RosterTaken, RosterWish, SwapWish
from services.gateway.routes.tickets import IdempotencyKey

_TICKETS = Asked("tickets")
router = guarded_router(prefix="/v1/duty", tags=["duty"])


@router.put(
    "/roster", response_model=RosterTaken, summary="载入值班表", **action("duty.write", problems=(400, 404, 422))
)
def load_roster(request: Request, who: Who, body: RosterWish, idempotency_key: IdempotencyKey = None) -> Any:
    """Take in a roster, from a spreadsheet or as shifts; a sheet with a fault is refused, every fault by its line."""
    wish = body.model_dump(mode="json", exclude_none=True)
    return _TICKETS.ask_for(request, who, "load_roster", wish, idempotency_key)


@router.post("/swaps", status_code=201, summary="换班", **action("duty.write", problems=(400, 404, 422)))
def swap_duty(request: Request, who: Who, body: SwapWish, idempotency_key: IdempotencyKey = None) -> SwapWish:
    """Let one take over another's duty."""
    wish = body.model_dump(mode="json")
    return SwapWish.model_validate(_TICKETS.ask_for(request, who, "swap_duty", wish, idempotency_key))


@router.get("", response_model=Duty, summary="谁在值班", **action("duty.read", problems=(404, 422)))
def show_duty(request: Request, who: Who, search: Annotated[DutySearch, Query()]) -> Any:
    """Show a group's duty: who has it, the coming shifts, and the gaps of the next 7 days."""
    return _TICKETS.ask_for(request, who, "show_duty", search.model_dump(mode="json", exclude_none=True))
