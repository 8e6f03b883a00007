"""The kinds of panels, all in one style. A colour has the same meaning in every panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

Panel: TypeAlias = timeseries.Panel | stat.Panel | bargauge.Panel | statetimeline.Panel | heatmap.Panel
Query: TypeAlias = tuple[str, str]
"""An expression and the legend of its series."""
Limits: TypeAlias = Sequence[tuple[float, str]]
"""Pairs of a value and the colour from that value on; below the first value the colour is good."""

GOOD, WARN, BAD, CALM = "green", "orange", "red", "blue"
DATASOURCE = shapes.DataSourceRef(type_val="prometheus", uid="${datasource}")
TILE_HEIGHT, HEIGHT = 4, 8


def rising(warn: float, bad: float) -> Limits:
    """Limits of a figure that is worse the higher it is."""
    return ((warn, WARN), (bad, BAD)) if warn < bad else ((bad, BAD),)


def falling(bad: float, good: float) -> Limits:
    """Limits of a figure that is worse the lower it is: ``bad`` and below, ``good`` and above."""
    return ((float("-inf"), BAD), (bad, WARN), (good, GOOD)) if bad < good else ((float("-inf"), BAD), (good, GOOD))


def tile(
    title: str, description: str, expression: str, *, unit: str = "short", limits: Limits = (), width: int = 3,
    texts: Mapping[int, tuple[str, str]] | None = None, empty: str = "no data", decimals: int | None = None, trend: bool = True,
    legend: str = "", height: int = TILE_HEIGHT,
) -> stat.Panel:  # fmt: skip
    """One figure per series, with its trend behind it.

    ``texts`` are texts and colours of values.
    """
    panel = (
        stat.Panel()
        .title(title).description(description).datasource(DATASOURCE).with_target(_target(0, (expression, legend or title)))
        .unit(unit).no_value(empty).thresholds(_thresholds(limits))
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .color_mode(shapes.BigValueColorMode.VALUE)
        .graph_mode(shapes.BigValueGraphMode.AREA if trend else shapes.BigValueGraphMode.NONE)
        .text_mode(shapes.BigValueTextMode.AUTO)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .span(width).height(height)
    )  # fmt: skip
    if decimals is not None:
        panel = panel.decimals(decimals)
    return panel.mappings([_value_texts(texts)]) if texts else panel


def lines(
    title: str, description: str, *queries: Query, unit: str = "short", width: int = 8, height: int = HEIGHT,
    limits: Limits = (), colours: Mapping[str, str] | None = None, dashed: Sequence[str] = (), low: float | None = 0,
    high: float | None = None, log: bool = False, sums: Sequence[str] = ("mean", "lastNotNull"),
) -> timeseries.Panel:  # fmt: skip
    """Lines over time.

    ``limits`` are drawn as dashed lines; ``colours`` and ``dashed`` name series by their legend;
    ``sums`` are the figures in the legend.
    """
    panel = _over_time(title, description, queries, unit, width, height, sums).fill_opacity(0 if len(queries) > 1 else 8)
    if limits:
        panel = panel.thresholds(_thresholds(limits)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(shapes.GraphThresholdsStyleMode.DASHED)
        )
    if log:
        panel = panel.scale_distribution(common.ScaleDistributionConfig().type(shapes.ScaleDistribution.LOG).log(10))
    elif low is not None:
        panel = panel.min(low)
    if high is not None:
        panel = panel.max(high)
    for name, colour in (colours or {}).items():
        panel = panel.override_by_name(name, [_fixed(colour)])
    for name in dashed:
        style = {"fill": "dash", "dash": [8, 6]}
        panel = panel.override_by_name(name, [model.DynamicConfigValue(id_val="custom.lineStyle", value=style)])
    return panel


def stack(
    title: str, description: str, *queries: Query, unit: str = "short", width: int = 8, height: int = HEIGHT,
    colours: Mapping[str, str] | None = None, whole: Literal["sum", "hundred"] = "sum",
) -> timeseries.Panel:  # fmt: skip
    """Parts of a whole over time, stacked."""
    mode = shapes.StackingMode.NORMAL if whole == "sum" else shapes.StackingMode.PERCENT
    panel = _over_time(title, description, queries, unit, width, height, ("mean", "lastNotNull"))
    panel = panel.min(0).fill_opacity(35).stacking(common.StackingConfig().mode(mode).group("A"))
    for name, colour in (colours or {}).items():
        panel = panel.override_by_name(name, [_fixed(colour)])
    return panel


def bars(
    title: str, description: str, *queries: Query, unit: str = "percentunit", width: int = 8, height: int = HEIGHT,
    limits: Limits = (), low: float = 0, high: float | None = None, decimals: int | None = None,
) -> bargauge.Panel:  # fmt: skip
    """The latest values, one bar per series."""
    panel = (
        bargauge.Panel()
        .title(title).description(description).datasource(DATASOURCE).unit(unit).min(low)
        .thresholds(_thresholds(limits)).color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .display_mode(shapes.BarGaugeDisplayMode.BASIC).orientation(shapes.VizOrientation.HORIZONTAL)
        .name_placement(shapes.BarGaugeNamePlacement.LEFT).show_unfilled(True)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .span(width).height(height)
    )  # fmt: skip
    for number, query in enumerate(queries):
        panel = panel.with_target(_target(number, query))
    if decimals is not None:
        panel = panel.decimals(decimals)
    return panel if high is None else panel.max(high)


def states(
    title: str, description: str, *queries: Query, texts: Mapping[int, tuple[str, str]], width: int = 8, height: int = HEIGHT,
    empty: str = "no data",
) -> statetimeline.Panel:  # fmt: skip
    """The state of each series over time. ``texts`` are texts and colours of values."""
    panel = (
        statetimeline.Panel()
        .title(title).description(description).datasource(DATASOURCE).mappings([_value_texts(texts)]).no_value(empty)
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS)).thresholds(_thresholds(()))
        .show_value(shapes.VisibilityMode.NEVER).merge_values(True).row_height(0.8).fill_opacity(80).line_width(0)
        .legend(common.VizLegendOptions().show_legend(False)).span(width).height(height)
    )  # fmt: skip
    for number, query in enumerate(queries):
        panel = panel.with_target(_target(number, query))
    return panel


def heat(title: str, description: str, buckets: str, *, unit: str = "s", width: int = 12, height: int = HEIGHT) -> heatmap.Panel:
    """A histogram over time as a heat map; ``buckets`` is an expression by `le`."""
    return (
        heatmap.Panel()
        .title(title).description(description).datasource(DATASOURCE)
        .with_target(_target(0, (buckets, "{{le}}")).format(PromQueryFormat.HEATMAP))
        .calculate(False).cell_gap(1)
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").exponent(0.5).steps(64))
        .y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(shapes.AxisPlacement.LEFT))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .tooltip(heatmap.HeatmapTooltip().mode(shapes.TooltipDisplayMode.SINGLE).y_histogram(True))
        .show_legend().span(width).height(height)
    )  # fmt: skip


def _over_time(
    title: str, description: str, queries: Sequence[Query], unit: str, width: int, height: int, sums: Sequence[str]
) -> timeseries.Panel:
    legend = common.VizLegendOptions().show_legend(True).placement(shapes.LegendPlacement.BOTTOM)
    many = len(queries) > 1 or "{{" in queries[0][1]
    legend = legend.display_mode(shapes.LegendDisplayMode.TABLE if many else shapes.LegendDisplayMode.LIST).calcs(list(sums))
    panel = (
        timeseries.Panel()
        .title(title).description(description).datasource(DATASOURCE).unit(unit).legend(legend)
        .tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING))
        .draw_style(shapes.GraphDrawStyle.LINE).line_width(2).show_points(shapes.VisibilityMode.NEVER)
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .span(width).height(height)
    )  # fmt: skip
    for number, query in enumerate(queries):
        panel = panel.with_target(_target(number, query))
    return panel


def _target(number: int, query: Query) -> prometheus.Dataquery:
    expression, legend = query
    target = prometheus.Dataquery().ref_id(chr(ord("A") + number)).datasource(DATASOURCE)
    return target.expr(expression).legend_format(legend).range()


def _thresholds(limits: Limits) -> dashboard.ThresholdsConfig:
    first = CALM if not limits else GOOD
    steps = [model.Threshold(value=None, color=first)]
    for value, colour in limits:
        if value == float("-inf"):
            steps[0].color = colour
        else:
            steps.append(model.Threshold(value=value, color=colour))
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _value_texts(texts: Mapping[int, tuple[str, str]]) -> model.ValueMap:
    numbered = enumerate(texts.items())
    return model.ValueMap(
        options={
            f"{value}": model.ValueMappingResult(text=text, color=colour, index=n) for n, (value, (text, colour)) in numbered
        }
    )


def _fixed(colour: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})
