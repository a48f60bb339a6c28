"""Both doors give the same verdict, with the same field and reason."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.door import LOCKED_OUT, REQUESTED, Door, attributes, data

CANONICAL = {"type": REQUESTED}
REFUSED = [
    pytest.param(attributes(specversion="0.3"), data(), 400, "specversion", "'0.3'", id="another version"),
    pytest.param(attributes(specversion=None), data(), 400, "specversion", "''", id="no version"),
    pytest.param(attributes(id=None), data(), 400, "id", "required", id="no id"),
    pytest.param(attributes(id=""), data(), 400, "id", "required", id="an empty id"),
    pytest.param(attributes(id="x" * 256), data(), 400, "id", "255 bytes", id="a long id"),
    pytest.param(attributes(id="号" * 86), data(), 400, "id", "255 bytes", id="a long id in bytes"),
    pytest.param(attributes(id="a\x00b"), data(), 400, "id", "U+0000", id="an id with NUL"),
    pytest.param(attributes(source=None), data(), 400, "source", "required", id="no source"),
    pytest.param(attributes(source="/oa"), data(), 403, "source", "'/erp'", id="somebody else's source"),
    pytest.param(attributes(time=None), data(), 400, "time", "required", id="no time"),
    pytest.param(attributes(time="yesterday"), data(), 400, "time", "RFC 3339", id="a time that is none"),
    pytest.param(attributes(time="2026-01-01T10:00:00"), data(), 400, "time", "offset", id="a naive time"),
    pytest.param(attributes(type="erp.coffee.empty"), data(), 422, "type", LOCKED_OUT, id="an unmapped type"),
    pytest.param(attributes(history="true"), data(), 403, "history", "no right", id="history without the right"),
    pytest.param(attributes(history="maybe"), data(), 400, "history", "neither", id="history that is no boolean"),
    pytest.param(attributes(), b"{", 422, "data", "not JSON", id="data that is not JSON"),
    pytest.param(attributes(), "账号被锁定".encode("gbk"), 422, "data", "not JSON", id="data in another encoding"),
    pytest.param(attributes(), [1], 422, "data.title", "title", id="data that is a list"),
    pytest.param(attributes(), data(login=None), 422, "data.title", "erp.yaml:9", id="a mapped field is missing"),
    pytest.param(attributes(), data(login={"a": 1}), 422, "data.login", "object", id="an object within a text"),
    pytest.param(
        attributes(), data(employee=1001), 422, "data.requester", "Expected `str | null`", id="a number as a name"
    ),
    pytest.param(attributes(), data(case="C" * 256), 400, "externalref", "255", id="a long business key"),
    pytest.param(
        attributes(type="erp.case.updated"), data(state="odd"), 422, "data.state", "open", id="no such choice"
    ),
    pytest.param(attributes(**CANONICAL), {}, 422, "data.title", "missing", id="canonical without its title"),
    pytest.param(attributes(**CANONICAL), {"title": "x", "priority": 9}, 422, "data.priority", "<= 4", id="a bound"),
    pytest.param(
        attributes(**CANONICAL), {"title": "x", "state": "solved"}, 422, "data.state", "'solved'", id="an unknown word"
    ),
    pytest.param(
        attributes(**CANONICAL),
        {"title": "x", "mail_from": "boss@example.invalid"},
        422,
        "data.mail_from",
        "mailbox",
        id="a mail that another system claims to have",
    ),
    pytest.param(
        attributes(**CANONICAL),
        {
            "title": "x",
            "attachments": [
                {"id": "f", "name": "a.txt", "size_bytes": 1, "sha256": "0" * 64, "content_type": "text/plain"}
            ],
        },
        422,
        "data.attachments",
        "mailbox",
        id="a file that another system lays hands on",
    ),
    pytest.param(
        attributes(**CANONICAL), {"title": "x", "group": "组" * 86}, 422, "data.group", "255 bytes", id="a long name"
    ),
    pytest.param(
        attributes(**CANONICAL),
        {"title": "x", "fields": {"栏" * 86: "y"}},
        422,
        "data.fields",
        "255 bytes",
        id="a long name of a field",
    ),
    pytest.param(attributes(), data(site="区" * 86), 422, "data.region", "erp.yaml", id="a long name that is mapped"),
    pytest.param(attributes(**CANONICAL), {"title": "a\x00b"}, 422, "data", "U+0000", id="a text with NUL"),
    pytest.param(attributes(**CANONICAL), {"title": "机密★1年"}, 422, "data.title", "保密规定", id="a marking"),
    pytest.param(attributes(), {"case": "x" * 66_000}, 413, "event", "65536", id="too large"),
]
ACCEPTED = [
    pytest.param(attributes(), data(), id="mapped"),
    pytest.param(attributes(type="erp.printer.failed"), data(printer="P1", error="E5"), id="another mapped type"),
    pytest.param(attributes(**CANONICAL), {"title": "打印机坏了"}, id="canonical"),
    pytest.param(attributes(**CANONICAL), {"title": "x", "group": "组" * 85}, id="a name as long as may be"),
    pytest.param(attributes(id="订单/1 号", subject="工单 7%"), data(), id="names in Chinese"),
    pytest.param(attributes(time="2026-01-01T10:00:00+08:00"), data(), id="another offset"),
    pytest.param(attributes(comexampleextension="x"), data(more={"a": [1]}), id="unknown attributes and fields"),
    pytest.param(attributes(**CANONICAL), {"title": "a\\u0000b"}, id="a text that only looks like NUL"),
]


@pytest.mark.parametrize(("given", "body", "status", "field", "reason"), REFUSED)
def test_both_doors_refuse_for_the_same_reason(
    door: Door, given: dict[str, Any], body: Any, status: int, field: str, reason: str
) -> None:
    answer = door.post_binary(given, body)
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    [over_http] = problem["errors"]
    assert over_http["field"] == field
    assert reason in over_http["reason"]
    [over_amqp] = door.take(given, body)
    assert {name: over_amqp[name] for name in ("field", "reason")} == over_http
    assert over_amqp["id"] == given.get("id", "").replace("\x00", "\N{REPLACEMENT CHARACTER}")[:255]
    assert door.one("select count(*) from accepted") == 0


@pytest.mark.parametrize(("given", "body"), ACCEPTED)
def test_both_doors_accept_the_same(door: Door, given: dict[str, Any], body: Any) -> None:
    answer = door.post_binary(given, body)
    assert (answer.status_code, answer.json()["verdicts"][0]["verdict"]) == (202, "accepted"), answer.text
    second = given | {"id": given["id"] + "'"}
    assert door.take(second, body) == []
    [(first, one), (other, two)] = door.emitted(2)
    assert one == two
    by_id = () if "ce-externalref" in first or "subject" in given else ("ce-subject", "ce-partitionkey")
    differ = {name for name in first if first[name] != other.get(name)}
    assert differ <= {"ce-id", "ce-sequence", "ce-traceparent", "ce-arrivedat", *by_id}


def test_the_emitted_event_keeps_identity_and_time_and_takes_the_canonical_form(door: Door) -> None:
    given = attributes(time="2026-01-01T10:00:00+08:00")
    door.post_binary(given, data(note="?"))
    [(headers, fact)] = door.emitted()
    assert headers["ce-id"] == given["id"]
    assert (headers["ce-source"], headers["ce-type"]) == ("/erp", REQUESTED)
    assert (headers["ce-subject"], headers["ce-externalref"]) == ("C-1", "C-1")
    assert headers["ce-time"] == "2026-01-01T02:00:00Z"
    assert headers["ce-arrivedat"] > "2026-01-01T03"
    assert headers["ce-partitionkey"] == "/erp C-1"
    assert headers["ce-sequence"] == "1"
    assert headers["ce-actor"] == "publisher erp"
    assert headers["ce-traceparent"].startswith("00-")
    assert fact == {
        "title": "账号被锁定:zhang.wei",
        "requester": "E1001",
        "region": "上海",
        "category": "account",
        "subcategory": "locked_out",
        "priority": 2,
    }


def test_given_attributes_are_carried_on(door: Door) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    given = attributes(type=REQUESTED, subject="S1", externalref="X1", actor="E7", traceparent=trace, partitionkey="K")
    door.post_structured(given, {"title": "x"})
    [(headers, _)] = door.emitted()
    assert (headers["ce-subject"], headers["ce-externalref"], headers["ce-actor"]) == ("S1", "X1", "E7")
    assert headers["ce-traceparent"] == trace
    assert headers["ce-partitionkey"] == "/erp K"


def test_the_subject_is_the_business_key_else_the_id(door: Door) -> None:
    door.post_structured(attributes(id="a1", type=REQUESTED, externalref="X1"), {"title": "x"})
    door.post_structured(attributes(id="a2", type=REQUESTED), {"title": "x"})
    assert [headers["ce-subject"] for headers, _ in door.emitted(2)] == ["X1", "a2"]


def test_history_is_carried_on_for_those_who_have_the_right(door: Door) -> None:
    account = door.add("old-desk", "olddesk.*", "liaison.person.changed.v1", history=True)
    given = attributes(source="/old-desk", type="liaison.person.changed.v1", history=True, time="2016-01-01T00:00:00Z")
    body = {"employee_number": "E1", "version": 1, "name": "王芳"}
    assert door.post_structured(given, body, account=account).status_code == 202
    [(headers, _)] = door.emitted()
    assert (headers["ce-history"], headers["ce-time"]) == ("true", "2016-01-01T00:00:00Z")


def test_a_canonical_type_beyond_the_patterns_is_refused(door: Door) -> None:
    answer = door.post_structured(attributes(type="liaison.person.changed.v1"), {})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (403, "type")


def test_nobody_can_send_what_the_door_itself_tells(door: Door) -> None:
    account = door.add("evil", "liaison.event.refused.v1", source="/evil")
    given = attributes(source="/evil", type="liaison.event.refused.v1")
    answer = door.post_structured(given, {"publisher": "erp"}, account=account)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "type")


def test_over_amqp_the_type_must_be_the_routing_key(door: Door) -> None:
    [refusal] = door.take(attributes(), data(), routing_key="erp.printer.failed")
    assert refusal["field"] == "type"


def test_who_shares_a_type_is_known_over_amqp_by_the_account(door: Door) -> None:
    door.add("crm", REQUESTED, shared=True)
    ours, theirs = attributes(**CANONICAL), attributes(**CANONICAL, source="/crm", id="c1")
    assert door.take(ours, {"title": "坏了"}, account="erp") == []
    assert door.take(theirs, {"title": "坏了"}, account="crm") == []
    assert door.rows("select publisher from accepted order by publisher") == [("crm",), ("erp",)]
    # Who claims the other's source, or does not say who it is, is nobody.
    [claimed] = door.take(attributes(**CANONICAL, id="c2"), {"title": "坏了"}, account="crm")
    assert claimed["field"] == "source"
    door.take(attributes(**CANONICAL, id="c3"), {"title": "坏了"})
    assert door.rows("select publisher, field from refusal where event_id = 'c3'") == [("unknown", "publisher")]


def test_over_amqp_another_account_is_refused(door: Door) -> None:
    assert door.take(attributes(), data(), account="erp") == []
    [refusal] = door.take(attributes(), data(), account="oa")
    assert refusal["field"] == "publisher"


def test_a_message_of_nobody_is_kept_and_stops_nothing(door: Door) -> None:
    assert door.take(attributes(type="oa.x"), data()) == []
    assert door.rows("select publisher, type, field from refusal") == [("unknown", "oa.x", "type")]
    [(_, fact)] = door.emitted()
    assert fact["publisher"] == "unknown"
