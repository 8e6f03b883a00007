"""Builds a dashboard from rows of panels; all have the same variables, annotations and links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard, prometheus
from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.panels import DATASOURCE, Panel
from deploy.grafana.promql import series

TAG = "ouzel"


@dataclass(frozen=True)
class Row:
    """A row of panels under a title; without a title the panels are at the top of the dashboard.

    A folded row loads no data until it is opened.
    """

    title: str
    panels: Sequence[Panel]
    folded: bool = False


def board(name: str, description: str, rows: Sequence[Row], *, since: str = "now-1h") -> model.Dashboard:
    """Build one dashboard.

    Its uid is ``ouzel-`` and the name; ``since`` is where its time range starts.
    """
    built = (
        dashboard.Dashboard(f"Ouzel / {name}")
        .uid(f"ouzel-{name.lower()}").description(description).tags([TAG]).readonly()
        .time(since, "now").refresh("30s").timezone("browser").tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(_links())
    )  # fmt: skip
    for variable in _variables():
        built = built.with_variable(variable)
    for annotation in _annotations():
        built = built.annotation(annotation)
    number = 0
    for row in rows:
        header = dashboard.Row(row.title).collapsed(row.folded)
        if row.title:
            number += 1
            header = header.id(number)
        for panel in row.panels:
            number += 1
            panel.id(number)
            if row.folded:
                header = header.with_panel(panel)
        if row.title:
            built = built.with_row(header)
        if not row.folded:
            for panel in row.panels:
                built = built.with_panel(panel)
    return built.build()


def _links() -> dashboard.DashboardLink:
    """Links to the other dashboards, which keep the selected processes and time range."""
    link = dashboard.DashboardLink("Ouzel").type(model.DashboardLinkType.DASHBOARDS).tags([TAG]).icon("dashboard")
    return link.as_dropdown(False).include_vars(True).keep_time(True).target_blank(False)


def _variables() -> Sequence[dashboard.DatasourceVariable | dashboard.QueryVariable]:
    """The selections above a dashboard: domains (deployments), their jobs, and the instances."""
    source = dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    return (
        source.current(model.VariableOption(selected=True, text="default", value="default")),
        _values("domain", "Domain", "ouzel_build_info"),
        _values("job", "Job", 'ouzel_build_info{domain=~"$domain"}'),
        _values("instance", "Instance", 'ouzel_build_info{domain=~"$domain", job=~"$job"}'),
    )


def _values(name: str, label: str, of: str) -> dashboard.QueryVariable:
    query = f"label_values({of}, {name})"
    return (
        dashboard.QueryVariable(name).label(label).datasource(DATASOURCE)
        .query({"query": query, "refId": f"variable-{name}"}).definition(query)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.NATURAL_ASC)
        .multi(True).include_all(True).current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )  # fmt: skip


def _annotations() -> Sequence[dashboard.AnnotationQuery]:
    # Only the learner resets. A worker that restores a model restores its count of resets too.
    learner = f"and on (job, instance) {series('ouzel_learner')} == 1"
    return (
        _marks("Rebalances", "yellow", f"increase({series('ouzel_rebalances_total')}[2m]) > 0", "Rebalance"),
        _marks("Rollbacks", "red", f"increase({series('ouzel_rollbacks_total')}[2m]) > 0", "Model rolled back"),
        _marks("Drift", "purple", f"delta({series('ouzel_drift_resets')}[2m]) > 0 {learner}", "Drift: soft reset"),
    )


def _marks(name: str, colour: str, expression: str, title: str) -> dashboard.AnnotationQuery:
    """Marks on every graph at the times at which the expression has values."""
    target = prometheus.Dataquery().ref_id(name).datasource(DATASOURCE).expr(expression).range().interval("60s")
    return (
        dashboard.AnnotationQuery().name(name).datasource(DATASOURCE).enable(True).hide(False).icon_color(colour)
        .target(target).title_format(title).text_format("{{instance}}").tag_keys("instance").use_value_for_time(False)
    )  # fmt: skip
