"""The knowledge service's tables, and how a transaction reads and writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Engine,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    func,
    select,
    text,
)
from sqlalchemy import (
    Sequence as Numbers,
)
from sqlalchemy.dialects.postgresql import ARRAY

from eventkit.work import Row, Work
from services.knowledge.rules import VERSION_FIELDS, MissKind, State, article_id, miss_id

metadata = MetaData()
_moment = DateTime(timezone=True)

article_number = Numbers("article_number", metadata=metadata)

article = Table(
    "article",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("category", Text),
    Column("problem_codes", ARRAY(Text), nullable=False),
    Column("level", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("version", Integer, nullable=False, comment="the newest one, published or not"),
    Column("published_version", Integer, comment="the one that people read"),
    Column("source_ticket", Text, unique=True, comment="the solved ticket that it was drafted from"),
    Column("by_hand", Boolean, nullable=False, comment="false while only Liaison itself has written it"),
    Column("created_by", Text),
    Column("created_at", _moment, nullable=False),
    Column("changed_at", _moment, nullable=False),
    Column("published_at", _moment),
    Column("retired_at", _moment),
    Column("retired_reason", Text, nullable=False),
    Index("article_by_state", "state", "id"),
    Index("article_by_code", "problem_codes", postgresql_using="gin", postgresql_where=text("state = 'published'")),
    comment="Language to title are what readers see: of the published version, else of the newest",
)

article_version = Table(
    "article_version",
    metadata,
    Column("id", Text, primary_key=True, comment="article/version"),
    Column("article_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("language", Text, nullable=False),
    Column("category", Text),
    Column("problem_codes", ARRAY(Text), nullable=False),
    Column("level", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("author", Text),
    Column("created_at", _moment, nullable=False),
    comment="Every text that an article ever had (S4)",
)

article_feedback = Table(
    "article_feedback",
    metadata,
    Column("id", Text, primary_key=True, comment="the feedback, or article/person for a rating given while reading"),
    Column("article_id", Text, nullable=False),
    Column("score", SmallInteger),
    Column("text", Text, nullable=False),
    Column("author", Text),
    Column("received_at", _moment, nullable=False),
    Index("article_feedback_by_article", "article_id"),
)

missing_answer = Table(
    "missing_answer",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False, comment="the problem code, else the id: what people write is only hashed"),
    Column("problem_code", Text),
    Column("language", Text, nullable=False),
    Column("example", Text, nullable=False),
    Column("example_by", Text, comment="who wrote the example, so that it can be erased"),
    Column("count", Integer, nullable=False),
    Column("first_seen_at", _moment, nullable=False),
    Column("last_seen_at", _moment, nullable=False),
    Column("resolved_by", Text, comment="the article that is the answer"),
    Column("resolved_at", _moment),
    Index("missing_answer_open", "count", "id", postgresql_where=text("resolved_at is null")),
    comment="Questions that nobody has answered yet (K7)",
)

course_material = Table(
    "course_material",
    metadata,
    Column("id", Text, primary_key=True, comment="course/material"),
    Column("course", Text, nullable=False),
    Column("course_title", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("problem_codes", ARRAY(Text), nullable=False),
    Column("listed", Boolean, nullable=False, comment="false when the course does not have it any more"),
    Column("seen_at", _moment, nullable=False, comment="the time of the event that this is the state of"),
    Index("course_material_by_course", "course"),
)

reading_list = Table(
    "reading_list",
    metadata,
    Column("id", Text, primary_key=True, comment="enrolment/attempt"),
    Column("course", Text, nullable=False),
    Column("learner", Text, nullable=False),
    Column("articles", ARRAY(Text), nullable=False),
    Column("made_at", _moment, nullable=False),
)

index_entry = Table(
    "index_entry",
    metadata,
    Column("id", Text, primary_key=True, comment="the article, or course/material"),
    Column("kind", Text, nullable=False),
    Column("version", BigInteger, nullable=False, comment="rises with every change that the index must learn of"),
    Column("indexed_version", BigInteger, nullable=False),
    Column("behind_since", _moment, comment="since when the index does not have the newest version"),
    Index("index_entry_behind", "behind_since", postgresql_where=text("behind_since is not null")),
    comment="What the search index must hold, and what it is known to hold",
)


class KnowledgeStore:
    """What one transaction sees and changes of knowledge."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.articles = work.rows(article)
        self.feedback = work.rows(article_feedback)
        self.missing = work.rows(missing_answer)
        self.materials = work.rows(course_material)
        self.reading_lists = work.rows(reading_list)
        self.entries = work.rows(index_entry)
        self._versions = work.rows(article_version)
        self._covered: dict[str, bool] = {}

    @property
    def now(self) -> datetime:
        """The transaction's moment."""
        return self.work.now

    def new_article_id(self) -> str:
        """Return an id that no article has."""
        return article_id(self.work.connection.execute(text("select nextval('article_number')")).scalar_one())

    def add_version(self, row: Row, fields: Mapping[str, Any], author: str | None) -> None:
        """Keep a text of an article under the article's newest version. fields: VERSION_FIELDS and body."""
        number = row["version"]
        self._versions.add(
            id=f"{row['id']}/{number}",
            article_id=row["id"],
            version=number,
            author=author,
            created_at=self.now,
            **{name: fields[name] for name in (*VERSION_FIELDS, "body")},
        )

    def read_article(self, one: str) -> Mapping[str, Any] | None:
        """Return an article without locking it."""
        found = self.work.connection.execute(select(article).where(article.c.id == one)).mappings().one_or_none()
        return dict(found) if found else None

    def read_version(self, one: str, number: int) -> Mapping[str, Any] | None:
        """Return a text of an article without locking it."""
        statement = select(article_version).where(article_version.c.id == f"{one}/{number}")
        found = self.work.connection.execute(statement).mappings().one_or_none()
        return dict(found) if found else None

    def rating(self, one: str) -> tuple[int, float | None]:
        """Return how often an article was scored, and the mean of the scores, 1 to 5."""
        statement = select(func.count(article_feedback.c.score), func.avg(article_feedback.c.score))
        count, mean = self.work.connection.execute(statement.where(article_feedback.c.article_id == one)).one()
        return count, None if mean is None else float(mean)

    def listed(
        self, filters: Mapping[str, Any], levels: Sequence[str], *, published_only: bool, after: str | None, limit: int
    ) -> list[Row]:
        """Return articles without locking them, newest id first, those after a cursor's id."""
        conditions: list[Any] = [article.c.level.in_(levels)]
        for name in ("state", "language", "category"):
            if filters.get(name) is not None:
                conditions.append(article.c[name] == filters[name])
        if filters.get("problem_code") is not None:
            conditions.append(article.c.problem_codes.contains([filters["problem_code"]]))
        if published_only:
            conditions.append(article.c.state == State.PUBLISHED)
        if after:
            conditions.append(article.c.id < after)
        statement = select(article).where(*conditions).order_by(article.c.id.desc()).limit(limit)
        return [dict(row) for row in self.work.connection.execute(statement).mappings()]

    def covering(self, codes: Iterable[str], levels: Sequence[str]) -> list[Row]:
        """Return the published articles about any of these problem codes, the newest first, without locking them."""
        wanted = list(dict.fromkeys(codes))
        if not wanted:
            return []
        statement = (
            select(article)
            .where(
                article.c.state == State.PUBLISHED,
                article.c.problem_codes.overlap(wanted),
                article.c.level.in_(levels),
            )
            .order_by(article.c.published_at.desc(), article.c.id)
        )
        return [dict(row) for row in self.work.connection.execute(statement).mappings()]

    def load_covered(self, codes: Iterable[str]) -> None:
        """Learn in one statement which problem codes a published article is about."""
        wanted = [code for code in dict.fromkeys(codes) if code not in self._covered]
        if wanted:
            covered = {code for row in self.covering(wanted, _ANY_LEVEL) for code in row["problem_codes"]}
            self._covered |= {code: code in covered for code in wanted}

    def is_covered(self, code: str) -> bool:
        """Tell whether a published article is about a problem code."""
        self.load_covered([code])
        return self._covered[code]

    def load_breached(self, codes: Iterable[str]) -> None:
        """Learn which problem codes are covered; lock and read what is known to be missing of the others."""
        wanted = list(dict.fromkeys(codes))
        self.load_covered(wanted)
        self.missing.preload(miss_id(MissKind.PROBLEM_CODE, code) for code in wanted if not self._covered[code])

    def open_misses_of(self, codes: Sequence[str]) -> list[Row]:
        """Lock and return the open missing answers that are known by these problem codes."""
        found = missing_answer.c.problem_code.in_(codes) & missing_answer.c.resolved_at.is_(None)
        return self.missing.find(found) if codes else []

    def listed_misses(self, *, resolved: bool, offset: int, limit: int) -> list[Row]:
        """Return missing answers, those asked most first, without locking them."""
        is_open = missing_answer.c.resolved_at.is_(None)
        statement = (
            select(missing_answer)
            .where(~is_open if resolved else is_open)
            .order_by(missing_answer.c.count.desc(), missing_answer.c.last_seen_at.desc(), missing_answer.c.id)
            .offset(offset)
            .limit(limit)
        )
        return [dict(row) for row in self.work.connection.execute(statement).mappings()]

    def load_materials(self, courses: Iterable[str]) -> None:
        """Lock and read in one statement the materials of courses."""
        self.materials.find(course_material.c.course.in_(list(dict.fromkeys(courses))))

    def materials_of(self, course: str) -> list[Row]:
        """Return the materials of a course, of those that were loaded or added."""
        return [row for row in self.materials.seen() if row["course"] == course]

    def index(self, one: str, kind: str) -> None:
        """Have the index learn of a change of an article or a material."""
        entry = self.entries.get(one)
        if entry is None:
            self.entries.add(id=one, kind=kind, version=1, indexed_version=0, behind_since=self.now)
        else:
            since = entry["behind_since"] or self.now
            self.entries.change(entry, version=entry["version"] + 1, behind_since=since)
        self.work.job("index", key=one, subject=one, payload={})

    def indexed(self, one: str, version: int) -> None:
        """Keep that the index has a version."""
        entry = self.entries.get(one)
        if entry is not None and entry["indexed_version"] < version:
            behind = entry["behind_since"] if version < entry["version"] else None
            self.entries.change(entry, indexed_version=version, behind_since=behind)


_REBUILD_ORDERED = text(
    "select clock_timestamp(), exists (select from eventkit.timer where kind = 'rebuild' and key = 'index')"
)


def order_rebuild(engine: Engine) -> None:
    """Have the index built anew, unless that is ordered already: a try that failed keeps its pause.

    engine: that of calls, so that the order stands whatever becomes of the question that found the index lost.
    """
    with engine.begin() as connection:
        now, is_ordered = connection.execute(_REBUILD_ORDERED).one()
        if is_ordered:
            return
        work = Work(connection, source="", now=now)
        work.job("rebuild", key="index", subject="index", payload={})
        work.flush()


_ANY_LEVEL = ("public", "internal", "sensitive")

#: What erases a person (S6): who they are, and what they wrote as a reader. Articles stay; they are the enterprise's.
FORGET = (
    "update article_feedback set author = null, text = '' where author = :number",
    "update missing_answer set example = '', example_by = null,"
    " key = case kind when 'problem_code' then key else id end where example_by = :number",
    "delete from reading_list where learner = :number",
    "update article_version set author = null where author = :number",
    "update article set created_by = null where created_by = :number",
)
