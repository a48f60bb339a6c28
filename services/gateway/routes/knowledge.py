"""The knowledge routes: search, articles and missing answers (K1 to K7)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request

from services.gateway.access import Who, action, guarded_router
from services.gateway.asking import Asked
from services.gateway.models.knowledge import (
    Article,
    ArticleEdit,
    ArticleHead,
    ArticlePage,
    ArticleSearch,
    ArticleWish,
    HitPage,
    MissingAnswerPage,
    MissSearch,
    Publication,
    Rating,
    RatingKept,
    Retirement,
    SearchQuestion,
)
from services.gateway.routes.tickets import IdempotencyKey

_KNOWLEDGE = Asked("knowledge")
router = guarded_router(prefix="/v1", tags=["knowledge"])
_COMMAND = (400, 404, 422)


@router.get("/search", response_model=HitPage, summary="搜索知识", **action("articles.search", problems=(422,)))
def search(request: Request, who: Who, question: Annotated[SearchQuestion, Query()]) -> Any:
    """Look for articles and course materials; 503 with Retry-After while the search server is away."""
    return _KNOWLEDGE.ask_for(request, who, "search", question.model_dump(exclude_none=True))


@router.get("/articles", response_model=ArticlePage, summary="文章列表", **action("articles.list", problems=(422,)))
def list_articles(request: Request, who: Who, search: Annotated[ArticleSearch, Query()]) -> Any:
    """Show the articles that the caller may read, newest first; drafts only to specialists."""
    filters = search.model_dump(exclude_none=True, exclude={"limit", "cursor"})
    return _KNOWLEDGE.ask_for(
        request, who, "list_articles", {"filters": filters, "limit": search.limit, "cursor": search.cursor}
    )


@router.post(
    "/articles",
    status_code=201,
    response_model=Article,
    summary="起草文章",
    **action("articles.write", problems=(400, 422)),
)
def create_article(request: Request, who: Who, body: ArticleWish, idempotency_key: IdempotencyKey = None) -> Any:
    """Write a draft."""
    return _KNOWLEDGE.ask_for(request, who, "create_article", body.model_dump(exclude_none=True), idempotency_key)


@router.get(
    "/articles/{article_id}",
    response_model=Article,
    summary="阅读文章",
    **action("articles.read", problems=(404, 422)),
)
def get_article(request: Request, who: Who, article_id: str, version: Annotated[int | None, Query(ge=1)] = None) -> Any:
    """Show what is published; specialists see the newest text, or the version that they name."""
    return _KNOWLEDGE.ask_for(request, who, "get_article", {"article_id": article_id, "version": version})


@router.put(
    "/articles/{article_id}",
    response_model=Article,
    summary="修改文章",
    **action("articles.write", problems=_COMMAND),
)
def edit_article(
    request: Request, who: Who, article_id: str, body: ArticleEdit, idempotency_key: IdempotencyKey = None
) -> Any:
    """Write a new version; refused with 422 when somebody else has written one since `version`."""
    given = body.model_dump(exclude_unset=True)
    return _KNOWLEDGE.ask_for(request, who, "edit_article", {"article_id": article_id, **given}, idempotency_key)


@router.post(
    "/articles/{article_id}/submit",
    response_model=ArticleHead,
    summary="提交审核",
    **action("articles.submit", problems=_COMMAND),
)
def submit_article(request: Request, who: Who, article_id: str, idempotency_key: IdempotencyKey = None) -> Any:
    """Ask for a review of a draft."""
    return _KNOWLEDGE.ask_for(request, who, "submit_article", {"article_id": article_id}, idempotency_key)


@router.post(
    "/articles/{article_id}/publish",
    response_model=ArticleHead,
    summary="发布文章",
    **action("articles.publish", problems=_COMMAND),
)
def publish_article(
    request: Request, who: Who, article_id: str, body: Publication, idempotency_key: IdempotencyKey = None
) -> Any:
    """Let people find the newest version."""
    return _KNOWLEDGE.ask_for(
        request, who, "publish_article", {"article_id": article_id, "answers": body.answers}, idempotency_key
    )


@router.post(
    "/articles/{article_id}/retire",
    response_model=ArticleHead,
    summary="下架文章",
    **action("articles.retire", problems=_COMMAND),
)
def retire_article(
    request: Request, who: Who, article_id: str, body: Retirement, idempotency_key: IdempotencyKey = None
) -> Any:
    """Let nobody find an article any more."""
    return _KNOWLEDGE.ask_for(
        request, who, "retire_article", {"article_id": article_id, "reason": body.reason}, idempotency_key
    )


@router.post(
    "/articles/{article_id}/rate",
    response_model=RatingKept,
    summary="评价文章",
    **action("articles.rate", problems=_COMMAND),
)
def rate_article(
    request: Request, who: Who, article_id: str, body: Rating, idempotency_key: IdempotencyKey = None
) -> Any:
    """Say what one thinks of an article; a second rating of a person replaces the first."""
    return _KNOWLEDGE.ask_for(
        request, who, "rate_article", {"article_id": article_id, **body.model_dump()}, idempotency_key
    )


@router.get(
    "/missing-answers",
    response_model=MissingAnswerPage,
    summary="缺失的答案",
    **action("missing_answers.list", problems=(422,)),
)
def list_missing_answers(request: Request, who: Who, search: Annotated[MissSearch, Query()]) -> Any:
    """Show what nobody has answered yet: searches, missed clocks and feedback, those asked most first."""
    # Whoever may not read all feedback is not to read it here.
    arguments = search.model_dump(exclude_none=True) | {"with_feedback": who.reaches_all("feedback.list")}
    return _KNOWLEDGE.ask_for(request, who, "list_missing_answers", arguments)
