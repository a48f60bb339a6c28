"""The judge itself: each wrong that it must see, once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.oracle import Effect, Evidence, judge

A, B, C = Effect("a", "k", 1), Effect("b", "k", 2), Effect("c", "other", 1)
SOUND: dict[str, Any] = {
    "attempted": ["a", "b", "c", "maybe"],
    "acknowledged": ["a", "b", "c"],
    "effects": [A, C, B],
    "emitted": ["a", "b", "c"],
    "outbox": ["a", "b", "c"],
    "told": ["a", "b", "c"],
    "outgoing": ["x", "y"],
    "wire": [Effect("x", "k", 1), Effect("x", "k", 1), Effect("y", "k", 2), Effect("x", "k", 1)],
}


def test_a_sound_run_has_no_faults_and_copies_on_the_wire_are_no_matter() -> None:
    assert judge(Evidence(**SOUND)).faults == {}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param({"effects": [A, C], "told": ["a", "c"]}, "lost", id="an event had no effect"),
        pytest.param({"attempted": ["a", "b"], "acknowledged": ["a", "b"]}, "unexpected", id="nobody sent it"),
        pytest.param({"discarded": ["c"]}, "unexpected", id="it was discarded and took effect"),
        pytest.param({"effects": [A, C, B, A]}, "repeated", id="an effect twice"),
        pytest.param({"effects": [B, C, A]}, "inversions", id="the second before the first"),
        pytest.param({"emitted": ["a", "b"]}, "apart", id="an event without its row"),
        pytest.param({"outbox": ["a", "b"]}, "apart", id="a row without its event"),
        pytest.param({"told": ["a", "b"]}, "untold", id="an effect that was not announced"),
        pytest.param({"told": ["a", "b", "c", "c"]}, "retold", id="an effect announced twice"),
        pytest.param({"outgoing": ["x", "y", "z"]}, "lost_on_wire", id="an event that never left"),
        pytest.param(
            {"wire": [Effect("y", "k", 2), Effect("x", "k", 1)]}, "inversions_on_wire", id="left out of order"
        ),
        pytest.param({"undrained": 1}, "undrained", id="the outbox is not empty"),
        pytest.param({"waiting": 1}, "waiting", id="an event still waits"),
        pytest.param({"dead": {"d": "why"}}, "wrong_dead", id="an innocent is dead"),
        pytest.param({"expected_dead": ["d"]}, "wrong_dead", id="a culprit is not dead"),
    ],
)
def test_the_judge_sees(change: dict[str, Any], fault: str) -> None:
    assert list(judge(Evidence(**(SOUND | change))).faults) == [fault]
