"""A knowledge base of any size: articles of Chinese words drawn as often as they are used, and questions to them.

The words are those of jieba's dictionary with their frequencies, so that common words stand in very many articles and
most words in few, as in real texts. The same number gives the same article in every run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import accumulate
from typing import Any

import jieba
import psycopg2
from psycopg2.extras import execute_values

CATEGORIES = ("登录问题", "权限问题", "数据错误", "操作指南")
_TITLE_WORDS, _SENTENCES, _SENTENCE_WORDS = 6, 8, 14
_CHUNK = 1000
_CODES = 500
# Every so many articles, one is about what `load.request` asks for.
_ANSWERS_EACH = 100
_TABLES = {
    "article": (
        "id, state, language, category, problem_codes, level, title, version, published_version, by_hand,"
        " created_at, changed_at, published_at, retired_reason",
        "(%(id)s, 'published', 'zh-CN', %(category)s, array[%(code)s], 'internal', %(title)s, 1, 1, true,"
        " %(at)s, %(at)s, %(at)s, '')",
    ),
    "article_version": (
        "id, article_id, version, language, category, problem_codes, level, title, body, created_at",
        "(%(id)s || '/1', %(id)s, 1, 'zh-CN', %(category)s, array[%(code)s], 'internal', %(title)s, %(body)s, %(at)s)",
    ),
    "index_entry": ("id, kind, version, indexed_version", "(%(id)s, 'article', 1, 1)"),
}


@cache
def _words() -> tuple[Sequence[str], Sequence[int]]:
    """Return the words of two characters or more, and how often all up to each are used."""
    jieba.initialize()
    used = {word: times for word, times in jieba.dt.FREQ.items() if times > 0 and len(word) > 1 and word.isalpha()}
    return list(used), list(accumulate(used.values()))


def _drawn(source: random.Random, count: int) -> list[str]:
    words, weights = _words()
    return source.choices(words, cum_weights=weights, k=count)


def article(number: int) -> dict[str, Any]:
    """Return the fields of one article: about 15 characters of title, 270 of text."""
    source = random.Random(number)
    words = _drawn(source, _TITLE_WORDS)
    title = "".join(["VPN 断开，无法访问共享盘：", *words[2:]] if number % _ANSWERS_EACH == 1 else words)
    sentences = ("".join(_drawn(source, _SENTENCE_WORDS)) for _ in range(_SENTENCES))
    return {
        "id": f"B-{number:06d}",
        "title": title,
        "body": "。".join(sentences),
        "category": source.choice(CATEGORIES),
        "code": f"P-{source.randrange(_CODES)}",
        "at": datetime.now(UTC),
    }


def question(number: int, articles: int) -> str:
    """Return what somebody may look for: two to four words of a title of so many articles, every third a sentence."""
    source = random.Random(-1 - number)
    # An article draws the words of its title first.
    title = _drawn(random.Random(source.randrange(articles)), _TITLE_WORDS)
    asked = "".join(source.sample(title, source.randint(2, 4)))
    return f"请问{asked}怎么办" if number % 3 == 0 else asked


def publish(database_uri: str, count: int) -> None:
    """Write so many published articles into knowledge's database, as they would be there after years of work."""
    connection = psycopg2.connect(database_uri)
    try:
        with connection, connection.cursor() as cursor:
            for rows in _chunks(count):
                for table, (columns, values) in _TABLES.items():
                    statement = f"insert into {table} ({columns}) values %s on conflict do nothing"
                    execute_values(cursor, statement, rows, template=values, page_size=_CHUNK)
        connection.autocommit = True
        with connection.cursor() as cursor:
            for table in _TABLES:
                cursor.execute(f"analyze {table}")
    finally:
        connection.close()


def _chunks(count: int) -> Iterator[list[dict[str, Any]]]:
    for begin in range(0, count, _CHUNK):
        yield [article(number) for number in range(begin, min(begin + _CHUNK, count))]
