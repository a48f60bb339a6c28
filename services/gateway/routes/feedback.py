"""The feedback routes (T9): submit, also anonymously; follow up; and read the status with a receipt code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Query, Request, Response

from services.gateway import rules
from services.gateway.access import Permitted, Who, action, guarded_router
from services.gateway.asking import Asked
from services.gateway.feedback_receipts import hash_of, receipt_for
from services.gateway.models.feedback import (
    Classification,
    FeedbackAnswer,
    FeedbackItem,
    FeedbackOwner,
    FeedbackPage,
    FeedbackReceipt,
    FeedbackSearch,
    FeedbackState,
    FeedbackWish,
    FeedbackWithChanges,
    Information,
    ReceiptInformation,
    ReceiptQuestion,
)
from services.gateway.problems import Problem
from services.gateway.routes.tickets import IdempotencyKey

_TICKETS = Asked("tickets")
router = guarded_router(prefix="/v1/feedback", tags=["feedback"])
_COMMAND = (400, 404, 422)
_BY_RECEIPT = (400, 404, 422, 503)


@router.post(
    "",
    status_code=201,
    response_model=FeedbackReceipt,
    summary="提交意见反馈",
    **action("feedback.submit", problems=(400,)),
)
def submit_feedback(
    request: Request, response: Response, who: Who, body: FeedbackWish, idempotency_key: IdempotencyKey = None
) -> Any:
    """Take feedback in, under the caller's name or anonymously.

    Anonymous (`anonymous: true`, or a token of no person): nothing that leads to the caller goes further than this
    function, and the answer's `receipt_code` reads the status. Specialists type in slips of the paper box and messages
    of chat groups with `way`, for an `author` or nobody.
    """
    response.headers["Cache-Control"] = "no-store"
    said = body.model_dump(exclude_none=True, exclude={"anonymous"})
    if body.anonymous and body.author:
        raise Problem.of_field(422, "author", "anonymous feedback has no author")
    typed_in = body.author is not None or body.way != "web"
    if not body.anonymous and (typed_in or who.caller.person):
        author = body.author if typed_in else who.caller.person
        return _submit_as(request, who, {**said, "author": author}, idempotency_key)
    # The scheme was checked before; what follows it is the token.
    token = request.headers["authorization"].partition(" ")[2].strip()
    receipt = receipt_for(token, idempotency_key)
    scope = {"kind": str(rules.Scope.OWN if who.scope is rules.Scope.OWN else rules.Scope.ALL)}
    arguments = {**said, "receipt": hash_of(receipt.code), "scope": scope}
    return _TICKETS.ask(request, "submit_feedback", arguments, key=receipt.key) | {"receipt_code": receipt.code}


def _submit_as(request: Request, who: Permitted, said: Mapping[str, Any], key: str | None) -> Any:
    return _TICKETS.ask_for(request, who, "submit_feedback", said, key)


@router.get("", response_model=FeedbackPage, summary="反馈列表", **action("feedback.list"))
def list_feedback(request: Request, who: Who, search: Annotated[FeedbackSearch, Query()]) -> Any:
    """Show the feedback that the caller wrote, follows up or reaches otherwise, newest first, a page at a time."""
    filters = search.model_dump(exclude_none=True, exclude_defaults=True, exclude={"limit", "cursor"})
    arguments = {"filters": filters, "limit": search.limit, "cursor": search.cursor}
    return _TICKETS.ask_for(request, who, "list_feedback", arguments)


@router.post(
    "/status", response_model=FeedbackState, summary="凭回执码查询反馈", **action(rules.PUBLIC, problems=_BY_RECEIPT)
)
def read_status(request: Request, response: Response, body: ReceiptQuestion) -> Any:
    """Tell the holder of a receipt code what became of it; no sign-in."""
    response.headers["Cache-Control"] = "no-store"
    return _TICKETS.ask(request, "feedback_status", {"receipt": _receipt(body.code)})


@router.post(
    "/information",
    response_model=FeedbackState,
    summary="凭回执码补充信息",
    **action(rules.PUBLIC, problems=_BY_RECEIPT),
)
def add_by_receipt(request: Request, response: Response, body: ReceiptInformation) -> Any:
    """Add what the holder of a receipt code has to add; the feedback is 已受理 again. No sign-in."""
    response.headers["Cache-Control"] = "no-store"
    return _TICKETS.ask(request, "add_to_feedback_by_receipt", {"receipt": _receipt(body.code), "text": body.text})


def _receipt(code: str) -> str:
    if digest := hash_of(code):
        return digest
    raise Problem.of_field(404, "code", "no feedback has this receipt code")


@router.get(
    "/{feedback_id}", response_model=FeedbackWithChanges, summary="查看反馈", **action("feedback.read", problems=(404,))
)
def get_feedback(request: Request, who: Who, feedback_id: str) -> Any:
    """Show one feedback with its changes; one that the caller may not see is not found."""
    return _TICKETS.ask_for(request, who, "get_feedback", {"feedback_id": feedback_id})


@router.post(
    "/{feedback_id}/classify",
    response_model=FeedbackItem,
    summary="反馈分类",
    **action("feedback.classify", problems=_COMMAND),
)
def classify_feedback(
    request: Request, who: Who, feedback_id: str, body: Classification, idempotency_key: IdempotencyKey = None
) -> Any:
    """Say what becomes of feedback: 可改进, 需协调 or 已解决. For its owner, and who reaches everything."""
    arguments = {"feedback_id": feedback_id, "class": body.feedback_class}
    return _TICKETS.ask_for(request, who, "classify_feedback", arguments, idempotency_key)


@router.post(
    "/{feedback_id}/answer",
    response_model=FeedbackItem,
    summary="答复反馈",
    **action("feedback.answer", problems=_COMMAND),
)
def answer_feedback(
    request: Request, who: Who, feedback_id: str, body: FeedbackAnswer, idempotency_key: IdempotencyKey = None
) -> Any:
    """Give feedback a status and an answer that its author reads."""
    arguments = {"feedback_id": feedback_id, **body.model_dump()}
    return _TICKETS.ask_for(request, who, "answer_feedback", arguments, idempotency_key)


@router.post(
    "/{feedback_id}/assign",
    response_model=FeedbackItem,
    summary="移交反馈",
    **action("feedback.assign", problems=_COMMAND),
)
def assign_feedback(
    request: Request, who: Who, feedback_id: str, body: FeedbackOwner, idempotency_key: IdempotencyKey = None
) -> Any:
    """Have somebody else follow feedback up, who is there."""
    arguments = {"feedback_id": feedback_id, "owner": body.owner}
    return _TICKETS.ask_for(request, who, "assign_feedback", arguments, idempotency_key)


@router.post(
    "/{feedback_id}/information",
    response_model=FeedbackState,
    summary="补充信息",
    **action("feedback.add", problems=_COMMAND),
)
def add_to_feedback(
    request: Request, who: Who, feedback_id: str, body: Information, idempotency_key: IdempotencyKey = None
) -> Any:
    """Add what a named author has to add; the feedback is 已受理 again."""
    arguments = {"feedback_id": feedback_id, "text": body.text}
    return _TICKETS.ask_for(request, who, "add_to_feedback", arguments, idempotency_key)
