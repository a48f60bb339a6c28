"""Search and suggestions are at least as good as plain BM25 on the same server, on all tuning sets (data/README.md).

All the questions are asked, since a fifth of a set is so few that one question more or less decides.
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
    yield {one.name: one for one in measure(index, FOLDER)}
    assert index.generations() == []
    index.close()


def test_it_is_at_least_plain_bm25_everywhere(measured: dict[str, Measured]) -> None:
    assert len(measured) == 4
    for one in measured.values():
        assert one.ours.recall_3 >= one.plain.recall_3, one
        assert one.ours.mrr_10 >= one.plain.mrr_10, one


def test_what_is_suggested_for_a_ticket_is_at_least_plain_bm25_everywhere(measured: dict[str, Measured]) -> None:
    for one in measured.values():
        assert one.suggested.recall_3 >= one.plain.recall_3, one
        assert not one.is_worse


def test_a_wrong_character_costs_less_than_with_plain_bm25(measured: dict[str, Measured]) -> None:
    typos = measured["zh, one wrong character"]
    assert typos.ours.mrr_10 >= 1.2 * typos.plain.mrr_10
