"""A dashboard: rows of panels on a grid, the variables that all have in common, and its JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from deploy.grafana.dashboards.panels import DATASOURCE, Panel

COLUMNS = 24
TAG = "squall"


@dataclass(frozen=True)
class Row:
    """A heading and the panels under it, from left to right; they break into lines where 24 columns are full."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Annotation:
    """Marks on all graphs: each stretch of time in which the expression has a series."""

    name: str
    expr: str
    title: str
    text: str
    tags: str
    colour: str


@dataclass(frozen=True)
class Board:
    """One dashboard.

    Args:
        uid: its address in Grafana, `/d/UID`.
        title: its name.
        description: for whom it is.
        rows: what it shows.
        variables: beside those that all dashboards have (`datasource`, `job`).
        annotations: marks on the graphs.
        since: the time that it shows at first, such as `now-6h`.
    """

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[builders.QueryVariable] = ()
    annotations: Sequence[Annotation] = ()
    since: str = "now-6h"

    def as_json(self) -> str:
        """Return what Grafana is provisioned with; the same for the same code, byte by byte."""
        board = (
            builders.Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags([TAG])
            .timezone("utc")
            .time(self.since, "now")
            .refresh("30s")
            .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
            .link(
                builders.DashboardLink("Squall")
                .type(dashboard.DashboardLinkType.DASHBOARDS)
                .tags([TAG])
                .keep_time(True)
                .include_vars(True)
            )
            .with_variable(builders.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
            .with_variable(variable("job", "Installation", "label_values(squall_worker_info, job)", several=False))
        )
        for further in self.variables:
            board = board.with_variable(further)
        number = 0
        for row in self.rows:
            number += 1
            board = board.with_row(builders.Row(row.title).id(number))
            for panel in row.panels:
                number += 1
                board = board.with_panel(panel.id(number))
        plain = json.loads(json.dumps(board.build(), cls=JSONEncoder))
        # The SDK's type lacks what Grafana reads of an annotation that comes from Prometheus.
        plain["annotations"] = {"list": [_annotation(one) for one in self.annotations]}
        return json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def variable(name: str, label: str, query: str, *, several: bool = True) -> builders.QueryVariable:
    """Return a variable with the values of a label; it is read anew when the time range changes.

    Args:
        name: as in `$name`.
        label: what stands before the choice.
        query: `label_values(metric, label)`.
        several: whether several values, or all, can be chosen.
    """
    found = (
        builders.QueryVariable(name)
        .label(label)
        .query({"query": query, "refId": name})
        .datasource(DATASOURCE)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    )
    if several:
        everything = dashboard.VariableOption(selected=True, text="All", value="$__all")
        found = found.multi(True).include_all(True).all_value(".*").current(everything)
    return found


INSTANCE = 'job=~"$job", instance=~"$instance"'
"""Selects the workers that are looked at."""


def instance_variable() -> builders.QueryVariable:
    """Return the choice of workers."""
    return variable("instance", "Worker", 'label_values(squall_worker_info{job=~"$job"}, instance)')


def _annotation(one: Annotation) -> dict[str, Any]:
    return {
        "name": one.name,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "enable": True,
        "hide": False,
        "iconColor": one.colour,
        "expr": one.expr,
        "titleFormat": one.title,
        "textFormat": one.text,
        "tagKeys": one.tags,
        "step": "60s",
        "target": {"expr": one.expr, "refId": "Anno", "interval": "60s"},
    }
