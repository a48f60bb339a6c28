"""What is kept is kept as long as the design says, and no longer; what still has work to do is never cleared away."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from eventkit import housekeeping

KEPT = {
    "outbox": (
        "insert into eventkit.outbox (id, aggregatetype, aggregateid, type, headers, payload, emitted_at, sent_at)"
        " values (:name, 'a', 'a', 't', '{}', '', now() - :age * interval '1 day', now() - :age * interval '1 day')",
        3,
    ),
    "inbox": (
        "insert into eventkit.inbox (source, id, type, state, arrived_at)"
        " values ('/s', :name, 't', 'handled', now() - :age * interval '1 day')",
        35,
    ),
    "answer": (
        "insert into eventkit.answer (key, method, answer, answered_at)"
        " values (:name, 'm', '', now() - :age * interval '1 day')",
        3,
    ),
    "attempt": (
        "insert into eventkit.attempt (source, id, marked_at) values ('/s', :name, now() - :age * interval '1 day')",
        35,
    ),
}


@pytest.mark.parametrize("table", KEPT)
def test_what_is_older_than_it_is_kept_goes_and_nothing_else(desk: Any, table: str) -> None:
    service = desk()
    insert, days = KEPT[table]
    with service.engine.begin() as connection:
        for name, age in (("old", days + 0.1), ("young", days - 0.1)):
            connection.execute(text(insert), {"name": name, "age": age})
    assert housekeeping.clean(service.engine) == 1
    name = "key" if table == "answer" else "id"
    assert service.one(f"select string_agg({name}, ' ') from eventkit.{table}") == "young"


def test_what_waits_is_kept_however_old_it_is(desk: Any) -> None:
    service = desk()
    with service.engine.begin() as connection:
        connection.execute(
            text(
                "insert into eventkit.outbox (id, aggregatetype, aggregateid, type, headers, payload, emitted_at)"
                " values ('unsent', 'a', 'a', 't', '{}', '', now() - interval '400 days')"
            )
        )
        for state in ("held", "dead"):
            connection.execute(
                text(
                    "insert into eventkit.inbox (source, id, type, state, arrived_at)"
                    " values ('/s', :state, 't', :state, now() - interval '400 days')"
                ),
                {"state": state},
            )
    assert housekeeping.clean(service.engine) == 0


def test_more_than_one_step_takes_goes_in_several(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "_CHUNK", 2)
    service = desk()
    insert, days = KEPT["inbox"]
    with service.engine.begin() as connection:
        for number in range(5):
            connection.execute(text(insert), {"name": str(number), "age": days + 1})
    assert housekeeping.clean(service.engine) == 5
