"""Notify notes when the watchdog came, tells nobody of it, and shows its age."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import text

from contracts.gateway import AlertFired
from contracts.words import ALERTS_SOURCE, LIAISON, WATCHDOG, Severity
from eventkit.database import open_engine
from eventkit.envelope import Event
from services.notify.watchdog import WatchdogAge
from tests.eventkit.desk import eventually, reported
from tests.notify.office import Office

STARTED_AT = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


def bark(
    arrived_at: datetime,
    sequence: int,
    alert: str = WATCHDOG,
    about: str | None = LIAISON,
    source: str = ALERTS_SOURCE,
) -> Event[Any]:
    """Return an alert that arrived at the gateway at a moment; by default our watchdog."""
    fact = AlertFired(fingerprint="bb", alert=alert, severity=Severity.INFO, starts_at=STARTED_AT, about=about)
    return reported(fact, "bb", sequence, source=source, time=STARTED_AT, arrived_at=arrived_at)


def heard_at(office: Office) -> datetime:
    found: datetime = office.one("select heard_at from watchdog where name = :name", name=WATCHDOG)
    return found


def handled(office: Office, number: int) -> None:
    eventually(lambda: office.one("select count(*) from eventkit.inbox where state = 'handled'") == number)


def page(office: Office, uri: str | None = None) -> str:
    registry = CollectorRegistry()
    engine = open_engine(uri or office.database_uri, name="test")
    registry.register(WatchdogAge(engine))
    try:
        return generate_latest(registry).decode()
    finally:
        engine.dispose()


def test_the_newest_arrival_counts_whatever_the_order(office: Office) -> None:
    office.start()
    newest = datetime.now(UTC) + timedelta(minutes=3)
    office.publish(bark(newest - timedelta(minutes=1), 1), bark(newest, 2), bark(newest - timedelta(minutes=2), 3))
    handled(office, 3)
    assert heard_at(office) == newest


def test_nobody_is_told_of_the_watchdog(office: Office) -> None:
    office.start()
    office.publish(bark(datetime.now(UTC), 1))
    handled(office, 1)
    assert office.one("select count(*) from delivery") == 0


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"alert": "ServiceDown"}, id="another alert of ours"),
        pytest.param({"about": None}, id="the watchdog that kube-prometheus ships"),
        pytest.param({"about": "cluster"}, id="the watchdog of somebody else"),
        pytest.param({"source": "/erp"}, id="a publisher that claims to be ours"),
    ],
)
def test_another_alert_is_not_our_watchdog_and_is_told_like_any(office: Office, changes: dict[str, Any]) -> None:
    before = heard_at(office)
    office.start()
    office.publish(bark(datetime.now(UTC) + timedelta(hours=1), 1, **changes))
    handled(office, 1)
    assert heard_at(office) == before
    assert office.one("select count(*) from delivery") == 1


def test_the_age_is_shown_from_the_first_day(office: Office) -> None:
    office.execute("update watchdog set heard_at = now() - interval '10 minutes'")
    [line] = [one for one in page(office).splitlines() if one.startswith("liaison_watchdog_age_seconds ")]
    assert 600 <= float(line.split()[1]) < 660


def test_without_a_row_or_a_database_there_is_no_age(office: Office) -> None:
    office.execute("delete from watchdog")
    assert "liaison_watchdog" not in page(office)
    assert "liaison_watchdog" not in page(office, office.database_uri + "-away")


def test_a_lost_row_is_made_again(office: Office) -> None:
    office.execute("delete from watchdog")
    office.start()
    moment = datetime.now(UTC)
    office.publish(bark(moment, 1), bark(moment + timedelta(seconds=1), 2))
    handled(office, 2)
    with office.engine.connect() as connection:
        assert connection.execute(text("select heard_at from watchdog")).scalars().all() == [
            moment + timedelta(seconds=1)
        ]
