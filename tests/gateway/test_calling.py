"""Calls to services that do not answer: what else the door does meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import islice
from time import monotonic
from typing import Any

import httpx

from services.gateway.calling import WAITING_EACH
from tests.gateway.desk_stub import stopped
from tests.gateway.door import Door, attributes, data
from tests.gateway.knowledge_stub import Asked

STOPPED = {"tickets": "/v1/tickets/T1", "training": "/v1/courses"}
CALLS = WAITING_EACH + 28


@contextmanager
def asked_in_vain(door: Door) -> Iterator[list[Future[httpx.Response]]]:
    """Have many people ask two services that are stopped; given when all but those that wait are answered."""
    token = door.token("admin")
    left = (CALLS - WAITING_EACH) * len(STOPPED)
    with (
        stopped(door.installation, "tickets"),
        stopped(door.installation, "training"),
        ThreadPoolExecutor(CALLS * len(STOPPED)) as people,
        httpx.Client(base_url=door.http.base_url, timeout=20, trust_env=False) as client,
    ):
        headers = {"authorization": f"Bearer {token}"}
        asked = [people.submit(client.get, path, headers=headers) for path in STOPPED.values() for _ in range(CALLS)]
        # Less than the time for which one that waits does so.
        list(islice(as_completed(asked, timeout=4.5), left))
        yield asked


def timed(ask: Any, *arguments: Any) -> tuple[int, bool]:
    """Return the status of an answer, and whether it came within a second."""
    begun = monotonic()
    return ask(*arguments).status_code, monotonic() - begun < 1


def test_stopped_services_shut_out_neither_events_nor_other_services(door: Door, knowledge: Asked) -> None:
    token = door.token("admin")
    with asked_in_vain(door) as asked:
        told = next(one.result() for one in asked if one.done())
        assert (told.status_code, told.headers["retry-after"]) == (503, "5")
        assert "wait already" in told.json()["detail"]
        assert timed(door.post_binary, attributes(), data()) == (202, True)
        assert timed(door.ask, "GET", "/v1/articles/K1", token) == (200, True)
        assert timed(door.http.get, "/ready") == (200, True)
        assert sum(not one.done() for one in asked) == WAITING_EACH * len(STOPPED)
