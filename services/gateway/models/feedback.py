"""What the feedback routes take and answer, as OpenAPI shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from services.gateway.models.words import Body, EmployeeNumber, Name

Text = Annotated[str, Field(min_length=1, max_length=20_000)]
Answer = Annotated[str, Field(max_length=5_000)]
ReceiptCode = Annotated[
    str, Field(min_length=1, max_length=64, description="the code that came with an anonymous submission")
]
ClassName = Literal["improvable", "needs_coordination", "settled"]
StatusName = Literal["accepted", "needs_information", "resolved"]


class FeedbackWish(Body):
    """What somebody says. anonymous: nothing that leads to the caller is kept, and a receipt code reads the status.

    way and author: for specialists who type in what came in by the paper box or a chat group; `author` may be absent.
    """

    text: Text
    anonymous: bool = False
    way: Literal["web", "paper_box", "chat_group", "other"] = "web"
    author: EmployeeNumber | None = None
    department: Name | None = None
    score: Annotated[int, Field(ge=1, le=5, description="1 worst, 5 best")] | None = None
    about_ticket: Name | None = None
    about_article: Name | None = None
    problem_code: Name | None = None


class FeedbackState(BaseModel):
    """What became of feedback. status_text: 已受理, 需补充信息 or 已解决. class_text: 可改进, 需协调 or 已解决."""

    feedback_id: str
    status: str
    status_text: str
    feedback_class: str | None = None
    class_text: str | None = None
    answer: str = ""
    received_at: datetime
    changed_at: datetime


class FeedbackReceipt(FeedbackState):
    """That feedback came in. receipt_code: reads its status without signing in; shown once, kept nowhere."""

    receipt_code: str | None = None


class FeedbackItem(FeedbackState):
    """Feedback as those see it who follow it up, and its named author."""

    text: str
    way: str
    owner: str | None = None
    author: str | None = None
    department: str | None = None
    score: int | None = None
    about_ticket: str | None = None
    about_article: str | None = None
    problem_code: str | None = None


class FeedbackChange(BaseModel):
    """One change: who, when, what. Authors are shown what became of it, not by whom."""

    at: datetime
    actor: str | None = None
    field: str
    before: str | None = None
    after: str | None = None
    reason: str = ""


class FeedbackWithChanges(FeedbackItem):
    """Feedback with its changes, oldest first; what was added stands there as field `information`."""

    changes: list[FeedbackChange] = []


class FeedbackPage(BaseModel):
    """Feedback, newest first. next_cursor: for the next page; absent on the last one."""

    items: list[FeedbackItem]
    next_cursor: str | None = None


class FeedbackSearch(Body):
    """Which feedback to show. unowned, unclassified: only what nobody follows up, or has classified yet."""

    feedback_class: Annotated[ClassName | None, Field(alias="class")] = None
    status: StatusName | None = None
    owner: EmployeeNumber | None = None
    unowned: bool = False
    unclassified: bool = False
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str | None, Field(max_length=255)] = None


class Classification(Body):
    """What becomes of feedback: 可改进, 需协调 or 已解决."""

    feedback_class: Annotated[ClassName, Field(alias="class")]


class FeedbackAnswer(Body):
    """A status, and what the author may read; needed for 需补充信息 and 已解决."""

    status: StatusName
    answer: Answer = ""


class FeedbackOwner(Body):
    """Who follows it up from now on."""

    owner: EmployeeNumber


class Information(Body):
    """What its author adds."""

    text: Annotated[str, Field(min_length=1, max_length=5_000)]


class ReceiptQuestion(Body):
    """Whose status is asked. In the body, since access logs of proxies keep addresses."""

    code: ReceiptCode


class ReceiptInformation(Body):
    """What the holder of a receipt adds."""

    code: ReceiptCode
    text: Annotated[str, Field(min_length=1, max_length=5_000)]
