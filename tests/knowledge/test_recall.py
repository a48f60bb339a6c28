"""The search is at least as good as plain BM25 on the same server, on a fifth of the tuning sets (data/README.md).

`liaison knowledge recall` asks all of the questions.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from liaison.installation import Installation
from services.knowledge.recall import Measured, measure, scratch

pytestmark = pytest.mark.timeout(300)
FOLDER = Path(__file__).parents[3] / "shared/data"


@pytest.fixture(scope="module")
def measured(search_server: Installation) -> Iterator[dict[str, Measured]]:
    index = scratch(search_server.search_url("knowledge"), "liaison-knowledge")
    yield {one.name: one for one in measure(index, FOLDER, every=5)}
    assert index.generations() == []
    index.close()


def test_it_is_at_least_plain_bm25_everywhere(measured: dict[str, Measured]) -> None:
    assert len(measured) == 4
    for one in measured.values():
        assert one.ours.recall_3 >= one.plain.recall_3, one
        assert one.ours.mrr_10 >= one.plain.mrr_10, one


def test_a_wrong_character_costs_less_than_with_plain_bm25(measured: dict[str, Measured]) -> None:
    typos = measured["zh, one wrong character"]
    assert typos.ours.mrr_10 >= 1.2 * typos.plain.mrr_10
