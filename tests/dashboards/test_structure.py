"""The dashboards' files: complete, without overlap, as the code says, and ready to be provisioned."""

from __future__ import annotations

import copy
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana import __main__ as grafana
from deploy.grafana.dashboards.panels import PROMETHEUS_UID, WINDOWS
from services.metrics import gauges
from services.metrics.metric import Metric
from services.metrics.page import render
from tests.dashboards import lint
from tests.dashboards.boards import BOARDS, FOLDER, load, names, panels, targets
from tests.metrics.house import samples

plugins.register_default_plugins()
every_board = pytest.mark.parametrize("file", BOARDS, ids=[file.stem for file in BOARDS])


def test_the_files_are_what_the_code_says() -> None:
    assert {file.name: file.read_text("utf-8") for file in BOARDS} == grafana.documents()
    command = [sys.executable, "-m", "deploy.grafana", "check"]
    assert subprocess.run(command, cwd=FOLDER.parents[1], check=False).returncode == 0


def test_a_file_that_is_not_what_the_code_says_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grafana, "FOLDER", tmp_path)
    assert CliRunner().invoke(grafana.main, ["write"]).exit_code == 0
    assert CliRunner().invoke(grafana.main, ["check"]).exit_code == 0
    (tmp_path / "old.json").write_text("{}", "utf-8")
    assert "old.json" in CliRunner().invoke(grafana.main, ["check"]).output
    (tmp_path / "old.json").unlink()
    (tmp_path / "platform.json").write_text("{}", "utf-8")
    assert CliRunner().invoke(grafana.main, ["check"]).exit_code == 1


@every_board
def test_the_models_of_the_sdk_read_the_file_and_lose_nothing(file: Path) -> None:
    read = Dashboard.from_json(load(file))
    assert json.loads(JSONEncoder().encode(read)) == load(file)


def test_there_are_two_dashboards_with_uids_of_their_own() -> None:
    assert {load(file)["uid"] for file in BOARDS} == {"liaison-service-desk", "liaison-platform"}
    assert len({load(file)["title"] for file in BOARDS}) == 2


@every_board
def test_no_two_panels_share_a_number_a_title_or_a_place(file: Path) -> None:
    board = load(file)
    for field in ("id", "title"):
        values = [panel[field] for panel in board["panels"]]
        assert len(set(values)) == len(values)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = set(
            itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"]))
        )
        assert not cells & taken, panel["title"]
        taken |= cells


@every_board
def test_every_panel_says_what_it_shows_in_chinese_with_a_unit_and_a_query(file: Path) -> None:
    for panel in panels(load(file)):
        assert re.search(r"[\u4e00-\u9fff]", panel["description"]), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["fieldConfig"]["defaults"]["noValue"]
        assert panel["targets"]
        assert all(target["expr"].strip() for target in panel["targets"])
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@every_board
def test_every_variable_in_a_query_is_declared_and_every_declared_one_is_used(file: Path) -> None:
    board = load(file)
    declared = {one["name"] for one in board["templating"]["list"]}
    used = {name for target in targets(board) for name in re.findall(r"\$\{?(\w+)", target.expr)}
    assert used - {"__rate_interval"} == declared - {"datasource"}


def test_the_windows_to_choose_from_are_those_that_are_counted() -> None:
    assert tuple(gauges.WINDOWS) == WINDOWS
    [window] = [
        one for one in load(FOLDER / "boards/service-desk.json")["templating"]["list"] if one["name"] == "window"
    ]
    assert [option["value"] for option in window["options"]] == list(WINDOWS)
    assert window["current"]["value"] == "1d"


@every_board
def test_the_data_source_is_the_one_that_is_provisioned(file: Path) -> None:
    provisioned = yaml.safe_load((FOLDER / "provisioning/datasources/liaison.yaml").read_text("utf-8"))
    [source] = provisioned["datasources"]
    [variable] = [one for one in load(file)["templating"]["list"] if one["type"] == "datasource"]
    assert source["uid"] == PROMETHEUS_UID == variable["current"]["value"]
    assert source["type"] == variable["query"] == "prometheus"


def test_the_dashboards_are_provisioned_from_a_folder() -> None:
    [provider] = yaml.safe_load((FOLDER / "provisioning/dashboards/liaison.yaml").read_text("utf-8"))["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"].startswith("/var/lib/grafana/")


@every_board
def test_the_17_rules_of_the_linter_find_nothing_that_is_not_excluded_for_a_reason(file: Path) -> None:
    assert len(lint.RULES) == 17
    excluded = lint.exclusions()
    left = [
        finding
        for finding in lint.findings(load(file))
        if not any(lint.is_excluded(finding, entry) for entry in excluded.get(finding.rule, {}).get("entries", ()))
    ]
    assert left == []


def test_every_exclusion_has_a_reason_and_is_needed() -> None:
    found = [finding for file in BOARDS for finding in lint.findings(load(file))]
    for rule, exclusion in lint.exclusions().items():
        assert rule in lint.RULES
        assert len(exclusion["reason"]) > 20
        for entry in exclusion["entries"]:
            assert any(one.rule == rule and lint.is_excluded(one, entry) for one in found), (rule, entry)


def _without(board: dict[str, Any], *path: Any) -> None:
    *way, last = path
    for step in way:
        board = board[step]
    del board[last]


_PANEL = ("panels", 1)
_FAULTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "template-datasource-rule": lambda b: b["templating"]["list"].pop(0),
    "template-job-rule": lambda b: b["templating"]["list"][1].update(multi=False),
    "template-instance-rule": lambda b: b["templating"]["list"].pop(2),
    "template-label-promql-rule": lambda b: b["templating"]["list"][1].update(query="label_values(up{, job)"),
    "template-on-time-change-reload-rule": lambda b: b["templating"]["list"][1].update(refresh=1),
    "panel-datasource-rule": lambda b: b["panels"][1].update(datasource={"uid": "abc"}),
    "panel-title-description-rule": lambda b: _without(b, *_PANEL, "description"),
    "panel-units-rule": lambda b: b["panels"][1]["fieldConfig"]["defaults"].update(unit="pieces"),
    "panel-no-targets-rule": lambda b: b["panels"][1].update(targets=[]),
    "target-logql-rule": lambda b: b["panels"][1]["targets"][0]["datasource"].update(type="loki"),
    "target-logql-auto-rule": lambda b: b["panels"][1]["targets"][0]["datasource"].update(type="loki"),
    "target-promql-rule": lambda b: b["panels"][1]["targets"][0].update(expr="sum(("),
    "target-rate-interval-rule": lambda b: b["panels"][1]["targets"][0].update(expr="rate(a_total[5m])"),
    "target-job-rule": lambda b: b["panels"][2]["targets"][0].update(expr='min(liaison_ready{instance=~"$instance"})'),
    "target-instance-rule": lambda b: b["panels"][2]["targets"][0].update(expr='min(liaison_ready{job="tickets"})'),
    "target-counter-agg-rule": lambda b: b["panels"][1]["targets"][0].update(expr="a_total + rate(a_total[1m])"),
    "uneditable-dashboard-rule": lambda b: b.update(editable=True),
}


@pytest.mark.parametrize("rule", lint.RULES)
def test_each_rule_finds_the_fault_that_it_is_for(rule: str) -> None:
    whole = load(FOLDER / "boards/platform.json")
    before = list(lint.RULES[rule](whole))
    broken = copy.deepcopy(whole)
    _FAULTS[rule](broken)
    assert len(list(lint.RULES[rule](broken))) > len(before)


def _missing(metrics: Sequence[Metric]) -> set[str]:
    """Return the names that the service desk reads and a page of these metrics does not have."""
    page = {name.partition("{")[0] for name in samples(render({}, metrics))}
    read = {name for target in targets(load(FOLDER / "boards/service-desk.json")) for name in names(target.parsed())}
    return read - page


def test_the_service_desk_reads_only_what_the_metrics_service_shows_and_a_renamed_metric_is_noticed() -> None:
    assert _missing(gauges.METRICS) == set()
    for name in ("liaison_tickets_opened_recent", "liaison_tickets_opened_total", "liaison_tickets_open"):
        renamed = [
            replace(metric, name=metric.name.replace("tickets", "issues")) if metric.name == name else metric
            for metric in gauges.METRICS
        ]
        assert _missing(renamed) == {name}
