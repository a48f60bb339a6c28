"""Questions to the search: what people look for, and what is looked for on their behalf. No database, no events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from contracts.markings import marking_in
from eventkit.errors import RuleBroken
from services.knowledge import querying, rules
from services.knowledge.cutting import Family, coverage, families_in, family_of, keywords, normal
from services.knowledge.highlighting import marked
from services.knowledge.querying import Body
from services.knowledge.rules import Found

MAX_PAGE = 50
_DEEPEST = 1_000
_BY_SOUND = "s"
#: A question this short, in keywords, is worth a second look by sound when nothing has all of it.
_SHORT = 3
#: Of the best hits of a text so many are looked at for its answer.
_JUDGED = 6


class Index(Protocol):
    """What is asked: `librarian.Librarian` in the service, `search.SearchIndex` itself elsewhere."""

    def ask(self, question: Body, *, timeout_s: float = 2.0) -> list[Body]: ...


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody looks for. offset: hits already seen; by_sound: the page before was found by sound."""

    text: str
    families: Sequence[Family]
    filters: Mapping[str, str | Sequence[str] | None]
    limit: int
    offset: int = 0
    by_sound: bool = False

    @property
    def is_first(self) -> bool:
        """Whether this is the first page."""
        return self.offset == 0


def question_of(arguments: Mapping[str, Any]) -> Question:
    """Return the question of a call's arguments: q, language, category, limit, cursor, scope. Raises RuleBroken."""
    text = str(arguments.get("q") or "").strip()
    if not text:
        raise RuleBroken("what to look for is missing", field="q")
    language, cursor = arguments.get("language"), str(arguments.get("cursor") or "0")
    by_sound, offset = cursor.startswith(_BY_SOUND), cursor.removeprefix(_BY_SOUND)
    if not offset.isascii() or not offset.isdigit() or int(offset) > _DEEPEST:
        raise RuleBroken("not the cursor of a page before", field="cursor")
    filters: dict[str, str | Sequence[str] | None] = {
        "language": language,
        "category": arguments.get("category"),
        "level": rules.levels_for(arguments.get("scope") or {}),
    }
    limit = min(max(int(arguments.get("limit") or 10), 1), MAX_PAGE)
    families = [family_of(language)] if language else families_in(text)
    return Question(text, families, filters, limit, int(offset), by_sound)


def search(index: Index, wanted: Question, url: str, *, timeout_s: float = 2.0) -> dict[str, Any]:
    """Return a page of hits, best first, with what was found marked.

    answer: items, next_cursor (None on the last page), by_sound (nothing had all the words; these sound like it),
    and missed (the first page has nothing worth reading). Raises Unavailable.
    """
    hits = _page(index, wanted, timeout_s)
    if wanted.is_first and _sounds_better(wanted, hits):
        by_sound = replace(wanted, by_sound=True)
        if heard := _page(index, by_sound, timeout_s):
            hits, wanted = heard, by_sound
    shown = hits[: wanted.limit]
    seen = wanted.offset + len(shown)
    more = len(hits) > wanted.limit and seen <= _DEEPEST
    worth = wanted.by_sound or any(_share(wanted, hit) >= rules.POOR_SHARE for hit in shown)
    return {
        "items": [_item(wanted, hit, url) for hit in shown],
        "next_cursor": f"{_BY_SOUND if wanted.by_sound else ''}{seen}" if more else None,
        "by_sound": wanted.by_sound,
        "missed": wanted.is_first and not worth,
    }


def _page(index: Index, wanted: Question, timeout_s: float) -> list[Body]:
    text = querying.asked(wanted.text, wanted.families, by_sound=wanted.by_sound)
    # One more than is shown tells whether there is a next page.
    question = querying.question(text, wanted.filters, offset=wanted.offset, limit=wanted.limit + 1)
    return index.ask(question, timeout_s=timeout_s)


def _sounds_better(wanted: Question, hits: Sequence[Body]) -> bool:
    """Tell whether a short Chinese question may be misspelt: nothing found has all of its words (notes 3.2)."""
    if Family.ZH not in wanted.families or len(keywords(wanted.text, Family.ZH)) > _SHORT:
        return False
    return not any(_share(wanted, hit) == 1.0 for hit in hits)


def _share(wanted: Question, hit: Body) -> float:
    source = hit["_source"]
    text = f"{source['title']}\n{source['body']}"
    return max(coverage(wanted.text, text, family) for family in wanted.families)


def _item(wanted: Question, hit: Body, url: str) -> dict[str, Any]:
    source = hit["_source"]
    return {
        "id": source["id"],
        "kind": source["kind"],
        "title": source["title"],
        "title_html": marked(source["title"], wanted.text, wanted.families, window=0),
        "excerpt_html": marked(source["body"], wanted.text, wanted.families),
        "url": source["url"] or f"{url}/v1/articles/{source['id']}",
        "language": source["language"],
        "category": source["category"],
        "problem_codes": source["problem_codes"],
        "score": round(float(hit["_score"]), 3),
    }


def miss_of(wanted: Question, person: str | None) -> Mapping[str, Any] | None:
    """Return what to remember of a question that found nothing; None when it is too short or was narrowed down.

    None also when it bears the marking of a state secret: it is answered, and leaves nothing behind (S6).
    """
    if marking_in(wanted.text):
        return None
    key = " ".join(normal(wanted.text, wanted.families[0]).split())
    if len(key) < 2 or wanted.filters["category"] is not None:
        return None
    return {"key": key[:200], "text": rules.example_of(wanted.text), "person": person}


def articles_for(index: Index, text: str, problem_code: str | None, *, timeout_s: float) -> list[Found]:
    """Return the articles that everybody may read which may help with a ticket, best first: as many as are suggested.

    Raises Unavailable.
    """
    question = _about_ticket(text, families_in(text), problem_code, limit=rules.SUGGESTED)
    hits = index.ask(question | {"_source": ["id", "title"]}, timeout_s=timeout_s)
    return [Found(hit["_source"]["id"], hit["_source"]["title"]) for hit in hits]


def is_answered(index: Index, text: str, problem_code: str | None, *, timeout_s: float) -> bool:
    """Tell whether an article that everybody may read covers enough of a text to be its answer. Raises Unavailable."""
    families = families_in(text)
    hits = index.ask(_about_ticket(text, families, problem_code, limit=_JUDGED), timeout_s=timeout_s)
    wanted = Question(text, families, {}, 0)
    return any(_share(wanted, hit) >= rules.GOOD_SHARE for hit in hits)


def _about_ticket(text: str, families: Sequence[Family], problem_code: str | None, *, limit: int) -> Body:
    filters: Mapping[str, Sequence[str]] = {"kind": ("article",), "level": rules.levels_for({})}
    return querying.question(querying.about_ticket(text, families, problem_code), filters, limit=limit)
