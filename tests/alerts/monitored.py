"""The system under watch, and what the tests ask it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

import httpx
import psycopg2

from contracts.gateway import AlertFired
from deploy.local.mailbox import KeptMail, MailFolder
from deploy.local.servers import Servers
from tests.system import System

#: The others stay away, and are rightly missed.
RUNNING = ("gateway", "tickets", "notify", "metrics")
_SAMPLE = re.compile(r"^(?P<name>\w+)(?P<labels>\{.*\})? (?P<value>\S+)$")


@dataclass(frozen=True)
class Monitored:
    """Services, servers and mails of one installation."""

    system: System
    servers: Servers
    mails: MailFolder

    def told(self, alert: str, service: str | None = None, fact: str = AlertFired.TYPE) -> int:
        """Return how many events of the gateway tell of an alert."""
        found: int = self.system.one(
            "gateway",
            "select count(*) from eventkit.outbox where type = :type"
            " and convert_from(payload, 'UTF8')::jsonb @> cast(:what as jsonb)",
            type=fact,
            what=f'{{"alert": "{alert}"' + (f', "service": "{service}"}}' if service else "}"),
        )
        return found

    def journaled(self, alert: str, service: str) -> int:
        """Return how often the start of an alert has reached the journal of the metrics service."""
        found: int = self.system.one(
            "metrics",
            "select count(*) from journal where type = :type"
            " and convert_from(body, 'UTF8')::jsonb @> cast(:what as jsonb)",
            type=AlertFired.TYPE,
            what=f'{{"alert": "{alert}", "service": "{service}"}}',
        )
        return found

    def deliveries(self, alert: str, service: str) -> int:
        """Return how many messages to people notify has made of the start of an alert."""
        found: int = self.system.one(
            "notify",
            "select count(*) from delivery where about_type = :type"
            " and convert_from(about_data, 'UTF8')::jsonb @> cast(:what as jsonb)",
            type=AlertFired.TYPE,
            what=f'{{"alert": "{alert}", "service": "{service}"}}',
        )
        return found

    def repeats(self, alert: str, service: str) -> int:
        """Return how often Alertmanager has told again of an alert that had been announced."""
        found: int = self.system.one(
            "gateway",
            "select coalesce(sum(repeats), 0) from accepted a join eventkit.outbox o on o.id = a.id"
            " where convert_from(o.payload, 'UTF8')::jsonb @> cast(:what as jsonb)",
            what=f'{{"alert": "{alert}", "service": "{service}"}}',
        )
        return found

    def page(self, part: str, path: str = "/metrics") -> dict[str, float]:
        """Return the samples of a part's page, by name with labels."""
        ports = self.system.installation.ports
        port = ports.get(f"{part}_page") or ports[part]
        text = httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False, timeout=10).raise_for_status().text
        lines = (_SAMPLE.match(line) for line in text.splitlines())
        return {line["name"] + (line["labels"] or ""): float(line["value"]) for line in lines if line}

    def failed_notifications(self) -> float:
        """Return how often Alertmanager could not hand over to the gateway, tries included."""
        return self.page("alertmanager")['alertmanager_notification_requests_failed_total{integration="webhook"}']

    def raise_alert(self, labels: Mapping[str, str]) -> None:
        """Hand an alert of somebody else to Alertmanager."""
        url = f"{self.system.installation.alertmanager_url}/api/v2/alerts"
        httpx.post(url, json=[{"labels": dict(labels)}], trust_env=False).raise_for_status()

    def mails_of(self, alert: str) -> list[KeptMail]:
        """Return the mails of Alertmanager itself about an alert."""
        by_itself = (mail for mail in self.mails.newest(1000) if mail.sender.startswith("alertmanager@"))
        return [mail for mail in by_itself if f":{alert}(" in mail.subject]

    def told_by_notify(self, alert: str) -> list[KeptMail]:
        """Return the mails of notify about the start of an alert."""
        ours = (mail for mail in self.mails.newest(1000) if not mail.sender.startswith("alertmanager@"))
        return [mail for mail in ours if mail.subject.startswith("[告警 ") and mail.subject.endswith(alert)]

    @contextmanager
    def without_database(self, service: str) -> Iterator[None]:
        """Take the database of one service away for a while."""
        self._as_superuser(f"alter database {service} with allow_connections false")
        try:
            self._as_superuser(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{service}'")
            yield
        finally:
            self._as_superuser(f"alter database {service} with allow_connections true")
            # The test's own connections were ended as well.
            self.system.engine(service).dispose()

    def forget_the_watchdog(self) -> None:
        """Have it as if the watchdog had last come an hour ago."""
        self._as_superuser("update watchdog set heard_at = now() - interval '1 hour'", "notify")

    def _as_superuser(self, statement: str, database: str = "postgres") -> None:
        uri = self.system.installation.postgres_admin_uri.rpartition("/")[0]
        with closing(psycopg2.connect(f"{uri}/{database}")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
