"""What a door does with its verdicts: once, together, told, and asked for later."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import httpx
import pytest
from amqp.exceptions import AccessRefused

from eventkit import broker
from tests.eventkit.desk import eventually
from tests.gateway.door import LOCKED_OUT, REQUESTED, Door, as_json, attributes, data


def publish(door: Door, given: dict[str, Any], body: Any, *, key: str = LOCKED_OUT, **more: Any) -> None:
    """Publish in binary mode over the real broker, with the ERP's own account."""
    headers = {f"ce-{name}": value for name, value in given.items()} | more
    door.publish(door.erp, key, headers, as_json(body), content_type="application/json")


def test_a_repeat_is_accepted_changes_nothing_and_emits_nothing(door: Door) -> None:
    given = attributes(id="same")
    assert door.post_binary(given, data()).json()["verdicts"][0]["verdict"] == "accepted"
    # The same event by the other door, and once more with other data: the first one counts.
    assert door.take(given, data()) == []
    again = door.post_structured(given, data(login="else"))
    assert (again.status_code, again.json()["verdicts"][0]["verdict"]) == (202, "repeated")
    door.post_binary(attributes(id="next"), data())
    assert [headers["ce-id"] for headers, _ in door.emitted(2)] == ["same", "next"]
    assert door.rows("select id, repeats, door from accepted order by id") == [("next", 0, "http"), ("same", 2, "http")]
    assert door.one("select count(*) from eventkit.outbox") == 2


def test_the_same_event_twice_in_one_batch_is_one_event(door: Door) -> None:
    one = {**attributes(), "data": data()}
    answer = door.post([one, one, one], {"content-type": "application/cloudevents-batch+json"})
    assert [row["verdict"] for row in answer.json()["verdicts"]] == ["accepted", "repeated", "repeated"]
    assert door.one("select count(*) from eventkit.outbox") == 1
    assert door.one("select repeats from accepted") == 2


def test_the_same_id_of_two_publishers_is_two_events(door: Door) -> None:
    oa = door.add("oa", "oa.*", "liaison.ticket.update_requested.v1")
    given = attributes(id="same", source="/oa", type="liaison.ticket.update_requested.v1")
    assert door.post_structured(given, {"number": "T1", "comment": "x"}, account=oa).status_code == 202
    assert door.post_structured(attributes(id="same"), data()).json()["verdicts"][0]["verdict"] == "accepted"


def test_the_same_event_at_once_by_many_is_emitted_once(door: Door) -> None:
    given = [attributes(id=f"race-{number}") for number in range(20)]
    verdicts: list[str] = []

    def send() -> None:
        batch = [{**one, "data": data()} for one in given]
        answer = door.post(batch, {"content-type": "application/cloudevents-batch+json"})
        verdicts.extend(one["verdict"] for one in answer.json()["verdicts"])

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(verdicts) == ["accepted"] * 20 + ["repeated"] * 100
    assert door.one("select count(*) from eventkit.outbox") == 20


def test_a_refusal_is_one_row_one_count_one_event_and_one_message(door: Door) -> None:
    before = door.counted("refused", "amqp")
    publish(door, attributes(id="bad"), data(login=None))
    [(message_id, told)] = door.replies(door.erp)
    assert (told["id"], told["type"], told["field"]) == ("bad", LOCKED_OUT, "data.title")
    assert "title" in told["reason"]
    [row] = door.rows("select * from refusal")
    assert (row.publisher, row.event_id, row.type, row.field) == ("erp", "bad", LOCKED_OUT, "data.title")
    assert row.digest == message_id
    assert "ce-id: bad" in bytes(row.sent).decode()
    assert bytes(row.sent).endswith(as_json(data(login=None)))
    [(headers, fact)] = door.emitted()
    assert (headers["ce-type"], headers["ce-subject"]) == ("liaison.event.refused.v1", "erp")
    assert (fact["publisher"], fact["event_id"], fact["field"]) == ("erp", "bad", "data.title")
    assert door.counted("refused", "amqp") == before + 1


def test_the_same_bytes_are_refused_once_and_told_each_time(door: Door) -> None:
    given = attributes(id="bad")
    for _ in range(3):
        publish(door, given, data(login=None))
    assert len({message_id for message_id, _ in door.replies(door.erp, 3)}) == 1
    assert door.one("select count(*) from refusal") == 1
    assert door.one("select count(*) from eventkit.outbox") == 1


def test_only_the_first_64_kib_of_what_was_refused_are_kept(door: Door) -> None:
    door.post_structured(attributes(), "x" * 200_000)
    assert door.one("select length(sent) from refusal") == 64 * 1024
    assert door.one("select field from refusal") == "event"


def test_a_refusal_keeps_no_token(door: Door) -> None:
    door.post_binary(attributes(), data(login=None))
    assert door.erp.token not in bytes(door.one("select sent from refusal")).decode()


def test_good_events_beside_bad_ones_in_one_amqp_batch_go_through(door: Door) -> None:
    for number in range(30):
        publish(door, attributes(id=f"n{number}"), data(login=None) if number % 3 == 0 else data())
    assert len(door.replies(door.erp, 10)) == 10
    emitted = [headers["ce-id"] for headers, _ in door.emitted(30) if headers["ce-source"] == "/erp"]
    assert emitted == [f"n{number}" for number in range(30) if number % 3]


def test_what_the_database_does_not_take_is_refused_alone(door: Door) -> None:
    # A constraint stands for whatever the rules did not foresee.
    with door.engine.begin() as connection:
        connection.exec_driver_sql("alter table accepted add constraint planted check (id <> 'odd')")
    try:
        batch = [{**attributes(id=name), "data": data()} for name in ("a", "odd", "b")]
        answer = door.post(batch, {"content-type": "application/cloudevents-batch+json"})
    finally:
        with door.engine.begin() as connection:
            connection.exec_driver_sql("alter table accepted drop constraint planted")
    assert [one["verdict"] for one in answer.json()["verdicts"]] == ["accepted", "refused", "accepted"]
    assert door.rows("select publisher, event_id, reason from refusal") == [
        ("erp", "odd", "cannot be stored: CheckViolation")
    ]


@pytest.mark.parametrize("body", [b"\xff\xfe", b"[" * 60_000, b'{"id":' * 5_000, b"null", b""])
@pytest.mark.parametrize("content_type", ["application/cloudevents+json", "application/json", "", "\x00"])
def test_whatever_comes_over_amqp_gets_a_verdict(door: Door, body: bytes, content_type: str) -> None:
    [refusal] = door.take({}, body, content_type=content_type, routing_key=LOCKED_OUT)
    assert refusal["reason"]


@pytest.mark.parametrize("name", ["ce-subject", "x-own"])
def test_headers_that_cannot_be_decoded_get_a_verdict_and_stop_nobody(
    door: Door, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # A table's timestamp past the year 9999, as when milliseconds are taken for seconds; also in a header of their own.
    monkeypatch.setattr("amqp.serialization.calendar.timegm", lambda _: 2**40)
    far: dict[str, Any] = {name: datetime(2026, 1, 1)}  # noqa: DTZ001
    publish(door, attributes(id="far"), data(), **far)
    [(_, refusal)] = door.replies(door.erp)
    assert refusal["field"] == "headers"
    publish(door, attributes(id="after"), data())
    assert door.emitted(2)[-1][0]["ce-id"] == "after"


def test_odd_header_values_over_amqp_get_a_verdict(door: Door) -> None:
    for value in (b"\xff", 1.5, {"a": 1}, [1], None, b"\x00", "\ud800"):
        [refusal] = door.take(attributes() | {"subject": value}, data())
        assert refusal["field"] in ("subject", "event")


def test_the_broker_itself_refuses_another_publishers_types_and_exchanges(door: Door) -> None:
    headers = {f"ce-{name}": value for name, value in attributes().items()}
    for key in ("oa.leave.asked", "erp", "erpx.y", "erp.", "erp.x\n", "xerp.y"):
        with pytest.raises(AccessRefused):
            door.publish(door.erp, key, headers, b"{}")
    for exchange in (broker.EVENTS, "", "amq.topic"):
        with pytest.raises(AccessRefused):
            _publish_to(door, exchange)
    assert door.one("select count(*) from refusal") == 0


def _publish_to(door: Door, exchange: str) -> None:
    import amqp

    channel = broker.connect(door.erp.amqp_uri, name="test").channel()
    try:
        channel.confirm_select()
        channel.basic_publish_confirm(amqp.Message(b"{}"), exchange=exchange, routing_key="erp.x", timeout=5)
    finally:
        broker.close_quietly(channel.connection)


def test_a_publisher_reads_only_its_own_reply_queue(door: Door) -> None:
    oa = door.add("oa", "oa.*")
    for queue in (oa.reply_queue, "gateway.intake"):
        channel = broker.connect(door.erp.amqp_uri, name="test").channel()
        with pytest.raises(AccessRefused):
            channel.basic_get(queue)
        broker.close_quietly(channel.connection)


def test_a_publisher_learns_what_became_of_its_events(door: Door) -> None:
    door.post_binary(attributes(id="ok/1 号"), data())
    door.post_binary(attributes(id="ok/1 号"), data())
    door.post_binary(attributes(id="bad"), data(login=None))

    def ask(event_id: str, account: Any = door.erp) -> httpx.Response:
        headers = {"authorization": f"Bearer {account.token}"}
        return door.http.get(f"/v1/publishers/me/events/{event_id}", headers=headers)

    found = ask("ok/1 号").json()
    assert (found["verdict"], found["becomes"], found["repeats"]) == ("accepted", REQUESTED, 1)
    # No service runs beside this gateway.
    services = ("tickets", "training", "knowledge", "notify", "metrics")
    assert found["handled_by"] == dict.fromkeys(services, "unknown")
    found = ask("bad").json()
    assert (found["verdict"], found["field"]) == ("refused", "data.title")
    assert ask("never").status_code == 404
    assert ask("ok/1 号", door.add("oa", "oa.*")).status_code == 404


def test_a_dry_run_shows_the_canonical_form_and_changes_nothing(door: Door) -> None:
    path = "/v1/events?dry_run=true"
    answer = door.post_binary(attributes(id="d1"), data(), path=path)
    [verdict] = answer.json()["verdicts"]
    assert (answer.status_code, verdict["verdict"]) == (202, "accepted")
    assert (verdict["event"]["type"], verdict["event"]["data"]["priority"]) == (REQUESTED, 2)
    refused = door.post_binary(attributes(), data(login=None), path=path)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "data.title")
    for table in ("accepted", "refusal", "eventkit.outbox"):
        assert door.one(f"select count(*) from {table}") == 0
    door.post_binary(attributes(id="d1"), data())
    assert door.post_binary(attributes(id="d1"), data(), path=path).json()["verdicts"][0]["verdict"] == "repeated"
    assert door.one("select repeats from accepted") == 0


def test_the_counters_tell_the_doors_apart(door: Door) -> None:
    before = {(name, at): door.counted(name, at) for name in ("accepted", "repeated") for at in ("amqp", "http")}
    given = attributes()
    door.post_binary(given, data())
    door.take(given, data())
    door.take(attributes(), data())
    after = {key: door.counted(*key) - value for key, value in before.items()}
    assert after == {
        ("accepted", "http"): 1,
        ("accepted", "amqp"): 1,
        ("repeated", "http"): 0,
        ("repeated", "amqp"): 1,
    }


def test_what_every_service_keeps_is_forgotten_by_the_gateway_too(door: Door) -> None:
    door.post_binary(attributes(), data())
    door.post_binary(attributes(id="new"), data())
    eventually(lambda: door.one("select count(*) from eventkit.outbox where sent_at is null") == 0)
    with door.engine.begin() as connection:
        connection.exec_driver_sql(
            "update eventkit.outbox set emitted_at = now() - interval '4 days', sent_at = now() - interval '4 days'"
            " where headers ->> 'ce-id' <> 'new'"
        )
    door.gateway._process._clean()
    assert door.rows("select headers ->> 'ce-id' from eventkit.outbox") == [("new",)]


def test_what_was_kept_long_enough_is_forgotten(door: Door) -> None:
    door.post_binary(attributes(id="old"), data())
    door.post_binary(attributes(id="new"), data())
    door.post_binary(attributes(id="bad"), data(login=None))
    with door.engine.begin() as connection:
        connection.exec_driver_sql("update accepted set arrived_at = now() - interval '36 days' where id = 'old'")
        connection.exec_driver_sql("update refusal set refused_at = now() - interval '31 days'")
    door.gateway._clean()
    assert door.rows("select id from accepted") == [("new",)]
    assert door.one("select count(*) from refusal") == 0
