"""Every series that a rule asks for is on a real page, so that a renamed metric or label cannot silence an alert."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.prometheus import targets
from liaison.installation import Installation
from liaison.local import environment
from tests.alerts.monitored import RUNNING, Monitored
from tests.alerts.rules import RULES, alerts
from tests.alerts.selectors import Labels, without
from tests.eventkit.desk import eventually, serving

pytestmark = pytest.mark.timeout(300)
_MISSING_HERE = {"training"}


@pytest.fixture(scope="module")
def knowledge(monitored: Monitored) -> Iterator[None]:
    """Run knowledge as `make run` does, without its search server: its page is there all the same."""
    installation = monitored.system.installation
    env = {"PATH": os.environ["PATH"], **environment(installation, "knowledge")}
    with serving("knowledge", env, Path(os.devnull)):
        eventually(lambda: _answers(installation), 30, "the page of knowledge")
        yield


def _answers(installation: Installation) -> bool:
    try:
        return _page(installation, "knowledge", "/metrics") != ""
    except httpx.TransportError:
        return False


def _page(installation: Installation, job: str, path: str) -> str:
    [target] = [one for one in targets(installation) if (one.job, one.path) == (job, path)]
    url, parameters = f"http://{target.address}{path}", dict(target.parameters)
    return httpx.get(url, params=parameters, trust_env=False, timeout=10).raise_for_status().text


@pytest.fixture(scope="module")
def series(monitored: Monitored, knowledge: None) -> Mapping[str, list[Labels]]:
    """The labels of everything that Prometheus reads, by name, with the job that Prometheus adds."""
    found: dict[str, list[Labels]] = {}
    for target in targets(monitored.system.installation):
        found.setdefault("up", []).append({"job": target.job})
        if target.job in _MISSING_HERE:
            continue
        text = _page(monitored.system.installation, target.job, target.path)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append({**sample.labels, "job": target.job})
    return found


@pytest.mark.parametrize("alert", sorted(alerts()))
def test_what_an_alert_asks_for_is_there(series: Mapping[str, list[Labels]], alert: str) -> None:
    assert list(without(alerts()[alert]["expr"], series)) == []


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("liaison_outbox_age_seconds", "liaison_outbox_oldest_seconds"),
        ('check="database"', 'check="postgresql"'),
        ('window="1d"', 'window="24h"'),
        ("rabbitmq_alarms_memory_used_watermark", "rabbitmq_alarm_memory"),
    ],
)
def test_a_wrong_name_would_be_noticed(series: Mapping[str, list[Labels]], name: str, wrong: str) -> None:
    assert name in RULES.read_text("utf-8")
    expressions = [rule["expr"].replace(name, wrong) for rule in alerts().values() if name in rule["expr"]]
    assert all(list(without(one, series)) for one in expressions)


def test_the_services_that_are_watched_are_all_there_are(series: Mapping[str, list[Labels]]) -> None:
    from liaison.services import ALL

    expression = alerts()["ServiceDown"]["expr"]
    assert all(f'absent(up{{job="{name}"}})' in expression for name in (*ALL, "facts"))
    assert f'job=~"{"|".join(ALL)}"' in expression
    assert {*RUNNING, "knowledge", *_MISSING_HERE} == set(ALL)
