"""Calls: answered in time or not executed, commands once a key, errors as themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from eventkit import rpc
from eventkit.definition import Method
from eventkit.errors import DeadlinePassed, NotFound, RuleBroken, Unavailable
from eventkit.rpc import RpcClient
from eventkit.work import Work
from tests.eventkit.desk import eventually


def write_row(work: Work, arguments: Mapping[str, Any]) -> Any:
    time.sleep(arguments.get("takes_s", 0))
    row = work.connection.execute(
        text("insert into effect (title) values (:t) returning position"), {"t": arguments["title"]}
    )
    return {"position": row.scalar_one()}


def refuse(work: Work, arguments: Mapping[str, Any]) -> Any:
    raise RuleBroken("500,000 is not below 500,000", field="amount")


def not_there(work: Work, arguments: Mapping[str, Any]) -> Any:
    raise NotFound("no ticket T2026-000001")


_UNDER_WAY = (
    "select count(*) from pg_stat_activity where datname = current_database() and state = 'idle in transaction'"
)
METHODS = {
    "write": Method("write", write_row, is_command=True),
    "refuse": Method("refuse", refuse, is_command=False),
    "echo": Method("echo", lambda work, arguments: arguments, is_command=False),
    "find": Method("find", not_there, is_command=False),
}


@pytest.fixture
def service(desk: Any) -> Any:
    return desk(methods=METHODS)


@pytest.fixture
def client(service: Any) -> Iterator[RpcClient]:
    client = RpcClient(service.uri, "gateway")
    eventually(lambda: client.connected)
    yield client
    client.close()


def test_a_command_sent_twice_with_one_key_changes_things_once(service: Any, client: RpcClient) -> None:
    service.start()
    answers: list[Any] = []

    def send() -> None:
        answers.append(client.call(service.definition.name, "write", {"title": "x", "takes_s": 0.1}, key="k1"))

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [answers[0]] * 3
    assert service.one("select count(*) from effect") == 1


def test_a_key_used_for_something_else_is_refused_and_the_callers_scope_does_not_matter(
    service: Any, client: RpcClient
) -> None:
    service.start()
    name = service.definition.name
    first = client.call(name, "write", {"title": "x", "scope": {"kind": "own"}}, key="k1")
    assert client.call(name, "write", {"scope": {"kind": "all"}, "title": "x"}, key="k1") == first
    with pytest.raises(RuleBroken, match="something else") as caught:
        client.call(name, "write", {"title": "y"}, key="k1")
    assert caught.value.field == "idempotency-key"
    assert service.one("select count(*) from effect") == 1


def test_a_key_used_for_another_method_is_refused(service: Any, client: RpcClient) -> None:
    service.start()
    client.call(service.definition.name, "write", {"title": "x"}, key="k1")
    service.definition.methods["refuse"]
    other = Method("other", write_row, is_command=True)
    service.processes[0].definition.methods["other"] = other
    with pytest.raises(RuleBroken, match="used for write before"):
        client.call(service.definition.name, "other", {"title": "x"}, key="k1")


def test_errors_cross_as_themselves_with_their_field(service: Any, client: RpcClient) -> None:
    service.start()
    with pytest.raises(RuleBroken, match="500,000") as caught:
        client.call(service.definition.name, "refuse", {})
    assert caught.value.field == "amount"
    with pytest.raises(NotFound, match="T2026-000001"):
        client.call(service.definition.name, "find", {})


def test_a_call_past_its_deadline_is_not_executed(service: Any, client: RpcClient) -> None:
    with pytest.raises(DeadlinePassed):
        client.call(service.definition.name, "write", {"title": "late"}, deadline_s=0.3)
    service.start()
    client.call(service.definition.name, "write", {"title": "in time"})
    assert [row.title for row in service.rows("select title from effect")] == ["in time"]


def test_many_threads_ask_over_one_connection_and_none_waits_for_nothing(service: Any, client: RpcClient) -> None:
    service.start()
    waited_s: list[float] = []

    def ask() -> None:
        for _ in range(500):
            began = time.monotonic()
            client.call(service.definition.name, "echo", {})
            waited_s.append(time.monotonic() - began)

    with ThreadPoolExecutor(4) as callers:
        for asking in [callers.submit(ask) for _ in range(4)]:
            asking.result()
    assert len(waited_s) == 2000
    assert max(waited_s) < 4


def test_a_service_that_stops_answers_the_calls_that_it_has_taken(service: Any, client: RpcClient) -> None:
    process = service.start()
    name = service.definition.name
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(client.call, name, "write", {"title": str(n), "takes_s": 1.0}) for n in range(3)]
        eventually(lambda: service.one(_UNDER_WAY) == 3)
        process.stop()
        assert sorted(answer.result()["position"] for answer in answers) == [1, 2, 3]


def test_a_call_that_does_not_end_is_waited_for_once_when_its_service_stops(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc, "_FINISH_S", 3.0)
    under_way, go_on = threading.Event(), threading.Event()

    def hang(work: Work, arguments: Mapping[str, Any]) -> None:
        under_way.set()
        go_on.wait(60)

    service = desk(methods={"hang": Method("hang", hang, is_command=False)})
    process = service.start()
    client = RpcClient(service.uri, "gateway")
    eventually(lambda: client.connected)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(client.call, service.definition.name, "hang", {})
        assert under_way.wait(60)
        began_at = time.monotonic()
        process.stop()
        took_s = time.monotonic() - began_at
        go_on.set()
    client.close()
    assert 3.0 <= took_s < 6.0


def test_a_client_without_a_broker_says_so_at_once() -> None:
    client = RpcClient("amqp://nobody:nothing@127.0.0.1:1/liaison", "gateway")
    with pytest.raises(Unavailable):
        client.call("tickets", "find", {})
    client.close()


def test_a_call_to_a_service_that_is_not_there_ends_at_once(client: RpcClient) -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable, match="nobody answers"):
        client.call("nobody", "find", {})
    assert time.monotonic() - started < 2


def test_a_command_with_a_state_secrets_marking_is_refused_with_advice_and_a_question_is_not(
    service: Any, client: RpcClient
) -> None:
    service.start()
    with pytest.raises(RuleBroken, match="保密规定") as caught:
        client.call(service.definition.name, "write", {"title": "机密★1年"}, key="k1")
    assert caught.value.field == "title"
    assert service.one("select count(*) from effect") == 0
    assert client.call(service.definition.name, "echo", {"q": "机密"}) == {"q": "机密"}
