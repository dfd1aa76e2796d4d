"""The kinds of panel that the dashboards use, with Squall's conventions: one way to draw each thing.

Every panel has a description that says what it shows and when to worry. A panel that would be empty on a healthy system
shows 0 instead (`or_zero`), or says in a word why there is nothing yet (`or_word`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import bargauge, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")

Panel = Any
"""A panel's builder: the kinds have no common base that mypy could check."""

Steps = Sequence[tuple[float | None, str]]
"""From which value on which colour holds; the first value is None."""

GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"
PLAIN: Steps = ((None, BLUE),)
ZERO_IS_GOOD: Steps = ((None, GREEN), (1, RED))


@dataclass(frozen=True)
class Query:
    """One expression and the name of its series, such as `{{entity}}`."""

    expr: str
    legend: str = ""


def or_zero(expr: str) -> str:
    """Return an expression that is 0 where the given one has no series."""
    return f"{expr} or vector(0)"


def or_word(expr: str, label: str, word: str) -> str:
    """Return an expression that is one series of 0, with a label that says why, where the given one has none."""
    return f'{expr} or on () label_replace(vector(0), "{label}", "{word}", "", "")'


def quantile(share: float, histogram: str, by: str = "", selector: str = "") -> str:
    """Return the quantile of a histogram over all workers, or by labels."""
    labels = f"{by}, le" if by else "le"
    rate = f"rate({histogram}_bucket{{{selector}}}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by ({labels}) ({rate}))"


def lines(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    width: int = 12,
    height: int = 8,
    stacked: bool = False,
    limits: Steps | None = None,
    minimum: float | None = 0,
    maximum: float | None = None,
) -> Panel:
    """Return a graph over time.

    Args:
        title: what it shows.
        description: what it says, and when to worry.
        queries: range queries.
        unit: a unit of Grafana.
        width: of 24 columns.
        height: in rows of the grid.
        stacked: draw areas on top of each other, for parts of a whole.
        limits: lines that are drawn where a value begins to be bad.
        minimum: where the axis begins; None leaves it to Grafana.
        maximum: where the axis ends.
    """
    panel = (
        timeseries.Panel()
        .legend(
            common_builders.VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
        )
        .tooltip(
            common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        )
        .line_width(1)
        .fill_opacity(30 if stacked else 8)
        .show_points(common.VisibilityMode.NEVER)
    )
    if stacked:
        panel = panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
    if limits is not None:
        style = common_builders.GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.DASHED)
        panel = panel.thresholds_style(style).thresholds(_thresholds(limits))
    if minimum is not None:
        panel = panel.min(minimum)
    if maximum is not None:
        panel = panel.max(maximum)
    return _finish(panel, title, description, queries, unit, width, height)


def figure(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str = "short",
    width: int = 4,
    steps: Steps = PLAIN,
    words: dict[str, str] | None = None,
    shows_name: bool = False,
    decimals: int | None = None,
) -> Panel:
    """Return one large figure: its last value, or what it stands for (`words`), or the name of its series."""
    panel = (
        stat.Panel()
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .color_mode(common.BigValueColorMode.BACKGROUND)
        .graph_mode(common.BigValueGraphMode.NONE)
        .text_mode(common.BigValueTextMode.NAME if shows_name else common.BigValueTextMode.VALUE)
        .thresholds(_thresholds(steps))
    )
    if words is not None:
        panel = panel.mappings([_value_words(words)])
    if decimals is not None:
        panel = panel.decimals(decimals)
    return _finish(panel, title, description, [query], unit, width, 4, instant=True)


def ranking(
    title: str, description: str, query: Query, *, unit: str = "short", width: int = 8, steps: Steps = PLAIN
) -> Panel:
    """Return horizontal bars, the longest first: the query sorts them."""
    panel = (
        bargauge.Panel()
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.GRADIENT)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .thresholds(_thresholds(steps))
        .min(0)
    )
    return _finish(panel, title, description, [query], unit, width, 10, instant=True)


def states(
    title: str, description: str, query: Query, words: dict[str, str], *, width: int = 24, height: int = 8
) -> Panel:
    """Return a band over time for each series, coloured by state; `words` says what 0 and 1 mean."""
    panel = (
        statetimeline.Panel()
        .mappings([_value_words(words)])
        .thresholds(_thresholds(ZERO_IS_GOOD))
        .color_scheme(dashboard_builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
        .show_value(common.VisibilityMode.AUTO)
        .fill_opacity(70)
        .line_width(0)
    )
    return _finish(panel, title, description, [query], "short", width, height)


@dataclass(frozen=True)
class Column:
    """A column of a table: the field that Prometheus gives, and how it is shown."""

    field: str
    title: str
    unit: str | None = None
    link: tuple[str, str] | None = None
    """Title and address of where a click leads."""
    steps: Steps | None = None


def rows(
    title: str,
    description: str,
    queries: Sequence[Query],
    columns: Sequence[Column],
    *,
    key: str,
    width: int = 24,
    height: int = 10,
) -> Panel:
    """Return a table that joins instant queries by a label.

    Args:
        title: what it shows.
        description: what it says, and when to worry.
        queries: the first has every row; the value of the n-th is the field `Value #A`, `Value #B`, ...
        columns: which fields are shown, in this order; all others are hidden.
        key: the label that the queries are joined by.
        width: of 24 columns.
        height: in rows of the grid.
    """
    names = {column.field: column.title for column in columns}
    panel = (
        table.Panel()
        .show_header(True)
        .with_transformation(
            dashboard.DataTransformerConfig(id_val="joinByField", options={"byField": key, "mode": "outer"})
        )
        .with_transformation(
            dashboard.DataTransformerConfig(
                id_val="filterFieldsByName", options={"include": {"names": [column.field for column in columns]}}
            )
        )
        .with_transformation(
            dashboard.DataTransformerConfig(
                id_val="organize",
                options={
                    "indexByName": {column.field: place for place, column in enumerate(columns)},
                    "renameByName": names,
                },
            )
        )
    )
    for column in columns:
        properties = list(_column_properties(column))
        if properties:
            panel = panel.override_by_name(column.title, properties)
    return _finish(panel, title, description, queries, "short", width, height, instant=True, as_table=True)


def _column_properties(column: Column) -> Sequence[dashboard.DynamicConfigValue]:
    found = []
    if column.unit is not None:
        found.append(dashboard.DynamicConfigValue(id_val="unit", value=column.unit))
    if column.link is not None:
        title, url = column.link
        found.append(dashboard.DynamicConfigValue(id_val="links", value=[{"title": title, "url": url}]))
    if column.steps is not None:
        steps = [{"value": value, "color": colour} for value, colour in column.steps]
        found.append(dashboard.DynamicConfigValue(id_val="thresholds", value={"mode": "absolute", "steps": steps}))
        found.append(dashboard.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-background"}))
    return found


def _finish(
    panel: Panel,
    title: str,
    description: str,
    queries: Sequence[Query],
    unit: str,
    width: int,
    height: int,
    *,
    instant: bool = False,
    as_table: bool = False,
) -> Panel:
    for place, query in enumerate(queries):
        target = Dataquery().expr(query.expr).ref_id(chr(ord("A") + place)).datasource(DATASOURCE)
        target = target.instant() if instant else target.range()
        if as_table:
            target = target.format(PromQueryFormat.TABLE)
        if query.legend:
            target = target.legend_format(query.legend)
        panel = panel.with_target(target)
    return panel.title(title).description(description).datasource(DATASOURCE).unit(unit).span(width).height(height)


def _thresholds(steps: Steps) -> dashboard_builders.ThresholdsConfig:
    found = [dashboard.Threshold(value=value, color=colour) for value, colour in steps]
    return dashboard_builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(found)


def _value_words(words: dict[str, str]) -> dashboard.ValueMap:
    return dashboard.ValueMap(options={value: dashboard.ValueMappingResult(text=text) for value, text in words.items()})
