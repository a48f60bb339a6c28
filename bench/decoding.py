"""How long reading an event's data takes, on the example of every type: decoding and checking, in one process.

A row like the others, and by itself: `python -m bench.decoding`.
"""

from __future__ import annotations

import timeit
from collections.abc import Mapping
from typing import Any

import msgspec

from bench.figures import Figure, show
from contracts.documents.files import FOLDER, examples
from eventkit.envelope import decode_data

BAR_US = 10.0
_TIMES, _ROUNDS = 2_000, 5


def decoding_us() -> Mapping[str, float]:
    """Return the microseconds that the data of each type's example takes, the best of a few rounds."""
    bodies = {name: msgspec.json.encode(example["data"]) for name, example in examples(FOLDER).items()}
    return {name: _best_us(name, body) for name, body in bodies.items()}


def _best_us(event_type: str, body: bytes) -> float:
    rounds = timeit.repeat(lambda: decode_data(event_type, body), number=_TIMES, repeat=_ROUNDS)
    return min(rounds) / _TIMES * 1e6


def measure(lab: Any, plan: Any) -> list[Figure]:
    """Return the slowest type's figure; the bar holds for every one. Uses no server."""
    taken = decoding_us()
    slowest = max(taken, key=lambda name: taken[name])
    us = taken[slowest]
    what = f"data of {slowest}, the slowest of {len(taken)} types"
    return [Figure("decoding", what, us, "µs", bar=f"≤ {BAR_US:.0f} µs", kept=us <= BAR_US)]


if __name__ == "__main__":
    show(measure(None, None))
