"""The 17 rules of grafana/dashboard-linter 0.2, written anew: its binary cannot be installed here.

Exclusions stand in `deploy/grafana/boards/.lint`, in its own form; each needs a reason.
Source: notes/notify-metrics.md 3.5; dashboard-linter docs/rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import promql_parser
import yaml

from tests.dashboards.boards import FOLDER, RATE_INTERVAL_MS, Target, matchers, nodes, panels, selectors, targets

Board = dict[str, Any]
_CHECKED = {"stat", "singlestat", "graph", "table", "timeseries", "gauge", "bargauge"}
_UNITS = {
    "none",
    "short",
    "percent",
    "percentunit",
    "s",
    "ms",
    "dtdurations",
    "bytes",
    "decbytes",
    "ops",
    "reqps",
    "cps",
}
_RATES = {"rate", "irate", "increase"}


@dataclass(frozen=True)
class Finding:
    """What a rule does not like, and where."""

    rule: str
    board: str
    panel: str | None
    index: int | None
    message: str


Found = Iterator[tuple[str | None, int | None, str]]


def _template(board: Board, name: str) -> dict[str, Any] | None:
    return next((one for one in board["templating"]["list"] if one["name"] == name), None)


def _template_datasource(board: Board) -> Found:
    sources = [one for one in board["templating"]["list"] if one["type"] == "datasource"]
    if len(sources) != 1:
        yield None, None, f"{len(sources)} data source variables instead of one"
    for one in sources:
        if one["name"] not in ("datasource", "prometheus_datasource"):
            yield None, None, f"the data source variable is called {one['name']}"
        if one["label"] not in ("Data source", "Prometheus data source"):
            yield None, None, f"the data source variable is labelled {one['label']}"
        if one["query"] != "prometheus":
            yield None, None, f"the data source is {one['query']}"


def _template_of(name: str) -> Callable[[Board], Found]:
    def rule(board: Board) -> Found:
        one = _template(board, name)
        if one is None:
            yield None, None, f"there is no variable {name}"
            return
        wanted = {"type": "query", "label": name.title(), "multi": True, "allValue": ".+"}
        for field, value in wanted.items():
            if one.get(field) != value:
                yield None, None, f"{name}: {field} is {one.get(field)!r}, not {value!r}"
        if one["datasource"]["uid"] not in ("$datasource", "${datasource}"):
            yield None, None, f"{name}: its data source is {one['datasource']}"

    return rule


def _template_label_promql(board: Board) -> Found:
    for one in board["templating"]["list"]:
        if one["type"] == "query":
            asked = re.fullmatch(r"label_values\((?:(.+),\s*)?\w+\)", one["query"])
            if not asked or (asked[1] and not _parses(asked[1])):
                yield None, None, f"{one['name']}: {one['query']}"


def _parses(expr: str) -> bool:
    try:
        promql_parser.parse(re.sub(r"\$\w+", "x", expr))
    except ValueError:
        return False
    return True


def _template_on_time_change_reload(board: Board) -> Found:
    for one in board["templating"]["list"]:
        if one["type"] == "query" and one.get("refresh") != 2:
            yield None, None, f"{one['name']} is not read anew when the range changes"


def _panel_datasource(board: Board) -> Found:
    for panel in panels(board):
        if panel["type"] in _CHECKED and panel["datasource"].get("uid") not in ("$datasource", "${datasource}"):
            yield panel["title"], None, f"its data source is {panel['datasource']}"


def _panel_title_description(board: Board) -> Found:
    for panel in panels(board):
        if panel["type"] in _CHECKED and not (panel.get("title") and panel.get("description")):
            yield panel.get("title"), None, "it has no title or no description"


def _panel_units(board: Board) -> Found:
    for panel in panels(board):
        unit = panel["fieldConfig"]["defaults"].get("unit")
        if panel["type"] in _CHECKED and unit not in _UNITS:
            yield panel["title"], None, f"its unit is {unit!r}"


def _panel_no_targets(board: Board) -> Found:
    for panel in panels(board):
        if panel["type"] in _CHECKED and not panel.get("targets"):
            yield panel["title"], None, "it has no target"


def _target_logql(board: Board) -> Found:
    # Only Prometheus is asked; a query of Loki would need the rule's own parser.
    for target in targets(board):
        if target.raw["datasource"]["type"] != "prometheus":
            yield target.panel, target.index, f"it asks {target.raw['datasource']['type']}"


def _target_promql(board: Board) -> Found:
    for target in targets(board):
        try:
            target.parsed()
        except ValueError as problem:
            yield target.panel, target.index, f"{target.expr}: {problem}"


def _target_rate_interval(board: Board) -> Found:
    for target in targets(board):
        for node in nodes(target.parsed()):
            ranged = isinstance(node, promql_parser.MatrixSelector)
            if ranged and node.range != timedelta(milliseconds=RATE_INTERVAL_MS):
                yield target.panel, target.index, f"a range is {node.range}, not $__rate_interval"


def _target_matches(label: str) -> Callable[[Board], Found]:
    def rule(board: Board) -> Found:
        for target in targets(board):
            kept = Target(**{**vars(target), "expr": target.expr.replace(f"${label}", f"@{label}")})
            for selector in selectors(kept.parsed()):
                if matchers(selector).get(label) != f"=~@{label}":
                    yield target.panel, target.index, f'{selector.name} is not asked with {label}=~"${label}"'

    return rule


def _target_counter_agg(board: Board) -> Found:
    for target in targets(board):
        for name in _bare_counters(target.parsed()):
            yield target.panel, target.index, f"{name} stands outside rate, irate and increase"


def _bare_counters(expr: Any) -> Iterator[str]:
    rated = [
        selector.name
        for node in nodes(expr)
        if isinstance(node, promql_parser.Call) and node.func.name in _RATES
        for selector in selectors(node)
    ]
    for selector in selectors(expr):
        if str(selector.name).endswith("_total"):
            if selector.name in rated:
                rated.remove(selector.name)
            else:
                yield str(selector.name)


def _uneditable(board: Board) -> Found:
    if board.get("editable") is not False:
        yield None, None, "it can be edited"


RULES: Mapping[str, Callable[[Board], Found]] = {
    "template-datasource-rule": _template_datasource,
    "template-job-rule": _template_of("job"),
    "template-instance-rule": _template_of("instance"),
    "template-label-promql-rule": _template_label_promql,
    "template-on-time-change-reload-rule": _template_on_time_change_reload,
    "panel-datasource-rule": _panel_datasource,
    "panel-title-description-rule": _panel_title_description,
    "panel-units-rule": _panel_units,
    "panel-no-targets-rule": _panel_no_targets,
    "target-logql-rule": _target_logql,
    "target-logql-auto-rule": _target_logql,
    "target-promql-rule": _target_promql,
    "target-rate-interval-rule": _target_rate_interval,
    "target-job-rule": _target_matches("job"),
    "target-instance-rule": _target_matches("instance"),
    "target-counter-agg-rule": _target_counter_agg,
    "uneditable-dashboard-rule": _uneditable,
}


def exclusions() -> dict[str, dict[str, Any]]:
    """Return what is excluded, by rule: a reason, and the entries that it holds for."""
    document: dict[str, Any] = yaml.safe_load((FOLDER / "boards" / ".lint").read_text("utf-8"))
    return dict(document["exclusions"])


def is_excluded(finding: Finding, entry: Mapping[str, Any]) -> bool:
    """Say whether an entry speaks of this finding; what it leaves out may be anything."""
    asked = {"dashboard": finding.board, "panel": finding.panel}
    return all(asked[name] == value for name, value in entry.items())


def findings(board: Board) -> list[Finding]:
    """Return all that the rules find, exclusions aside."""
    return [
        Finding(name, board["title"], panel, index, message)
        for name, rule in RULES.items()
        for panel, index, message in rule(board)
    ]
