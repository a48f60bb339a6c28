"""What the rules ask Prometheus for, taken out of their expressions by a real parser."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser
from promql_parser import MatchOp

Labels = Mapping[str, str]


def selectors(expression: str) -> list[Any]:
    """Return every vector selector of an expression."""
    found: list[Any] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def without(expression: str, series: Mapping[str, list[Labels]]) -> Iterator[str]:
    """Yield the selectors for which there is no series. series: labels by metric name."""
    for one in selectors(expression):
        if not any(all(_fits(each, labels) for each in one.matchers.matchers) for labels in series.get(one.name, ())):
            yield one.prettify()


def _fits(matcher: Any, labels: Labels) -> bool:
    value = labels.get(matcher.name, "")
    if matcher.op in (MatchOp.Equal, MatchOp.NotEqual):
        matches: bool = value == matcher.value
    else:
        matches = re.fullmatch(matcher.value, value) is not None
    return matches == (matcher.op in (MatchOp.Equal, MatchOp.Re))
