"""What the search index is to hold, read from the database outside any transaction of a handler."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, text

from services.knowledge.cutting import family_of, language_of
from services.knowledge.querying import Body, document, tombstone

Entry = tuple[str, int, Body]
CHUNK = 500

# One statement, so that version and text belong together.
_ENTRIES = """
select e.id, e.kind, e.version, a.state = 'published' as article_shown, m.listed as material_shown, a.language,
    a.category, a.problem_codes as article_codes, a.level, a.title as article_title, v.body,
    m.title as material_title, m.summary, m.course_title, m.url, m.problem_codes as material_codes
from index_entry e
left join article a on e.kind = 'article' and a.id = e.id
left join article_version v on v.id = a.id || '/' || a.published_version
left join course_material m on e.kind = 'material' and m.id = e.id
"""


class Shelf:
    """Reads what is on the shelf: published articles and the materials of courses."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def entry(self, one: str) -> Entry | None:
        """Return (id, version, document) of an article or a material as it is now."""
        with self._engine.connect() as connection:
            row = connection.execute(text(_ENTRIES + " where e.id = :id"), {"id": one}).one_or_none()
        return _entry(row) if row is not None else None

    def everything(self) -> Iterator[Entry]:
        """Return all that can be found, in the order of ids, a chunk at a time."""
        after = ""
        while True:
            with self._engine.connect() as connection:
                rows = _chunk(connection, after)
            for row in rows:
                if row.article_shown or row.material_shown:
                    yield _entry(row)
            if len(rows) < CHUNK:
                return
            after = rows[-1].id

    def count(self) -> int:
        """Return how many articles and materials can be found."""
        with self._engine.connect() as connection:
            found = connection.execute(
                text(
                    "select (select count(*) from article where state = 'published')"
                    " + (select count(*) from course_material where listed)"
                )
            )
            return int(found.scalar_one())

    def behind(self) -> tuple[int, float]:
        """Return how many changes the index has not got yet, and the age of the oldest in seconds."""
        with self._engine.connect() as connection:
            count, age_s = connection.execute(
                text(
                    "select count(*), coalesce(extract(epoch from now() - min(behind_since)), 0) from index_entry"
                    " where behind_since is not null"
                )
            ).one()
        return int(count), max(float(age_s), 0.0)


def _chunk(connection: Connection, after: str) -> Any:
    statement = text(_ENTRIES + " where e.id > :after order by e.id limit :limit")
    return connection.execute(statement, {"after": after, "limit": CHUNK}).all()


def _entry(row: Any) -> Entry:
    if not (row.article_shown or row.material_shown):
        return row.id, row.version, tombstone(row.id)
    is_article = row.kind == "article"
    title = row.article_title if is_article else row.material_title
    body = row.body if is_article else f"{row.course_title}\n{row.summary}"
    language = row.language if is_article else language_of(f"{title} {row.summary}")
    shown = {
        "id": row.id,
        "kind": row.kind,
        "title": title,
        "body": body,
        "url": "" if is_article else row.url,
        "language": language,
        "category": row.category,
        "problem_codes": row.article_codes if is_article else row.material_codes,
        "level": row.level if is_article else "internal",
    }
    return row.id, row.version, document(shown, family_of(language))
