"""The dashboards as JSON: what Grafana needs is there, nothing overlaps, and every query asks for what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from deploy.cli import app
from deploy.grafana.dashboards import Board, boards
from tests.deploy.observe.programs import GRAFANA
from tests.deploy.observe.promql import known, problems, rules

BOARDS = boards()
GENERATED = {board.uid: json.loads(board.as_json()) for board in BOARDS}
EVERY = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)


def panels(board: Board) -> list[dict[str, Any]]:
    return GENERATED[board.uid]["panels"]


def graphs(board: Board) -> list[dict[str, Any]]:
    return [panel for panel in panels(board) if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    for uid, board in GENERATED.items():
        for panel in board["panels"]:
            for target in panel.get("targets") or ():
                yield f"{uid}: {panel['title']} ({target['refId']})", target["expr"]
        for annotation in board["annotations"]["list"]:
            yield f"{uid}: {annotation['name']}", annotation["expr"]


@EVERY
def test_what_is_in_the_repository_is_what_the_code_writes(board: Board) -> None:
    path = GRAFANA / "json" / f"{board.uid}.json"
    assert path.read_text() == board.as_json(), "run: squall dashboards write deploy/grafana/json"


def test_nothing_else_is_in_the_repository() -> None:
    assert {path.stem for path in (GRAFANA / "json").glob("*")} == set(GENERATED)


def test_the_command_writes_them_all(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["dashboards", "write", str(tmp_path / "new")])
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "new").iterdir()} == {f"{uid}.json" for uid in GENERATED}


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(app, ["dashboards", "write", str(tmp_path / "file")])
    assert "cannot write dashboards to" in str(done.exception)


@EVERY
def test_grafana_finds_what_it_needs(board: Board) -> None:
    found = GENERATED[board.uid]
    assert found["schemaVersion"] >= 36
    assert found["uid"] == board.uid
    assert len(board.uid) <= 40
    assert found["title"].startswith("Squall: ")
    assert found["tags"] == ["squall"]
    assert found["time"]["to"] == "now"
    assert found["templating"]["list"][0]["type"] == "datasource"


@EVERY
def test_panels_have_numbers_of_their_own_and_do_not_overlap(board: Board) -> None:
    numbers = [panel["id"] for panel in panels(board)]
    assert len(set(numbers)) == len(numbers)
    taken: dict[tuple[int, int], str] = {}
    for panel in panels(board):
        place = panel["gridPos"]
        assert place["w"] >= 1
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies on {taken.get((x, y))}"
                taken[x, y] = panel["title"]


@EVERY
def test_lines_of_panels_fill_the_width(board: Board) -> None:
    """A gap is a panel whose neighbour was forgotten, or a width that was mistyped."""
    widths: dict[int, int] = {}
    for panel in panels(board):
        widths[panel["gridPos"]["y"]] = widths.get(panel["gridPos"]["y"], 0) + panel["gridPos"]["w"]
    assert set(widths.values()) == {24}, widths


@EVERY
def test_a_panel_says_what_it_shows_when_to_worry_and_in_which_unit(board: Board) -> None:
    titles = [panel["title"] for panel in graphs(board)]
    for panel in graphs(board):
        assert panel["description"].endswith("."), panel["title"]
        assert len(panel["description"]) > 30, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        references = [target["refId"] for target in panel["targets"]]
        assert references == sorted(set(references))
    assert len(titles) >= 10


def test_alarms_that_descriptions_name_exist() -> None:
    names = {rule["alert"] for rule in rules() if "alert" in rule}
    text = json.dumps(list(GENERATED.values()))
    mentioned = set(re.findall(r"\bSquall[A-Z]\w+", text))
    assert len(mentioned) > 10
    assert mentioned <= names


def test_every_query_asks_for_what_there_is() -> None:
    series = known()
    wrong = {where: found for where, expr in expressions() if (found := problems(expr, series))}
    assert not wrong


def test_every_metric_is_drawn_or_watched_by_a_rule() -> None:
    asked = " ".join([expr for _, expr in expressions()] + [rule["expr"] for rule in rules()])
    names = {re.sub(r"_(bucket|sum|count)$", "", name) for name in known() if name.startswith("squall_")}
    # What `squall warm` has sent is told by the command itself.
    assert {name for name in names if name not in asked} == {"squall_seeded_baselines_total"}


@EVERY
def test_variables_are_used_and_those_that_are_used_are_there(board: Board) -> None:
    found = GENERATED[board.uid]
    names = {one["name"] for one in found["templating"]["list"]}
    asked = set()
    for panel in graphs(board):
        for target in panel["targets"]:
            asked |= set(re.findall(r"\$(?:\{)?(\w+)", target["expr"]))
    asked -= {"__rate_interval", "__range", "__interval"}
    assert asked == names - {"datasource"}


def test_queries_work_without_the_recording_rules() -> None:
    """A dashboard is often the first thing that is set up."""
    assert not [where for where, expr in expressions() if re.search(r"\w+:squall_", expr)]


def test_the_files_that_provision_grafana_are_yaml_with_what_it_asks_for() -> None:
    source = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yaml").read_text())
    assert source["apiVersion"] == 1
    assert source["datasources"][0]["type"] == "prometheus"
    provider = yaml.safe_load((GRAFANA / "provisioning/dashboards/squall.yaml").read_text())
    assert provider["providers"][0]["options"]["path"] == "/var/lib/grafana/dashboards/squall"
