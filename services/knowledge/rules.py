"""What holds for articles, suggestions and missing answers: pure rules."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from itertools import islice

from contracts.knowledge import Suggestion
from eventkit.errors import RuleBroken

#: What each version of an article has of its own, besides its body; an article is listed by those of the published one.
VERSION_FIELDS = ("language", "category", "problem_codes", "level", "title")
#: How many articles are suggested for a ticket, and how many stand on a reading list.
SUGGESTED = 3
#: From this share of a question's keywords on, an article counts as an answer to it, so that none is missing.
GOOD_SHARE = 0.4
#: A search whose best hit has less than this share of its keywords found nothing worth reading.
POOR_SHARE = 0.34
#: A solution shorter than this tells nobody how it was done: characters, of which Chinese needs few.
DRAFTABLE_LENGTH = 10
#: How long a suggestion may be waited for, since the receipt of a ticket waits with it.
SUGGESTION_PATIENCE_S = 1.5
_LONGEST_BACKOFF_S = 15.0
_EXAMPLE_LENGTH = 200


class State(enum.StrEnum):
    """Where an article is in its life (K3)."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    PUBLISHED = "published"
    RETIRED = "retired"


class Level(enum.StrEnum):
    """Who may read an article (S6): anybody, everybody of the enterprise, or specialists only."""

    PUBLIC = "public"
    INTERNAL = "internal"
    SENSITIVE = "sensitive"


class MissKind(enum.StrEnum):
    """By what a missing answer is known: a problem code, a question that was searched for, or feedback."""

    PROBLEM_CODE = "problem_code"
    QUERY = "query"
    FEEDBACK = "feedback"


@dataclass(frozen=True, slots=True)
class Found:
    """An article that a search found."""

    article_id: str
    title: str


def article_id(number: int) -> str:
    """Return the id of the article with a running number: A-000123."""
    return f"A-{number:06d}"


def levels_for(scope: Mapping[str, object]) -> tuple[str, ...]:
    """Return the levels that a caller may read: specialists, whose scope is everything, also what is sensitive."""
    everybody = (Level.PUBLIC.value, Level.INTERNAL.value)
    return (*everybody, Level.SENSITIVE.value) if scope.get("kind") == "all" else everybody


def check_edit(state: State, newest: int, based_on: int) -> None:
    """Raise RuleBroken when a retired article, or one that somebody else has edited meanwhile, is edited."""
    if state is State.RETIRED:
        raise RuleBroken("a retired article cannot be edited", field="state")
    if based_on != newest:
        raise RuleBroken(
            f"the article is at version {newest} by now, your text is based on {based_on}", field="version"
        )


def check_submit(state: State) -> None:
    """Raise RuleBroken unless the article is a draft."""
    if state is not State.DRAFT:
        raise RuleBroken(f"only a draft is submitted; this is {state}", field="state")


def check_publish(state: State, newest: int, published: int | None) -> None:
    """Raise RuleBroken unless the article was submitted, or was published and has been edited since (K3)."""
    if state is State.IN_REVIEW or (state is State.PUBLISHED and newest != published):
        return
    reason = {
        State.DRAFT: "the draft must be submitted first",
        State.PUBLISHED: f"version {newest} is published already",
    }.get(state, "a retired article cannot be published")
    raise RuleBroken(reason, field="state")


def check_retire(state: State) -> None:
    """Raise RuleBroken when the article is retired already."""
    if state is State.RETIRED:
        raise RuleBroken("the article is retired already", field="state")


def check_category(category: str | None, known: Sequence[str]) -> None:
    """Raise RuleBroken for a category that the settings do not name (K1: extensible)."""
    if category is not None and category not in known:
        raise RuleBroken(f"{category!r} is not one of {'、'.join(known)}", field="category")


def is_draftable(solution: str) -> bool:
    """Tell whether a solution says enough to become an article."""
    return len(solution.strip()) >= DRAFTABLE_LENGTH


def draft_body(title: str, solution: str) -> str:
    """Return the text of the article that a solved ticket becomes."""
    return f"问题：{title.strip()}\n\n解决办法：\n{solution.strip()}\n"


def miss_id(kind: MissKind, key: str) -> str:
    """Return the id of a missing answer, which tells nothing about its text."""
    return sha256(f"{kind} {key}".encode()).hexdigest()[:24]


def kept_key(kind: MissKind, key: str) -> str:
    """Return what is kept of the key of a missing answer: a problem code; never what somebody wrote, only its hash."""
    return key if kind is MissKind.PROBLEM_CODE else miss_id(kind, key)


def example_of(text: str) -> str:
    """Return as much of a text as helps the one who writes the answer."""
    return " ".join(text.split())[:_EXAMPLE_LENGTH]


def suggestions(found: Iterable[Found], url: str) -> tuple[Suggestion, ...]:
    """Return up to three of what a search found, best first. url: the base of the links.

    Whether one is good enough the reader sees from its title; leaving out what covers little of a question loses
    answers in Chinese and Japanese, where one is often told in other words (`liaison knowledge recall`).
    """
    return tuple(suggestion(one.article_id, one.title, url) for one in islice(found, SUGGESTED))


def suggestion(article: str, title: str, url: str) -> Suggestion:
    """Return an article as it is suggested."""
    return Suggestion(article_id=article, title=title, url=f"{url}/v1/articles/{article}")


def backoff_s(attempts: int) -> float:
    """Return the seconds before an indexing is tried again, after so many tries: short, so that it soon catches up."""
    return min(0.25 * 2.0 ** min(attempts, 10), _LONGEST_BACKOFF_S)


#: A question that is typed letter by letter, or asked twice by a double click, is missed once.
MISS_SETTLES = timedelta(seconds=2)
