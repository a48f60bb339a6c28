"""How a dashboard is put together: cards in rows of 24 columns, all on the data source that the reader chooses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    DataSourceRef,
    LegendDisplayMode,
    LegendPlacement,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    GridPos,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
)

COLUMNS = 24
#: The uid under which `provisioning/datasources` makes Prometheus known.
PROMETHEUS_UID = "liaison-prometheus"
#: The widths of the exact windows that the metrics service counts.
WINDOWS = ("1h", "6h", "1d", "7d", "30d")
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
# What is on or off: red below 1.
ON_OFF = ((None, "red"), (1.0, "green"))
# What should be 0: red from 1 on.
NONE_WANTED = ((None, "green"), (1.0, "red"))

Steps = Sequence[tuple[float | None, str]]


@dataclass(frozen=True)
class Query:
    """One PromQL query. legend: how its series are named, `{{label}}` for a label's value."""

    expr: str
    legend: str = "__auto"


@dataclass(frozen=True)
class Card:
    """One panel. kind: one number, bars of the present, or lines over time. width, height: in the grid's units.

    unit: Grafana's name of it. no_value: what stands there when nothing is to be shown. steps: (from, colour).
    """

    kind: Literal["number", "bars", "lines"]
    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    width: int = 8
    height: int = 8
    no_value: str = "—"
    steps: Steps = ((None, "blue"),)


@dataclass(frozen=True)
class Section:
    """A row with its heading, and the cards below it."""

    title: str
    cards: Sequence[Card]


@dataclass(frozen=True)
class Board:
    """A dashboard. variables: beside the data source. since: the time range at first sight, like `now-1d`."""

    uid: str
    title: str
    description: str
    tags: Sequence[str]
    since: str
    variables: Sequence[builders.CustomVariable | builders.QueryVariable]
    sections: Sequence[Section]

    def document(self) -> str:
        """Return the dashboard as JSON, always the same for the same code."""
        board = (
            builders.Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags(list(self.tags))
            .readonly()
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .refresh("30s")
            .time(self.since, "now")
            .timezone("browser")
            .with_variable(_datasource())
        )
        for variable in self.variables:
            board.with_variable(variable)
        for part in _placed(self.sections):
            if isinstance(part, builders.Row):
                board.with_row(part)
            else:
                board.with_panel(part)
        return JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(board.build()) + "\n"


class _Panel(Protocol):
    """What the builders of all kinds of panels share."""

    def id(self, id_val: int) -> Self: ...
    def title(self, title: str) -> Self: ...
    def description(self, description: str) -> Self: ...
    def datasource(self, datasource: DataSourceRef) -> Self: ...
    def grid_pos(self, grid_pos: GridPos) -> Self: ...
    def unit(self, unit: str) -> Self: ...
    def no_value(self, no_value: str) -> Self: ...
    def thresholds(self, thresholds: builders.ThresholdsConfig) -> Self: ...
    def with_target(self, target: prometheus.Dataquery) -> Self: ...


Part = builders.Row | stat.Panel | bargauge.Panel | timeseries.Panel


def _placed(sections: Sequence[Section]) -> Iterator[Part]:
    number = y = 0
    for section in sections:
        number += 1
        yield builders.Row(section.title).id(number).grid_pos(GridPos(h=1, w=COLUMNS, x=0, y=y))
        y += 1
        x = height = 0
        for card in section.cards:
            if x + card.width > COLUMNS:
                x, y, height = 0, y + height, 0
            number += 1
            yield _panel(card, number, GridPos(h=card.height, w=card.width, x=x, y=y))
            x, height = x + card.width, max(height, card.height)
        y += height


def _panel(card: Card, number: int, place: GridPos) -> Part:
    panel = _of_kind(card)
    _dressed(panel, card).id(number).grid_pos(place)
    for index, query in enumerate(card.queries):
        target = prometheus.Dataquery().datasource(_SOURCE).ref_id(chr(ord("A") + index))
        target.expr(query.expr).legend_format(query.legend)
        panel.with_target(target.range() if card.kind == "lines" else target.instant())
    return panel


def _of_kind(card: Card) -> stat.Panel | bargauge.Panel | timeseries.Panel:
    if card.kind == "number":
        shown = common.ReduceDataOptions().calcs(["lastNotNull"])
        number = stat.Panel().graph_mode(BigValueGraphMode.NONE).color_mode(BigValueColorMode.VALUE)
        return number.reduce_options(shown)
    if card.kind == "bars":
        shown = common.ReduceDataOptions().calcs(["lastNotNull"])
        bars = bargauge.Panel().display_mode(BarGaugeDisplayMode.BASIC).orientation(VizOrientation.HORIZONTAL)
        return bars.reduce_options(shown).min(0)
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    return timeseries.Panel().legend(legend.show_legend(True)).min(0).fill_opacity(10)


def _dressed(panel: _Panel, card: Card) -> _Panel:
    steps = [Threshold(value=value, color=colour) for value, colour in card.steps]
    limits = builders.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
    dressed = panel.title(card.title).description(card.description).datasource(_SOURCE)
    return dressed.unit(card.unit).no_value(card.no_value).thresholds(limits)


def _datasource() -> builders.DatasourceVariable:
    chosen = VariableOption(selected=True, text="Prometheus", value=PROMETHEUS_UID)
    return builders.DatasourceVariable("datasource").label("Data source").type("prometheus").current(chosen)


def window_variable() -> builders.CustomVariable:
    """Return the variable by which the reader chooses how far back the exact counts go."""
    variable = builders.CustomVariable("window").label("统计窗口").values(",".join(WINDOWS))
    options = [VariableOption(selected=window == "1d", text=window, value=window) for window in WINDOWS]
    return variable.options(options).current(options[WINDOWS.index("1d")])


def label_variable(name: str, query: str) -> builders.QueryVariable:
    """Return a variable with all values of a label, of which the reader may choose several. query: label_values(…)."""
    everything = VariableOption(selected=True, text=["All"], value=["$__all"])
    variable = builders.QueryVariable(name).label(name.title()).datasource(_SOURCE).query(query)
    variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).multi(True).include_all(True)
    return variable.all_value(".+").current(everything)


def number(title: str, description: str, unit: str, expr: str, *, width: int = 4, steps: Steps = Card.steps) -> Card:
    """Return a card of one number."""
    return Card("number", title, description, unit, [Query(expr)], width=width, height=4, steps=steps)


def bars(title: str, description: str, unit: str, expr: str, legend: str, *, steps: Steps = Card.steps) -> Card:
    """Return a card with a bar for each series as it is at the end of the range."""
    return Card("bars", title, description, unit, [Query(expr, legend)], steps=steps)


def lines(title: str, description: str, unit: str, *queries: Query) -> Card:
    """Return a card with lines over the range."""
    return Card("lines", title, description, unit, queries)
