"""What the knowledge service tells: the life of articles, what it suggested, and what it could not answer.

The subject is the article's id; of a suggestion, what it was made for; of a miss, the hash of the normalised query.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from contracts.fact import EmployeeNumber, Fact, Name, Word


class Language(Word):
    """The language that a text is written in."""

    ZH_CN = "zh-CN"
    EN = "en"
    JA = "ja"
    OTHER = "other"


class _ArticleFact(Fact, frozen=True, kw_only=True):
    """One version of one article; `version` counts from 1 and rises with each publication."""

    article_id: Name
    version: int
    title: str
    language: Language
    category: Name | None = None
    problem_codes: tuple[Name, ...] = ()


class ArticleDrafted(_ArticleFact, frozen=True, kw_only=True):
    """A draft exists (K3). `from_ticket`: the solved ticket it was made of."""

    TYPE: ClassVar[str] = "liaison.article.drafted.v1"

    from_ticket: Name | None = None


class ArticlePublished(_ArticleFact, frozen=True, kw_only=True):
    """People can find and read this version now."""

    TYPE: ClassVar[str] = "liaison.article.published.v1"

    published_by: EmployeeNumber | None = None


class ArticleRetired(_ArticleFact, frozen=True, kw_only=True):
    """The article is not found any more. `reason`: for those who still have a link."""

    TYPE: ClassVar[str] = "liaison.article.retired.v1"

    reason: str = ""


class ArticleRated(_ArticleFact, frozen=True, kw_only=True):
    """Feedback about the article came in. `score`: 1 to 5, when it was given."""

    TYPE: ClassVar[str] = "liaison.article.rated.v1"

    feedback_id: Name
    score: int | None = None


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """An article that may help. `url`: where it can be read."""

    article_id: Name
    title: str
    url: Annotated[str, msgspec.Meta(max_length=2_000)]


class SuggestedFor(Word):
    """What articles were suggested for."""

    TICKET = "ticket"
    COURSE = "course"
    OTHER = "other"


class AnswerSuggested(Fact, frozen=True, kw_only=True):
    """Up to three articles that may help with a ticket, or a reading list after a course; none is an answer too (K5).

    `about_subject`: the ticket's number or the enrolment. `searched` false: the search could not be asked in time.
    """

    TYPE: ClassVar[str] = "liaison.answer.suggested.v1"

    suggested_for: SuggestedFor
    about_subject: Name
    person: EmployeeNumber | None = None
    suggestions: tuple[Suggestion, ...] = ()
    searched: bool = True


class MissedBy(Word):
    """How it was noticed that an answer is missing."""

    SEARCH = "search"
    BREACH = "breach"
    FEEDBACK = "feedback"
    OTHER = "other"


class SearchMissed(Fact, frozen=True, kw_only=True):
    """Nobody wrote the answer yet (K7): a search found nothing, a clock was missed, or feedback stays without one."""

    TYPE: ClassVar[str] = "liaison.search.missed.v1"

    missed_by: MissedBy
    problem_code: Name | None = None
    language: Language = Language.ZH_CN
