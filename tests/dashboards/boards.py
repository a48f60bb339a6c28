"""The dashboards as Grafana reads them: their files, panels, queries, and what a query stands for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana"
BOARDS = sorted((FOLDER / "boards").glob("*.json"))
#: What dashboard-linter puts in the place of a variable that is a duration, in milliseconds (lint/variables.go).
RATE_INTERVAL_MS = 11277964
_BUILT_IN = {"$__rate_interval": f"{RATE_INTERVAL_MS}ms", "${__rate_interval}": f"{RATE_INTERVAL_MS}ms"}


@dataclass(frozen=True)
class Target:
    """One query of a panel. instant: of the end of the range only."""

    board: str
    panel: str
    index: int
    expr: str
    instant: bool
    raw: dict[str, Any]

    def asked(self, **variables: str) -> str:
        """Return the query with these values of the dashboard's variables."""
        expr = self.expr
        for name, value in ({"job": ".+", "instance": ".+", "window": "1d"} | variables).items():
            expr = re.sub(rf"\${name}\b", value, expr)
        return expr

    def parsed(self) -> promql_parser.Expr:
        """Return the query's tree. Raises ValueError when it is no PromQL."""
        expr = self.asked()
        for name, value in _BUILT_IN.items():
            expr = expr.replace(name, value)
        return promql_parser.parse(expr)


def load(file: Path) -> dict[str, Any]:
    """Return a dashboard."""
    board: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return board


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every panel that is not a heading."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def targets(board: dict[str, Any]) -> Iterator[Target]:
    """Return every query of a dashboard."""
    for panel in panels(board):
        for index, raw in enumerate(panel["targets"]):
            yield Target(board["uid"], panel["title"], index, raw["expr"], raw["instant"], raw)


def every_target() -> list[Target]:
    """Return every query of all dashboards."""
    return [target for file in BOARDS for target in targets(load(file))]


def nodes(expr: Any) -> Iterator[Any]:
    """Return an expression and all within it, from the outside in."""
    yield expr
    for name in ("expr", "lhs", "rhs", "param", "vector_selector", "vs"):
        child = getattr(expr, name, None)
        if child is not None and type(child).__module__.startswith("promql_parser"):
            yield from nodes(child)
    for child in getattr(expr, "args", ()):
        yield from nodes(child)


def selectors(expr: Any) -> list[promql_parser.VectorSelector]:
    """Return every selector of series."""
    return [node for node in nodes(expr) if isinstance(node, promql_parser.VectorSelector)]


def names(expr: Any) -> set[str]:
    """Return the names of all metrics that an expression reads."""
    return {str(selector.name) for selector in selectors(expr)}


def matchers(selector: promql_parser.VectorSelector) -> dict[str, str]:
    """Return the labels that a selector asks for, with operator and value as they are written."""
    signs = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}
    return {one.name: f"{signs[str(one.op)]}{one.value}" for one in selector.matchers.matchers}
