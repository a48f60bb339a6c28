"""Calls to services that do not answer: what else the door does meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import islice

import httpx
import pytest

from eventkit.rpc import RpcClient
from services.gateway.calling import WAITING_EACH
from tests.gateway.desk_stub import running_tickets, stopped
from tests.gateway.door import Door, attributes, data
from tests.gateway.knowledge_stub import Asked
from tests.gateway.training_stub import running_training

STOPPED = {"tickets": "/v1/tickets/T1", "training": "/v1/courses"}
REFUSED_EACH = 28
#: For how long a call waits here: longer than all of this takes, so that nobody is answered because time is up.
PATIENCE_S = 60.0


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no call give up while a test runs."""
    defaults = RpcClient.call.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "deadline_s", PATIENCE_S)


@contextmanager
def asked_in_vain(door: Door) -> Iterator[list[Future[httpx.Response]]]:
    """Have many people ask two services that are stopped; given when as many are answered as cannot wait."""
    calls = [path for path in STOPPED.values() for _ in range(WAITING_EACH + REFUSED_EACH)]
    headers = {"authorization": f"Bearer {door.token('admin')}"}
    # One connection each: a pool that is too small closes idle ones in the moment in which it gives them away.
    own_each = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    with (
        stopped(door.installation, "tickets"),
        stopped(door.installation, "training"),
        ThreadPoolExecutor(len(calls)) as people,
        httpx.Client(base_url=door.http.base_url, timeout=2 * PATIENCE_S, limits=own_each, trust_env=False) as client,
    ):
        asked = [people.submit(client.get, path, headers=headers) for path in calls]
        list(islice(as_completed(asked), REFUSED_EACH * len(STOPPED)))
        yield asked


def test_stopped_services_shut_out_neither_events_nor_other_services(
    door: Door, knowledge: Asked, patient: None
) -> None:
    token = door.token("admin")
    with asked_in_vain(door) as asked:
        told = next(one.result() for one in asked if one.done())
        assert (told.status_code, told.headers["retry-after"]) == (503, "5")
        assert "wait already" in told.json()["detail"]
        assert door.post_binary(attributes(), data()).status_code == 202
        assert door.ask("GET", "/v1/articles/K1", token).status_code == 200
        assert door.http.get("/ready").status_code == 200
        # Then those that could wait still do, and get their answer once the services are back
        assert sum(not one.done() for one in asked) == WAITING_EACH * len(STOPPED)
        with running_tickets(door.installation), running_training(door.installation):
            answered = Counter(one.result().status_code for one in asked)
    assert answered == {200: WAITING_EACH * len(STOPPED), 503: REFUSED_EACH * len(STOPPED)}
