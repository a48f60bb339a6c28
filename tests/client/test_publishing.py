"""From `publish` to the door of a real gateway: once, in order, with the door's answers, through what can go wrong."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from liaison_client import Event, Publisher, Refusal, Settings
from liaison_client.facts import TicketRequested
from liaison_client.spool import Spool

from eventkit import broker, topology
from services.gateway.service import DEFINITION
from tests.client.test_spool import ended
from tests.eventkit.desk import eventually
from tests.gateway.door import LOCKED_OUT, Door, data

Publishers = Callable[..., Publisher]
NOT_MINE = "oa.not.mine"


def arrived(door: Door) -> list[str]:
    """Return the ids of the accepted events in the order in which the gateway emitted them."""
    return [
        row[0] for row in door.rows("select id from eventkit.outbox where aggregatetype = '/erp' order by position")
    ]


def test_a_typed_fact_arrives_as_it_was_told(door: Door, publisher: Publishers) -> None:
    made = publisher()
    event_id = made.publish(TicketRequested(title="报表导出失败", region="华南"), externalref="case-1", subject="S 1")
    assert made.flush(timeout_s=5)
    [(headers, told)] = door.emitted()
    assert (headers["ce-id"], headers["ce-externalref"], headers["ce-subject"]) == (event_id, "case-1", "S 1")
    assert told == {"title": "报表导出失败", "region": "华南"}
    assert made.status().events == 0


def test_thousands_arrive_once_and_in_order(door: Door, publisher: Publishers) -> None:
    made = publisher()
    ids = [made.publish(Event(LOCKED_OUT, data())) for _ in range(300)]
    ids += made.publish_many(Event(LOCKED_OUT, data()) for _ in range(2000))
    ids.append(made.publish({"type": LOCKED_OUT, "data": data()}))
    assert made.flush(timeout_s=20)
    eventually(lambda: len(arrived(door)) >= len(ids))
    assert arrived(door) == ids


def test_an_event_that_is_published_twice_is_one(door: Door, publisher: Publishers) -> None:
    event = Event(LOCKED_OUT, data())
    made = publisher()
    made.publish(event)
    made.publish(event)
    assert made.flush(timeout_s=5)
    eventually(lambda: door.one("select sum(repeats) from accepted") == 1)
    assert arrived(door) == [event.id]


def test_a_refusal_of_the_door_comes_back(door: Door, publisher: Publishers, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Refusal] = []
    made = publisher(on_refusal=told.append)
    event_id = made.publish(TicketRequested(title="", description="张伟的密码"))
    eventually(lambda: told)
    assert made.refusals() == told
    assert (told[0].id, told[0].type, told[0].field) == (event_id, TicketRequested.TYPE, "data.title")
    assert "length" in told[0].reason
    assert [one.getMessage() for one in caplog.records if one.name == "liaison_client"] == ["an event was refused"]
    assert "张伟" not in caplog.text


def test_a_callback_that_fails_stops_nothing(door: Door, publisher: Publishers) -> None:
    def fail(refusal: Refusal) -> None:
        raise ZeroDivisionError

    made = publisher(on_refusal=fail)
    for _ in range(2):
        made.publish(TicketRequested(title=""))
    eventually(lambda: len(made.refusals()) == 2)


def test_what_the_broker_refuses_is_set_aside_and_the_others_go_on(door: Door, publisher: Publishers) -> None:
    made = publisher()
    mine: list[str] = []
    not_mine: list[str] = []
    events = [Event(NOT_MINE if number % 10 == 3 else LOCKED_OUT, data()) for number in range(40)]
    for event in events:
        (not_mine if event.type == NOT_MINE else mine).append(event.id)
    made.publish_many(events)
    assert made.flush(timeout_s=20)
    eventually(lambda: len(arrived(door)) >= len(mine))
    assert arrived(door) == mine
    assert [one.packed.id for one in made.spool.aside()] == not_mine
    assert "access to topic 'oa.not.mine'" in made.spool.aside()[0].reason
    assert (made.status().aside, made.status().events) == (4, 4)
    eventually(lambda: made.status().problem is None)


def test_an_account_without_any_right_is_told_and_nothing_is_lost(door: Door, settings: Settings) -> None:
    rights = topology.Rights("erp", configure="^$", write="^$", read="^$", topic_writes={})
    password = settings.amqp_uri.partition("erp:")[2].partition("@")[0]
    door.admin.grant(rights, password)
    try:
        with Publisher(settings) as made:
            made.publish(Event(LOCKED_OUT, data()))
            status = eventually(lambda: made.status().problem and made.status())
            assert "access to exchange 'liaison.intake'" in status.problem
            assert (status.events, status.aside) == (1, 0)
            assert "verdicts.erp" in eventually(lambda: made.status().verdicts_problem)
    finally:
        granted = replace_rights(rights)
        door.admin.grant(granted, password)
    with Publisher(settings) as again:
        assert again.flush(timeout_s=10, everything=True)
        eventually(lambda: again.status().problem is None and again.status().verdicts_problem is None)
    eventually(lambda: len(arrived(door)) == 1)


def replace_rights(rights: topology.Rights) -> topology.Rights:
    """Return the rights that a publisher has."""
    return topology.Rights(
        rights.name,
        configure="^$",
        write=r"\Aliaison\.intake\z",
        read=r"\Averdicts\.erp\z",
        topic_writes={broker.INTAKE: r"\A(erp(\.[A-Za-z0-9_-]+)+|liaison\.ticket\.requested\.v1)\z"},
    )


def test_an_event_without_a_queue_behind_the_door_stays(door: Door, publisher: Publishers) -> None:
    door.admin.remove(topology.Binding(broker.INTAKE, topology.INTAKE_QUEUE, True, "#"))
    try:
        made = publisher()
        ids = [made.publish(Event(LOCKED_OUT, data())) for _ in range(5)]
        problem = eventually(lambda: made.status().problem)
        assert "topology apply" in problem
        assert made.status().events == 5
    finally:
        topology.apply(door.admin, [DEFINITION])
        door.admin.declare(topology.Binding(broker.EVENTS, "gateway-test.tap", True, "#"))
    assert made.flush(timeout_s=20)
    eventually(lambda: len(arrived(door)) == 5)
    assert arrived(door) == ids


def test_a_wrong_password_is_told_without_it(
    door: Door, settings: Settings, publisher: Publishers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "liaison_client")
    wrong = Settings.of(settings.amqp_uri.replace("erp:", "erp:wrong"), spool=settings.spool)
    made = publisher(wrong)
    made.publish(Event(LOCKED_OUT, data()))
    problem = eventually(lambda: made.status().problem)
    assert "ACCESS_REFUSED" in problem or "Authentication" in problem
    assert "wrong" not in problem
    assert wrong.amqp_uri.split("@")[0].split(":")[2] not in caplog.text


def test_a_publisher_without_reply_queue_leaves_it_to_others(door: Door, settings: Settings) -> None:
    with Publisher(replace(settings, reply_queue="")) as made:
        made.publish(TicketRequested(title=""))
        assert made.flush(timeout_s=5)
        [(_, told)] = door.replies(door.erp)
    assert told["field"] == "data.title"
    assert made.refusals() == []


def test_another_process_takes_over_when_the_drainer_ends(door: Door, settings: Settings) -> None:
    first, second = Publisher(settings), Publisher(settings)
    try:
        ids = [first.publish(Event(LOCKED_OUT, data()))]
        assert first.flush(timeout_s=5)
        ids.append(second.publish(Event(LOCKED_OUT, data())))
        assert second.flush(timeout_s=5)
        first.close()
        ids.append(second.publish(Event(LOCKED_OUT, data())))
        assert second.flush(timeout_s=5)
    finally:
        second.close(timeout_s=0)
    eventually(lambda: len(arrived(door)) == 3)
    assert arrived(door) == ids


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_children_of_a_server_that_forks_publish_and_the_parent_goes_on(door: Door, settings: Settings) -> None:
    with Publisher(settings) as made:
        made.publish(Event(LOCKED_OUT, data()))
        assert made.flush(timeout_s=5)
        children = []
        for _ in range(3):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    made.publish(Event(LOCKED_OUT, data()))
                    code = 0 if made.close(timeout_s=10) else 2
                finally:
                    os._exit(code)
            children.append(child)
        made.publish(Event(LOCKED_OUT, data()))
        assert made.flush(timeout_s=10)
        assert ended(children) == [0, 0, 0]
    eventually(lambda: len(arrived(door)) == 5)
    assert Spool.of(settings).status().events == 0
