"""`squall own-topics check`: tables, verdicts and exit statuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from deploy.cli import app

SHIPPED = Path(__file__).parents[3] / "deploy" / "examples" / "own-topics.yaml"
HOPELESS = """\
topics:
  - name: assorted
    examples:
      - A comet passes over Aldhaven tonight
      - Bracken Motors opens a showroom
      - Two year yields fall
      - Leek soup for eight people
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check(*arguments: str | Path) -> Result:
    return CliRunner().invoke(
        app, ["own-topics", "check", *(str(argument) for argument in arguments)], env={"COLUMNS": "120"}
    )


def test_the_shipped_example_is_usable_and_its_counts_are_told() -> None:
    shown = check(SHIPPED)
    assert shown.exit_code == 0, shown.output
    assert re.search(r"labour-disputes +\d+ of 14 +\d+% +\d+ of 122 +\d+% +usable", shown.stdout)
    assert re.search(r"cyber-incidents +\d+ of 12 +\d+% +\d+ of 124 +\d+% +usable", shown.stdout)
    assert "Warning" not in shown.stdout


def test_a_hopeless_topic_is_called_so_with_status_1_and_few_examples_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(HOPELESS)
    shown = check("t.yaml")
    assert shown.exit_code == 1
    assert re.search(r"assorted +\d of 4 .* not usable", shown.stdout)
    assert "Warning: only 4 examples: the true recall may be anything from" in shown.stdout
    assert "assorted (t.yaml:2)" in shown.stdout
    assert "Not usable as it stands: assorted" in shown.stderr


def test_a_file_that_is_not_valid_has_status_1_and_its_place(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(HOPELESS.replace("examples", "exampels"))
    shown = check("t.yaml")
    assert shown.exit_code == 1
    assert shown.stderr == "Not valid: t.yaml:3:5: unknown key 'exampels'; did you mean 'examples'?\n"


def test_a_feed_of_ones_own_shows_what_each_topic_would_take(tmp_path: Path) -> None:
    rows = ["Union calls a strike of train drivers over pay", *(f"Profit of shop {n} rises" for n in range(9))]
    (tmp_path / "feed.txt").write_text("\n".join(rows) + "\n")
    shown = check(SHIPPED, "--against", "feed.txt")
    assert shown.exit_code == 0, shown.output
    assert "labour-disputes takes 1 of 10 messages of feed.txt (10.0%)" in shown.stdout
    assert "cyber-incidents takes 0 of 10 messages" in shown.stdout
    assert "%: Union calls a strike" in shown.stdout
    limited = check(SHIPPED, "--against", "feed.txt", "--limit", "4")
    assert "takes 1 of 4 messages" in limited.stdout
