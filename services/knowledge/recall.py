"""How well the search finds what it should: recall@3 and MRR@10 on questions whose answers are known.

Our search is asked in the language of the texts, as a page of that language does; what is suggested for a ticket
comes the whole way that a ticket's title goes, of which nobody says the language. Only three are suggested, so that
an answer behind them counts as not found.

Plain BM25 is asked on the same server and the same texts: one field of words (English) or bigrams (Chinese,
Japanese), as Elasticsearch's own `standard` and `cjk` analyzers would cut them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from services.knowledge import asking, querying, rules
from services.knowledge.cutting import Family, cut, family_of
from services.knowledge.search import SearchIndex

#: Language, file of documents, and the sets of questions about them: name to file.
SETS: Sequence[tuple[str, str, Mapping[str, str]]] = (
    ("zh-CN", "faq-zh.jsonl", {"zh": "faq-zh-queries.jsonl", "zh, one wrong character": "faq-zh-typos.jsonl"}),
    ("en", "faq-en.jsonl", {"en": "faq-en-queries.jsonl"}),
    ("ja", "wiki-ja.jsonl", {"ja": "wiki-ja-queries.jsonl"}),
)
_PLAIN: Mapping[Family, str] = {Family.ZH: "bi", Family.EN: "word", Family.JA: "bi"}
_PATIENCE_S = 30.0
Asked = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Score:
    """How one way of searching did. recall_3: share of questions whose answer is among the first three, 0 to 1.

    mrr_10: mean of 1 / rank of the answer, 0 when it is not among the first ten.
    """

    recall_3: float
    mrr_10: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One set of questions, asked in three ways: our search, what is suggested for a ticket, plain BM25."""

    name: str
    questions: int
    ours: Score
    suggested: Score
    plain: Score

    @property
    def is_worse(self) -> bool:
        """Whether plain BM25 is better than our search, or finds more among its first three than is suggested."""
        search_is_worse = self.ours.recall_3 < self.plain.recall_3 or self.ours.mrr_10 < self.plain.mrr_10
        return search_is_worse or self.suggested.recall_3 < self.plain.recall_3


def measure(index: SearchIndex, folder: Path, show: Callable[[str], None] = lambda name: None) -> list[Measured]:
    """Measure every set in a folder. index: a scratch index; it is filled for each set of documents and removed."""
    measured = []
    for language, documents, sets in SETS:
        family = family_of(language)
        with _filled(index, language, _lines(folder / documents)):
            for name, questions in sets.items():
                show(name)
                asked = [(one["query"], str(one["doc"])) for one in _lines(folder / questions)]
                ways = (partial(_ours, index, language), partial(_suggested, index), partial(_plain, index, family))
                measured.append(Measured(name, len(asked), *(_score(asked, way) for way in ways)))
    return measured


def scratch(url: str, prefix: str) -> SearchIndex:
    """Return an index of its own for measuring."""
    return SearchIndex(url, f"{prefix}-scratch-{os.getpid()}", timeout_s=_PATIENCE_S)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


@contextmanager
def _filled(index: SearchIndex, language: str, documents: Iterator[dict[str, Any]]) -> Iterator[None]:
    generation = index.add_generation()
    try:
        index.fill(generation, ((str(one["id"]), 1, _document(one, language)) for one in documents))
        index.turn_to(generation)
        yield
    finally:
        index.remove(generation)


def _document(one: Mapping[str, Any], language: str) -> querying.Body:
    shown = dict.fromkeys(querying.HIT_FIELDS, "") | {"id": str(one["id"]), "kind": "article", "body": one["body"]}
    return querying.document(shown | {"language": language, "level": "public"}, family_of(language))


def _ours(index: SearchIndex, language: str, text: str) -> Sequence[str]:
    wanted = asking.question_of({"q": text, "language": language})
    return [item["id"] for item in asking.search(index, wanted, "", timeout_s=_PATIENCE_S)["items"]]


def _suggested(index: SearchIndex, text: str) -> Sequence[str]:
    found = asking.articles_for(index, text, None, timeout_s=_PATIENCE_S)
    return [one.article_id for one in rules.suggestions(found, "")]


def _plain(index: SearchIndex, family: Family, text: str) -> Sequence[str]:
    form = _PLAIN[family]
    match = {"match": {querying.field_of("body", family, form): " ".join(cut(text, family)[form])}}
    hits = index.ask(querying.question(match, {}), timeout_s=_PATIENCE_S)
    return [hit["_source"]["id"] for hit in hits]


def _score(asked: Sequence[tuple[str, str]], ask: Asked) -> Score:
    ranks = []
    for question, answer in asked:
        found = list(ask(question))
        ranks.append(found.index(answer) + 1 if answer in found else 0)
    return Score(
        sum(1 <= rank <= 3 for rank in ranks) / len(ranks), sum(1 / rank for rank in ranks if rank) / len(ranks)
    )
