"""The metrics service on a database of its own: ways to hand it events, and to read what it says."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg2
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, text

from eventkit import inbox, schema
from eventkit.database import open_engine
from eventkit.envelope import Event, encode_data, to_headers
from eventkit.firing import TimerFiring
from eventkit.handling import EventHandling
from eventkit.service import define, service_folder
from eventkit.telemetry import ServiceMetrics
from liaison.installation import Installation
from services.metrics.page import render
from services.metrics.readings import read_numbers
from services.metrics.service import MetricsService

_numbers = itertools.count(1)


class House:
    """One database of the metrics service. `restart` forgets everything that is not in it, as a new process does."""

    def __init__(self, database_uri: str) -> None:
        self.database_uri = database_uri
        self.engine: Engine = open_engine(database_uri, name="test metrics")
        schema.migrate(self.engine, service_folder(MetricsService))
        self.restart()

    def restart(self) -> None:
        """Go on as a fresh process would."""
        self.engine.dispose()
        self.definition = define(MetricsService)
        self.handling = EventHandling(self.definition, self.engine, ServiceMetrics("metrics"))

    def hand_in(self, events: Sequence[Event[Any]], *, redelivered: bool = False) -> None:
        """Deliver events in one batch, as the broker would."""
        received = [inbox.receive(to_headers(event), encode_data(event.data)) for event in events]
        self.handling.handle(received, redelivered=redelivered)

    def fire_timers(self) -> None:
        """Fire what is due now."""
        TimerFiring(self.definition, self.engine, ServiceMetrics("metrics")).step()

    def page(self, now: datetime) -> bytes:
        """Return the page as it would be shown at `now`."""
        return render(read_numbers(self.engine, now))

    def numbers(self, now: datetime) -> dict[str, float]:
        """Return every sample of the page, read by Prometheus's own parser."""
        return samples(self.page(now))

    def rows(self, statement: str, **values: Any) -> Sequence[Any]:
        """Return the rows of a query."""
        with self.engine.connect() as connection:
            return connection.execute(text(statement), values).all()

    def run(self, statement: str, **values: Any) -> None:
        """Change the database behind the service's back."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)


def samples(page: bytes) -> dict[str, float]:
    """Return the samples of a page by name and labels."""
    found = {}
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            key = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert key not in found, f"{key} is on the page twice"
            found[key] = sample.value
    return found


@contextmanager
def house_in(installation: Installation) -> Iterator[House]:
    """Give a test a house with a fresh database, which goes with it."""
    base, _, _ = installation.postgres_admin_uri.rpartition("/")
    name = f"metrics_test_{os.getpid()}_{next(_numbers)}"
    _as_admin(installation, f"drop database if exists {name} with (force)", f"create database {name}")
    house = House(f"{base}/{name}")
    try:
        yield house
    finally:
        house.engine.dispose()
        _as_admin(installation, f"drop database {name} with (force)")


def _as_admin(installation: Installation, *statements: str) -> None:
    server = psycopg2.connect(installation.postgres_admin_uri)
    server.autocommit = True
    with server.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    server.close()
