"""What the gateway may ask of knowledge: arguments checked, scope enforced, answers as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contracts.knowledge import Language
from eventkit.errors import NotFound, RuleBroken
from services.knowledge import asking, rules, usecases
from services.knowledge.cutting import language_of
from services.knowledge.rules import VERSION_FIELDS, Level, MissKind, State

if TYPE_CHECKING:
    from services.knowledge.asking import Index
    from services.knowledge.storage import KnowledgeStore

Arguments = Mapping[str, Any]
MAX_PAGE = 200
_ARTICLE_FIELDS = (
    "id",
    "state",
    "language",
    "category",
    "problem_codes",
    "level",
    "title",
    "version",
    "published_version",
    "source_ticket",
    "created_at",
    "changed_at",
    "published_at",
    "retired_at",
    "retired_reason",
)
_MISS_FIELDS = (
    "id",
    "kind",
    "problem_code",
    "language",
    "example",
    "count",
    "first_seen_at",
    "last_seen_at",
    "resolved_by",
    "resolved_at",
)


def search(store: KnowledgeStore, index: Index, url: str, arguments: Arguments) -> dict[str, Any]:
    """Return a page of what is found. A question changes nothing itself: what found nothing is noted by a timer.

    The timer's key holds question and person, so that typing it again within two seconds is one miss.
    """
    wanted = asking.question_of(arguments)
    answer = asking.search(index, wanted, url)
    person = (arguments.get("scope") or {}).get("person")
    if answer.pop("missed") and (miss := asking.miss_of(wanted, person)) is not None:
        one = rules.miss_id(MissKind.QUERY, miss["key"])
        due_at = store.now + rules.MISS_SETTLES
        store.work.arm("note_search", key=f"{one}/{person}", subject=one, due_at=due_at, payload=miss)
    return answer


def create_article(store: KnowledgeStore, categories: Sequence[str], arguments: Arguments) -> dict[str, Any]:
    """Keep a new draft and return it. Raises RuleBroken naming the field."""
    fields = _fields(arguments, categories, {})
    row = usecases.draft(store, fields, store.work.actor)
    return _shown(row) | {"body": fields["body"]}


def edit_article(store: KnowledgeStore, categories: Sequence[str], arguments: Arguments) -> dict[str, Any]:
    """Keep a new version of an article and return it. `version`: the one that the writer had before them."""
    one = str(arguments["article_id"])
    before = _before(store, one)
    fields = _fields(arguments, categories, before)
    row = usecases.edit(store, one, int(arguments["version"]), fields, store.work.actor)
    return _shown(row) | {name: fields[name] for name in (*VERSION_FIELDS, "body")}


def submit_article(store: KnowledgeStore, arguments: Arguments) -> dict[str, Any]:
    """Ask for a review."""
    return _shown(usecases.submit(store, str(arguments["article_id"])))


def publish_article(store: KnowledgeStore, arguments: Arguments) -> dict[str, Any]:
    """Let people find the newest version."""
    publisher = (arguments.get("scope") or {}).get("person")
    answers = [str(one) for one in arguments.get("answers") or ()]
    return _shown(usecases.publish(store, str(arguments["article_id"]), answers, publisher))


def retire_article(store: KnowledgeStore, arguments: Arguments) -> dict[str, Any]:
    """Let nobody find an article any more."""
    return _shown(usecases.retire(store, str(arguments["article_id"]), str(arguments.get("reason") or "")))


def rate_article(store: KnowledgeStore, arguments: Arguments) -> dict[str, Any]:
    """Keep what a reader thinks of an article that they may read."""
    one, scope = str(arguments["article_id"]), arguments.get("scope") or {}
    reader = scope.get("person")
    if not reader:
        raise RuleBroken("only a person rates an article", field="person")
    _readable(store, one, scope)
    usecases.rate(store, one, int(arguments["score"]), str(arguments.get("text") or ""), str(reader))
    return {"article_id": one, "score": int(arguments["score"])}


def get_article(store: KnowledgeStore, arguments: Arguments) -> dict[str, Any]:
    """Return an article: its published text for readers, its newest one for specialists unless they name another."""
    one, scope = str(arguments["article_id"]), arguments.get("scope") or {}
    row = _readable(store, one, scope)
    is_specialist = scope.get("kind") == "all"
    asked = arguments.get("version") if is_specialist else None
    number = int(asked or (row["version"] if is_specialist else row["published_version"]))
    text = store.read_version(one, number)
    if text is None:
        raise NotFound(f"{one} has no version {number}", field="version")
    count, mean = store.rating(one)
    shown = _shown(row) | {name: text[name] for name in (*VERSION_FIELDS, "body")}
    return shown | {"shown_version": number, "ratings": count, "mean_score": mean}


def list_articles(store: KnowledgeStore, arguments: Arguments) -> dict[str, Any]:
    """Return a page of the articles that the caller may read, newest first, and the cursor of the next page."""
    scope, limit = arguments.get("scope") or {}, _limit(arguments)
    rows = store.listed(
        arguments.get("filters") or {},
        rules.levels_for(scope),
        published_only=scope.get("kind") != "all",
        after=arguments.get("cursor"),
        limit=limit + 1,
    )
    page = rows[:limit]
    return {"items": [_shown(row) for row in page], "next_cursor": page[-1]["id"] if len(rows) > limit else None}


def list_missing_answers(store: KnowledgeStore, arguments: Arguments) -> dict[str, Any]:
    """Return a page of what nobody has answered yet, those asked most first.

    with_feedback: whether the caller may read all feedback; what it and tickets said is left out otherwise.
    """
    limit, cursor = _limit(arguments), str(arguments.get("cursor") or "0")
    if not cursor.isascii() or not cursor.isdigit():
        raise RuleBroken("not the cursor of a page before", field="cursor")
    offset = int(cursor)
    rows = store.listed_misses(resolved=bool(arguments.get("resolved")), offset=offset, limit=limit + 1)
    with_feedback = arguments.get("with_feedback") is True
    items = [_shown_miss(row, with_feedback) for row in rows[:limit]]
    return {"items": items, "next_cursor": str(offset + limit) if len(rows) > limit else None}


def _shown_miss(row: Mapping[str, Any], with_feedback: bool) -> dict[str, Any]:
    shown = {name: row[name] for name in _MISS_FIELDS}
    # The words of a problem code may be those of feedback, too: only what was searched for is for everybody.
    return shown if with_feedback or row["kind"] == MissKind.QUERY else shown | {"example": None}


def _limit(arguments: Arguments) -> int:
    return min(max(int(arguments.get("limit") or 50), 1), MAX_PAGE)


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _ARTICLE_FIELDS}


def _readable(store: KnowledgeStore, one: str, scope: Mapping[str, Any]) -> Mapping[str, Any]:
    row = store.read_article(one)
    visible = row is not None and row["level"] in rules.levels_for(scope)
    if row is None or not visible or (scope.get("kind") != "all" and row["state"] != State.PUBLISHED):
        raise NotFound(f"no article {one}", field="article_id")
    return row


def _before(store: KnowledgeStore, one: str) -> Mapping[str, Any]:
    row = store.read_article(one)
    text = store.read_version(one, row["version"]) if row else None
    if text is None:
        raise NotFound(f"no article {one}", field="article_id")
    return text


def _fields(arguments: Arguments, categories: Sequence[str], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a text: those given, else as before, else their defaults. A category may be None: none."""
    title, body = (str(arguments.get(name) or before.get(name) or "") for name in ("title", "body"))
    if not title or not body:
        raise RuleBroken("is required", field="body" if title else "title")
    language = arguments.get("language") or before.get("language") or language_of(f"{title}\n{body}")
    if language not in (Language.ZH_CN, Language.EN, Language.JA):
        raise RuleBroken(f"{language!r} is not one of zh-CN, en, ja", field="language")
    level = arguments.get("level") or before.get("level") or Level.INTERNAL
    if level not in set(Level):
        raise RuleBroken(f"{level!r} is not one of {', '.join(Level)}", field="level")
    category = arguments["category"] if "category" in arguments else before.get("category")
    rules.check_category(category, categories)
    codes = arguments.get("problem_codes")
    return {
        "title": title,
        "body": body,
        "language": str(language),
        "level": str(level),
        "category": category,
        "problem_codes": list(dict.fromkeys(before.get("problem_codes", ()) if codes is None else codes)),
    }
