"""Alertmanager's webhook: each alert once, back-pressure, and what is refused."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from contracts.gateway import AlertFired, AlertResolved
from contracts.words import ALERTS_SOURCE
from services.gateway import alerts
from tests.gateway.door import Door

NEVER = "0001-01-01T00:00:00Z"


def alert(**changes: Any) -> dict[str, Any]:
    """Return an alert as Alertmanager writes it."""
    labels = {"alertname": "ServiceDown", "job": "tickets", "severity": "critical", "about": "liaison"}
    annotations = {
        "summary": "服务 tickets 不可用",
        "description": "没有应答",
        "runbook_url": "deploy/RUNBOOK.md#servicedown",
    }
    return {
        "status": "firing",
        "labels": labels | changes.pop("labels", {}),
        "annotations": annotations | changes.pop("annotations", {}),
        "startsAt": "2026-11-20T19:33:25.123456789Z",
        "endsAt": NEVER,
        "generatorURL": "http://prometheus.invalid/graph",
        "fingerprint": "4f1d2c3b4a596877",
        **changes,
    }


def notification(*listed: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a notification of these alerts."""
    group = {"groupKey": '{}:{alertname="ServiceDown"}', "truncatedAlerts": 0, "receiver": "gateway"}
    return {"version": "4", "status": "firing", **group, "alerts": list(listed), **changes}


@pytest.fixture
def token(door: Door) -> str:
    return door.token("monitor", person=None, groups=[], department=None)


def report(door: Door, token: str, *listed: dict[str, Any]) -> dict[str, Any]:
    """Send a notification that must be taken, and return the receipt."""
    answer = door.ask("POST", "/v1/alerts", token, notification(*listed))
    assert answer.status_code == 202, answer.text
    receipt: dict[str, Any] = answer.json()
    return receipt


def test_an_alert_becomes_an_event_with_what_a_person_needs(door: Door, token: str) -> None:
    assert report(door, token, alert()) == {"accepted": 1, "repeated": 0}
    [(headers, data)] = door.emitted()
    assert headers["ce-type"] == AlertFired.TYPE
    assert (headers["ce-source"], headers["ce-subject"]) == (ALERTS_SOURCE, "4f1d2c3b4a596877")
    assert headers["ce-time"] == "2026-11-20T19:33:25.123457Z"
    assert headers["ce-actor"].startswith("token monitor-")
    assert data == {
        "fingerprint": "4f1d2c3b4a596877",
        "alert": "ServiceDown",
        "severity": "critical",
        "starts_at": "2026-11-20T19:33:25.123457Z",
        "service": "tickets",
        "summary": "服务 tickets 不可用",
        "description": "没有应答",
        "runbook_url": "deploy/RUNBOOK.md#servicedown",
        "about": "liaison",
    }


def test_a_repeat_changes_nothing_also_beside_a_new_alert(door: Door, token: str) -> None:
    report(door, token, alert())
    assert report(door, token, alert()) == {"accepted": 0, "repeated": 1}
    other = alert(labels={"job": "notify"}, fingerprint="aaaa")
    assert report(door, token, alert(), other, other) == {"accepted": 1, "repeated": 2}
    assert door.one("select count(*) from eventkit.outbox") == 2
    assert door.one("select sum(repeats) from accepted") == 3


def test_an_alert_that_is_over_and_one_that_comes_back_are_new(door: Door, token: str) -> None:
    report(door, token, alert())
    over = alert(status="resolved", endsAt="2026-11-20T19:40:00Z")
    again = alert(startsAt="2026-11-20T19:50:00Z")
    assert report(door, token, over)["accepted"] == 1
    assert report(door, token, over)["accepted"] == 0
    assert report(door, token, again)["accepted"] == 1
    fired, resolved, back = door.emitted(3)
    assert [one[0]["ce-type"] for one in (fired, resolved, back)] == [
        AlertFired.TYPE,
        AlertResolved.TYPE,
        AlertFired.TYPE,
    ]
    assert resolved[1]["ended_at"] == "2026-11-20T19:40:00Z"
    assert [int(one[0]["ce-sequence"]) for one in (fired, resolved, back)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "about", "second", "is_repeat"),
    [
        pytest.param("Watchdog", "liaison", "2026-11-20T19:40:59Z", True, id="the watchdog within a minute"),
        pytest.param("Watchdog", "liaison", "2026-11-20T19:41:00Z", False, id="the watchdog in the next minute"),
        pytest.param("Watchdog", "", "2026-11-20T19:41:00Z", True, id="kube-prometheus's watchdog"),
        pytest.param("Watchdog", "cluster", "2026-11-20T19:41:00Z", True, id="somebody else's watchdog"),
        pytest.param("ServiceDown", "liaison", "2026-11-20T19:41:00Z", True, id="any other within an occurrence"),
    ],
)
def test_only_our_own_watchdog_passes_again_and_again(name: str, about: str, second: str, is_repeat: bool) -> None:
    body = json.dumps(notification(alert(labels={"alertname": name, "about": about}))).encode()
    ids = [
        alerts.event_id(one, datetime.fromisoformat(moment))
        for moment in ("2026-11-20T19:40:01Z", second)
        for one in alerts.read(body).alerts
    ]
    assert (ids[0] == ids[1]) is is_repeat


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        pytest.param({"labels": {"severity": "page"}}, {"severity": "other"}, id="a severity of somebody else"),
        pytest.param({"labels": {"job": "x", "service": "dns"}}, {"service": "dns"}, id="service before job"),
        pytest.param({"labels": {"alertname": ""}}, {"alert": "?"}, id="no name"),
        pytest.param({"labels": {"about": "cl\x07uster"}}, {"about": "cl\ufffduster"}, id="about something else"),
        pytest.param({"labels": {"alertname": "长" * 300}}, {"alert": "长" * 255}, id="a long name"),
        pytest.param({"annotations": {"summary": "a\x00b"}}, {"summary": "a\ufffdb"}, id="what no database holds"),
        pytest.param({"annotations": {"description": "长" * 30_000}}, {"description": "长" * 4_000}, id="a novel"),
        pytest.param({"annotations": {"summary": "两\n行"}}, {"summary": "两\n行"}, id="two lines"),
    ],
)
def test_odd_alerts_come_through_as_well(
    door: Door, token: str, changes: dict[str, Any], shown: dict[str, Any]
) -> None:
    assert report(door, token, alert(**changes))["accepted"] == 1
    [(_, data)] = door.emitted()
    assert {name: data[name] for name in shown} == shown


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param(b"{", "body", id="no JSON"),
        pytest.param(notification(alert(), version="5"), "version", id="another version"),
        pytest.param(notification(alert(fingerprint="")), "alerts[0].fingerprint", id="nothing to know it by"),
        pytest.param(notification(alert(startsAt="soon")), "alerts[0].startsAt", id="no moment"),
    ],
)
def test_what_nobody_can_read_is_refused_kept_and_counted_once(door: Door, token: str, body: Any, field: str) -> None:
    before = door.counted("refused", "http")
    for _ in range(2):
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        answer = door.http.post("/v1/alerts", headers={"authorization": f"Bearer {token}"}, **sent)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == field
    [row] = door.rows("select field, publisher from refusal")
    assert row.field == field
    assert door.counted("refused", "http") == before + 1


def test_the_monitor_may_do_nothing_else(door: Door, token: str) -> None:
    assert door.ask("GET", "/v1/tickets", token).status_code == 403
    assert door.ask("POST", "/v1/alerts", door.token("admin"), notification(alert())).status_code == 403


def test_while_the_database_is_away_the_answer_asks_to_come_again(door: Door, token: str) -> None:
    with door.engine.begin() as connection:
        connection.execute(text("alter table accepted rename to away"))
    try:
        answer = door.ask("POST", "/v1/alerts", token, notification(alert()))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    finally:
        with door.engine.begin() as connection:
            connection.execute(text("alter table away rename to accepted"))
    assert report(door, token, alert()) == {"accepted": 1, "repeated": 0}
