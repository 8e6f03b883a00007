"""What every dashboard has: the same variables, annotations and links, and rows of panels on the grid."""

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
    """Panels under a title; without one they stand on top. A folded row asks for no data until it is opened."""

    title: str
    panels: Sequence[Panel]
    folded: bool = False


def board(name: str, tells: str, rows: Sequence[Row], *, since: str = "now-1h") -> model.Dashboard:
    """One dashboard of Ouzel's; its uid is ``ouzel-`` and the name."""
    made = (
        dashboard.Dashboard(f"Ouzel / {name}")
        .uid(f"ouzel-{name.lower()}").description(tells).tags([TAG]).readonly()
        .time(since, "now").refresh("30s").timezone("browser").tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(_links())
    )  # fmt: skip
    for variable in _variables():
        made = made.with_variable(variable)
    for annotation in _annotations():
        made = made.annotation(annotation)
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
            made = made.with_row(header)
        if not row.folded:
            for panel in row.panels:
                made = made.with_panel(panel)
    return made.build()


def _links() -> dashboard.DashboardLink:
    """The other dashboards, with the same processes and the same time."""
    link = dashboard.DashboardLink("Ouzel").type(model.DashboardLinkType.DASHBOARDS).tags([TAG]).icon("dashboard")
    return link.as_dropdown(False).include_vars(True).keep_time(True).target_blank(False)


def _variables() -> Sequence[dashboard.DatasourceVariable | dashboard.QueryVariable]:
    """Each narrows down the next: a domain (one deployment), its jobs, their instances."""
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
    # Only the learner resets; a worker that takes a model over takes its count over as well.
    learner = f"and on (job, instance) {series('ouzel_learner')} == 1"
    return (
        _marks("Rebalances", "yellow", f"increase({series('ouzel_rebalances_total')}[2m]) > 0", "Rebalance"),
        _marks("Rollbacks", "red", f"increase({series('ouzel_rollbacks_total')}[2m]) > 0", "Model rolled back"),
        _marks("Drift", "purple", f"delta({series('ouzel_drift_resets')}[2m]) > 0 {learner}", "Drift: soft reset"),
    )


def _marks(name: str, colour: str, expression: str, title: str) -> dashboard.AnnotationQuery:
    """Marks on every graph while the expression has values."""
    target = prometheus.Dataquery().ref_id(name).datasource(DATASOURCE).expr(expression).range().interval("60s")
    return (
        dashboard.AnnotationQuery().name(name).datasource(DATASOURCE).enable(True).hide(False).icon_color(colour)
        .target(target).title_format(title).text_format("{{instance}}").tag_keys("instance").use_value_for_time(False)
    )  # fmt: skip
