"""Every alert goes where it should, by the real amtool: the shipped configuration and the local one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.local.alertmanager import configuration
from liaison.installation import Installation
from tests.alerts.rules import ROUTES, alerts


def amtool(*arguments: str | Path) -> str:
    """Run the real amtool and return what it prints."""
    done = subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def local(folder: Path) -> Path:
    """Return the file that `make run` would write."""
    installation = Installation.open_or_make(folder / "home", free_ports=True)
    file = folder / "alertmanager.json"
    document = yaml.safe_load(ROUTES.read_text("utf-8"))
    file.write_text(configuration(installation, document, folder / "token"), "utf-8")
    return file


def receivers(labels: dict[str, str]) -> list[str]:
    """Return who gets an alert with these labels, in the order of the routes."""
    given = [f"{name}={value}" for name, value in labels.items()]
    return amtool("config", "routes", "test", f"--config.file={ROUTES}", *given).split(",")


def test_the_shipped_configuration_is_well_formed() -> None:
    assert "SUCCESS" in amtool("check-config", ROUTES)


def test_the_local_configuration_has_our_addresses_and_no_secret(tmp_path: Path) -> None:
    file = local(tmp_path)
    assert "SUCCESS" in amtool("check-config", file)
    document = yaml.safe_load(file.read_text("utf-8"))
    installation = Installation.load(tmp_path / "home")
    webhooks = [one for each in document["receivers"] for one in each.get("webhook_configs", ())]
    assert {one["url"] for one in webhooks} == {f"{installation.gateway_url}/v1/alerts"}
    assert {one["http_config"]["authorization"]["credentials_file"] for one in webhooks} == {str(tmp_path / "token")}
    assert not any(secret in file.read_text("utf-8") for secret in installation.passwords.values())


def test_every_alert_has_its_labels_and_its_receivers() -> None:
    found = {
        alert: (
            rule["labels"]["about"],
            rule["labels"]["severity"],
            receivers({"alertname": alert, "job": "tickets", **rule["labels"]}),
        )
        for alert, rule in alerts().items()
    }
    # Written down, not derived: who is called at night is a decision.
    assert found == {
        "ServiceDown": ("liaison", "critical", ["ops-mail", "gateway"]),
        "EventsLate": ("liaison", "warning", ["gateway"]),
        "OutboxStuck": ("liaison", "critical", ["ops-mail", "gateway"]),
        "DeadEventsWaiting": ("liaison", "warning", ["gateway"]),
        "HeldEventsWaiting": ("liaison", "warning", ["gateway"]),
        "TimersLate": ("liaison", "warning", ["gateway"]),
        "DeliveriesFailing": ("liaison", "critical", ["ops-mail", "gateway"]),
        "MailboxAway": ("liaison", "warning", ["gateway"]),
        "IndexBehind": ("liaison", "warning", ["gateway"]),
        "BrokerBlocked": ("liaison", "critical", ["ops-mail", "gateway"]),
        "DatabaseDown": ("liaison", "critical", ["ops-mail", "gateway"]),
        "WatchdogSilent": ("liaison", "critical", ["ops-mail", "gateway"]),
        "Watchdog": ("liaison", "info", ["watchdog"]),
        "SlaBudgetBurning": ("service-desk", "warning", ["gateway"]),
    }


@pytest.mark.parametrize("alert", [name for name, rule in alerts().items() if rule["labels"]["severity"] != "info"])
def test_an_alert_about_notify_itself_is_mailed_once_by_alertmanager_too(alert: str) -> None:
    if alerts()[alert]["labels"]["about"] == "liaison":
        assert receivers({"alertname": alert, "job": "notify", **alerts()[alert]["labels"]}) == ["ops-mail", "gateway"]


def test_events_that_wait_for_notify_are_mailed_by_alertmanager_and_others_are_not() -> None:
    labels = alerts()["EventsLate"]["labels"]
    queues = ("notify.1.0", "tickets.1.0")
    told = {queue: receivers({"alertname": "EventsLate", "queue": queue, **labels}) for queue in queues}
    assert told == {"notify.1.0": ["ops-mail", "gateway"], "tickets.1.0": ["gateway"]}


def test_a_call_of_the_gateway_carries_a_hundred_alerts_at_most() -> None:
    document = yaml.safe_load(ROUTES.read_text("utf-8"))
    webhooks = [one for each in document["receivers"] for one in each.get("webhook_configs", ())]
    assert [one["max_alerts"] for one in webhooks] == [100, 100]


def test_alerts_of_others_come_through_the_gateway() -> None:
    assert receivers({"alertname": "DiskFull", "severity": "critical"}) == ["gateway"]


def test_the_watchdog_of_others_is_an_alert_like_any_and_comes_no_more_often() -> None:
    # kube-prometheus ships the first.
    assert receivers({"alertname": "Watchdog", "severity": "none"}) == ["gateway"]
    assert receivers({"alertname": "Watchdog", "severity": "none", "about": "cluster"}) == ["gateway"]


def test_what_says_that_the_way_is_broken_does_not_depend_on_it() -> None:
    for alert in ("ServiceDown", "WatchdogSilent", "DeliveriesFailing", "DatabaseDown", "BrokerBlocked"):
        assert "ops-mail" in receivers({"alertname": alert, **alerts()[alert]["labels"]})
