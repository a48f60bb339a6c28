"""A service is killed, Prometheus notices, Alertmanager tells, the gateway announces it once: all of it real."""

from __future__ import annotations

import pytest

from contracts.gateway import AlertResolved
from tests.alerts.monitored import Monitored
from tests.eventkit.desk import eventually
from tests.secret_files import exposed

pytestmark = pytest.mark.timeout(300)
_FOREIGN = {"alertname": "DiskFull", "service": "erp", "severity": "warning"}


def test_no_secret_of_the_servers_is_open_to_others(monitored: Monitored) -> None:
    home = monitored.system.installation.home
    assert [
        path for path in ("rabbitmq/rabbitmq.config", "alertmanager/gateway-token") if not (home / path).exists()
    ] == []
    assert exposed(home) == {}


def test_a_killed_service_is_told_of_once_and_so_is_its_return(monitored: Monitored) -> None:
    assert monitored.told("ServiceDown", "tickets") == 0
    monitored.system.kill9("tickets")
    eventually(lambda: monitored.told("ServiceDown", "tickets"), 60, "the gateway announces it")
    # Alertmanager goes on and on about it, as it must, since it cannot know who has heard.
    eventually(lambda: monitored.repeats("ServiceDown", "tickets") >= 2, 60, "Alertmanager repeats it")
    assert monitored.told("ServiceDown", "tickets") == 1
    eventually(lambda: monitored.journaled("ServiceDown", "tickets") == 1, what="it reaches the services")
    eventually(lambda: monitored.deliveries("ServiceDown", "tickets") == 1, what="notify tells the desk")
    [told, *_] = eventually(lambda: monitored.told_by_notify("ServiceDown"), 60, "the mail of notify")
    assert "处理手册：deploy/RUNBOOK.md#servicedown\n" in told.text.replace("\r", "")
    # It is critical and about Liaison itself: Alertmanager mails as well, without us in between.
    [mail, *_] = eventually(lambda: monitored.mails_of("ServiceDown"), 60, "the mail of Alertmanager itself")
    assert "deploy/RUNBOOK.md#servicedown" in mail.text
    monitored.system.start(["tickets"])
    eventually(lambda: monitored.told("ServiceDown", "tickets", AlertResolved.TYPE), 90, "it is over")
    assert monitored.told("ServiceDown", "tickets", AlertResolved.TYPE) == 1
    assert monitored.told("ServiceDown", "tickets") == 1


def test_while_the_gateway_cannot_store_alerts_wait_and_none_is_lost(monitored: Monitored) -> None:
    failed = monitored.failed_notifications()
    with monitored.without_database("gateway"):
        monitored.raise_alert(_FOREIGN)
        # Answered 503, which Alertmanager tries again; a 4xx it would drop.
        eventually(lambda: monitored.failed_notifications() >= failed + 2, 60, "Alertmanager tries in vain")
        assert monitored.page("gateway")['liaison_ready{check="database"}'] == 0
        eventually(lambda: monitored.mails_of("DatabaseDown"), 60, "a mail about the database")
    eventually(lambda: monitored.told("DiskFull"), 60, "the alert comes through")
    eventually(lambda: monitored.told("DatabaseDown", "gateway"), 60, "so does the one about the database")
    assert (monitored.told("DiskFull"), monitored.told("DatabaseDown", "gateway")) == (1, 1)


def test_a_gateway_that_is_killed_loses_no_alert(monitored: Monitored) -> None:
    monitored.system.kill9("gateway")
    monitored.raise_alert(_FOREIGN | {"alertname": "LinkDown"})
    failed = monitored.failed_notifications()
    eventually(lambda: monitored.failed_notifications() > failed, 60, "Alertmanager tries in vain")
    monitored.system.start(["gateway"])
    eventually(lambda: monitored.told("LinkDown"), 60, "the alert comes through")
    assert monitored.told("LinkDown") == 1


def test_the_watchdog_comes_the_whole_way(monitored: Monitored) -> None:
    # Given that it had not been heard for an hour when Prometheus started (see the fixture)
    eventually(lambda: monitored.page("notify")["liaison_watchdog_age_seconds"] < 90, 90, "the watchdog is heard")
    assert monitored.told("Watchdog") >= 1
    assert monitored.mails_of("Watchdog") == []
