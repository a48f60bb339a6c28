"""Every alert fires when it should, is quiet when it should, and is over when it should, by the real promtool."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.rules import RULES, alerts
from tests.alerts.stories import STORIES, WELL, Fires, Quiet

#: It fires always, which is its whole purpose.
WATCHDOG = "Watchdog"


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the real promtool."""
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)


def failures(tmp_path: Path, tests: list[dict[str, Any]], rules: Path = RULES) -> str:
    """Return what promtool says against tests of the rules; nothing when all pass."""
    file = tmp_path / "test.json"
    file.write_text(json.dumps({"rule_files": [str(rules)], "evaluation_interval": "30s", "tests": tests}), "utf-8")
    done = promtool("test", "rules", file)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def as_test(story: Fires | Quiet) -> dict[str, Any]:
    """Return a story in promtool's form."""
    expected: list[tuple[int, list[Any]]]
    if isinstance(story, Quiet):
        expected = [(minute, []) for minute in range(0, 60, 5)]
    else:
        rule = alerts()[story.alert]
        firing = {
            "exp_labels": rule["labels"] | story.labels,
            "exp_annotations": rule["annotations"] | {"summary": story.summary},
        }
        expected = [(story.before, []), (story.at, [firing]), (story.after, [])]
    return {
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in {**WELL, **story.series}.items()],
        "alert_rule_test": [
            {"eval_time": f"{minute}m", "alertname": story.alert, "exp_alerts": found} for minute, found in expected
        ],
    }


def test_the_rules_are_well_formed() -> None:
    done = promtool("check", "rules", RULES)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", sorted(alerts().keys() - {WATCHDOG}))
def test_an_alert_fires_is_quiet_and_is_over_in_time(tmp_path: Path, alert: str) -> None:
    stories = [story for story in STORIES if story.alert == alert]
    assert {type(story) for story in stories} == {Fires, Quiet}
    assert failures(tmp_path, [as_test(story) for story in stories]) == ""


def test_the_watchdog_always_fires(tmp_path: Path) -> None:
    rule = alerts()[WATCHDOG]
    always = [{"exp_labels": rule["labels"], "exp_annotations": rule["annotations"]}]
    times = [{"eval_time": f"{minute}m", "alertname": WATCHDOG, "exp_alerts": always} for minute in (0, 7, 600)]
    assert failures(tmp_path, [{"interval": "1m", "alert_rule_test": times}]) == ""


def test_while_all_is_well_nothing_else_fires(tmp_path: Path) -> None:
    quiet = [as_test(Quiet(alert, {})) for alert in alerts() if alert != WATCHDOG]
    assert failures(tmp_path, quiet) == ""


def test_a_changed_threshold_is_noticed(tmp_path: Path) -> None:
    changed = tmp_path / "changed.rules.yml"
    changed.write_text(
        RULES.read_text("utf-8").replace("(liaison_outbox_age_seconds) > 60", "(liaison_outbox_age_seconds) > 6e9"),
        "utf-8",
    )
    stories = [as_test(story) for story in STORIES if story.alert == "OutboxStuck"]
    assert "OutboxStuck" in failures(tmp_path, stories, changed)
