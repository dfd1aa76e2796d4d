"""Squall's dashboards, as code.

    panels       the kinds of panel that are used, with Squall's conventions
    board        rows of panels on a grid, variables, links between the dashboards; to JSON
    desk         what is being said of the companies, and what fires
    pipeline     how fast messages become alerts, and what is in the way
    model        which model and rules answer, and how well
    alerts       alerts by rule, and whether they reach people

`squall dashboards write DIR` writes the JSON; `deploy/grafana/json` holds what it wrote last, so that Grafana can be
provisioned without any of this.
"""

from __future__ import annotations

from deploy.grafana.dashboards.alerts import alerts
from deploy.grafana.dashboards.board import Board
from deploy.grafana.dashboards.desk import desk
from deploy.grafana.dashboards.model import model
from deploy.grafana.dashboards.pipeline import pipeline

__all__ = ["Board", "boards"]


def boards() -> list[Board]:
    """Return all dashboards, in the order in which one would look at them."""
    return [desk(), pipeline(), model(), alerts()]
