"""The numbers that people quote bear the year of the desk's own clock, which is in China, eight hours before UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eventkit.work import Work
from tests.eventkit.desk import Desk
from tests.tickets.stories import ALL

NEW_YEAR = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("method", "arguments", "name", "letter"),
    [
        ("open_ticket", {"title": "打不开"}, "number", "T"),
        ("submit_feedback", {"text": "太慢"}, "feedback_id", "F"),
        ("put_register_entry", {"kind": "problem", "title": "老化", "owner": "E1", "impact": 3}, "id", "R"),
    ],
)
def test_what_comes_in_at_new_year_bears_the_new_year(
    tickets: Desk, method: str, arguments: dict[str, Any], name: str, letter: str
) -> None:
    def year(moment: datetime) -> str:
        with tickets.engine.begin() as connection:
            work = Work(connection, source=tickets.definition.source, now=moment)
            answer = tickets.definition.methods[method].call(work, {"scope": ALL} | arguments)
            work.flush()
        return str(answer[name]).partition("-")[0]

    assert [year(NEW_YEAR - timedelta(seconds=1)), year(NEW_YEAR)] == [f"{letter}2026", f"{letter}2027"]
