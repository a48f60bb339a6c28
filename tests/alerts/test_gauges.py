"""What the alerts stand on: readiness as numbers, the age of what is overdue, and the token of Alertmanager."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import text

from deploy.local.accounts import provision_databases
from eventkit import schema, timers
from eventkit.database import open_engine
from eventkit.page import Health, Readiness
from liaison import services
from liaison.installation import ALERTMANAGER_TOKEN, Installation
from liaison.tokens import let_alertmanager_in


def test_each_check_of_readiness_is_a_number() -> None:
    health, registry = Health(), CollectorRegistry()
    health.add("database", lambda: None)
    registry.register(Readiness(health))
    # A check that comes later, as the gateway's do, is shown as well.
    health.add("relay", lambda: "nothing is bound for it")
    page = generate_latest(registry).decode()
    assert 'liaison_ready{check="database"} 1.0' in page
    assert 'liaison_ready{check="relay"} 0.0' in page


def test_only_what_nobody_has_taken_up_is_overdue(desk: Callable[..., Any]) -> None:
    engine = desk().engine
    add = text(
        "insert into eventkit.timer (kind, key, subject, due_at, payload, is_job, running_until)"
        " values ('k', :key, 's', now() - make_interval(secs => :age_s), '{}', :is_job,"
        " now() + make_interval(secs => :left_s))"
    )

    def overdue_s(*rows: tuple[int, bool, int | None]) -> float:
        with engine.begin() as connection:
            connection.execute(text("delete from eventkit.timer"))
            for number, (age_s, is_job, left_s) in enumerate(rows):
                connection.execute(add, {"key": str(number), "age_s": age_s, "is_job": is_job, "left_s": left_s})
            return round(timers.overdue_s(connection))

    assert overdue_s() == 0
    assert overdue_s((-50, False, None), (-50, True, None)) == 0
    assert overdue_s((100, False, None), (70, True, None), (20, False, None)) == 100
    assert overdue_s((70, False, None), (100, True, None)) == 100
    assert overdue_s((100, True, 60), (30, True, None)) == 30
    assert overdue_s((100, True, -5)) == 100


def test_alertmanager_has_one_token_which_can_be_renewed(installation: Installation) -> None:
    provision_databases(installation, ["gateway"])
    engine = open_engine(installation.database_uri("gateway"), name="test")
    schema.migrate(engine, services.folder("gateway"))
    renewed = replace(installation, passwords={**installation.passwords, ALERTMANAGER_TOKEN: "renewed"})
    try:
        hashes = []
        for each in (installation, installation, renewed, installation):
            let_alertmanager_in(each)
            with engine.connect() as connection:
                statement = "select hash, role from token where name = 'alertmanager' and revoked_at is null"
                [row] = connection.execute(text(statement))
            assert row.role == "monitor"
            hashes.append(bytes(row.hash))
        assert hashes[0] == hashes[1] == hashes[3] != hashes[2]
    finally:
        engine.dispose()
