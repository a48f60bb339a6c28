"""What the knowledge routes take and answer, as OpenAPI shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from services.gateway.models.words import Body, Name, Text

LanguageName = Literal["zh-CN", "en", "ja"]
LevelName = Annotated[
    Literal["public", "internal", "sensitive"], Field(description="公开 / 内部 / 敏感 (sensitive: specialists only)")
]
ArticleStateName = Literal["draft", "in_review", "published", "retired"]
_Title = Annotated[str, Field(min_length=1, max_length=500)]
_ArticleText = Annotated[str, Field(min_length=1, max_length=100_000)]
_Codes = Annotated[list[Name], Field(max_length=50)]
_Cursor = Annotated[str | None, Field(max_length=255, description="`next_cursor` of the page before")]


class SearchQuestion(Body):
    """What to look for. Without `language`, in every language that the question may be written in."""

    q: Annotated[str, Field(min_length=1, max_length=500)]
    language: LanguageName | None = None
    category: Name | None = None
    limit: Annotated[int, Field(ge=1, le=50)] = 10
    cursor: _Cursor = None


class Hit(BaseModel):
    """An article, or a material of a course. `title_html`, `excerpt_html`: escaped, with `<mark>` around what fits."""

    id: str
    kind: Literal["article", "material"]
    title: str
    title_html: str
    excerpt_html: str
    url: str
    language: str
    category: str | None = None
    problem_codes: list[str] = []
    score: float


class HitPage(BaseModel):
    """Hits, best first. `by_sound`: nothing has all the words, so these are found by what sounds like them."""

    items: list[Hit]
    next_cursor: str | None = None
    by_sound: bool = False


class ArticleWish(Body):
    """A new article. Without `language`, it is guessed from the text."""

    title: _Title
    body: _ArticleText
    language: LanguageName | None = None
    category: Name | None = None
    problem_codes: _Codes = Field(default=[])
    level: LevelName = "internal"


class ArticleEdit(Body):
    """A new text of an article; what is absent stays, and a `category` of null takes it away.

    `version`: the one that the writer had before them.
    """

    version: Annotated[int, Field(ge=1)]
    title: _Title | None = None
    body: _ArticleText | None = None
    language: LanguageName | None = None
    category: Name | None = None
    problem_codes: _Codes | None = None
    level: LevelName | None = None


class Publication(Body):
    """Which missing answers the article is the answer to, by their ids, besides those of its problem codes."""

    answers: list[Name] = Field(default=[], max_length=100)


class Retirement(Body):
    """Why an article is not found any more."""

    reason: Text = ""


class Rating(Body):
    """What a reader thinks of an article: 1 worst to 5 best."""

    score: Annotated[int, Field(ge=1, le=5)]
    text: Annotated[str, Field(max_length=2_000)] = ""


class RatingKept(BaseModel):
    """The rating that counts now."""

    article_id: str
    score: int


class ArticleSearch(Body):
    """Which articles to list."""

    state: ArticleStateName | None = None
    language: LanguageName | None = None
    category: Name | None = None
    problem_code: Name | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: _Cursor = None


class ArticleHead(BaseModel):
    """An article without its text. `version`: the newest; `published_version`: the one that people read."""

    id: str
    state: str
    language: str
    category: str | None = None
    problem_codes: list[str] = []
    level: str
    title: str
    version: int
    published_version: int | None = None
    source_ticket: str | None = None
    created_at: datetime
    changed_at: datetime
    published_at: datetime | None = None
    retired_at: datetime | None = None
    retired_reason: str = ""


class Article(ArticleHead):
    """An article with its text. `shown_version`: the version that the text is of."""

    body: str = ""
    shown_version: int | None = None
    ratings: int = 0
    mean_score: float | None = None


class ArticlePage(BaseModel):
    """Articles, newest first."""

    items: list[ArticleHead]
    next_cursor: str | None = None


class MissSearch(Body):
    """Which missing answers to list."""

    resolved: bool = False
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: _Cursor = None


class MissingAnswer(BaseModel):
    """Something that nobody has answered yet. `resolved_by`: the article that is the answer.

    `example`: null unless it was searched for, or the caller may read all feedback.
    """

    id: str
    kind: Literal["problem_code", "query", "feedback"]
    problem_code: str | None = None
    language: str
    example: str | None
    count: int
    first_seen_at: datetime
    last_seen_at: datetime
    resolved_by: str | None = None
    resolved_at: datetime | None = None


class MissingAnswerPage(BaseModel):
    """Missing answers, those asked most first."""

    items: list[MissingAnswer]
    next_cursor: str | None = None
