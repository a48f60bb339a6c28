"""When an event counts: at its own time while that can be believed, else at its arrival."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from eventkit.moments import believed_moment

ARRIVED_AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "history", "believed"),
    [
        pytest.param(timedelta(hours=1), False, True, id="an hour old"),
        pytest.param(timedelta(hours=24), False, True, id="a day old"),
        pytest.param(timedelta(hours=24, seconds=1), False, False, id="older than a day"),
        pytest.param(timedelta(seconds=-60), False, True, id="by a clock that is a little fast"),
        pytest.param(timedelta(seconds=-61), False, False, id="from the future"),
        pytest.param(timedelta(days=900), True, True, id="history is always believed"),
    ],
)
def test_a_moment_counts_when_it_is_believable_or_history(before: timedelta, history: bool, believed: bool) -> None:
    time = ARRIVED_AT - before
    assert believed_moment(time, ARRIVED_AT, history=history) == (time if believed else ARRIVED_AT)


def test_a_moment_that_arrived_as_it_was_told_counts() -> None:
    assert believed_moment(ARRIVED_AT, None, history=False) == ARRIVED_AT
