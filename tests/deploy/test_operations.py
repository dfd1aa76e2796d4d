"""The handbook of operation names commands, options, settings and metrics that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import ENTRIES, app
from streams import topics
from streams.app.layout import state_changelog
from streams.config import Settings, keys

ROOT = Path(__file__).parents[2]
DOC = ROOT / "deploy" / "docs" / "OPERATIONS.md"
TEXT = DOC.read_text()
SECTIONS = {key.partition(".")[0] for key, *_ in keys()}
OF_THE_CHART = (
    "monitor.sessionTimeoutSeconds",
    "monitor.keda",
    "scorer.keda",
    "retrain.enabled",
    "retrain.schedule",
    "retrain.timeZone",
)


def commands() -> Iterator[list[str]]:
    """Every `squall ...` of the text, in a block or in a line, up to what ends it."""
    blocks = [line.strip() for line in TEXT.splitlines() if re.match(r"^ {4,}squall ", line)]
    spans: list[str] = re.findall(r"`(squall [^`]+)`", TEXT.replace("\n", " "))
    for text in {*blocks, *spans}:
        yield shlex.split(text)[1:]


def help_of(words: list[str]) -> tuple[str, list[str]]:
    """The help of the command that the words begin with, and the words that follow it."""
    for length in (2, 1):
        if len(words) >= length:
            shown = CliRunner().invoke(app, [*words[:length], "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
            if shown.exit_code == 0 and not (length == 2 and words[1].startswith(("-", "kafka:"))):
                return shown.stdout, words[length:]
    raise AssertionError(f"there is no squall {' '.join(words)}")


def test_there_are_commands_to_look_at() -> None:
    assert len(list(commands())) > 15


@pytest.mark.parametrize("words", sorted(commands()), ids=" ".join)
def test_every_command_and_option_exists(words: list[str]) -> None:
    assert words[0] in {entry.name for entry in ENTRIES}
    text, rest = help_of(words)
    for word in rest:
        if word.startswith("--"):
            assert word.partition("=")[0] in text, f"squall {' '.join(words)}"


def test_every_variable_is_a_setting() -> None:
    known = {variable for _, variable, *_ in keys()}
    named = set(re.findall(r"SQUALL_\w+", TEXT))
    assert named
    assert named <= known


def test_every_key_is_a_setting_of_squall_or_of_the_chart() -> None:
    known = {key for key, *_ in keys()}
    named = {key for key in re.findall(r"`(\w+\.\w+)(?::[^`]*)?`", TEXT) if key.partition(".")[0] in SECTIONS}
    assert {"topics.mention_partitions", "monitor.story_horizon_s"} <= named
    assert named - set(OF_THE_CHART) <= known


def test_every_metric_is_in_the_table_of_metrics() -> None:
    table = (DOC.parent / "METRICS.md").read_text()
    named = set(re.findall(r"`(squall_\w+)", TEXT))
    assert len(named) >= 4
    assert not [name for name in named if name not in table]


def test_every_topic_is_one_that_there_is() -> None:
    settings = Settings()
    known = {topic.name for topic in topics.design(settings)}
    named = set(re.findall(r"`(squall\.[a-z-]+)`", TEXT)) - {"squall.yaml"}
    assert named == known
    assert state_changelog(settings) in TEXT


def test_how_long_topics_are_kept_is_what_is_said() -> None:
    assert f"messages for {topics.MESSAGES_KEPT_MS // topics.DAY_MS} days" in TEXT
    assert f"dead letters for {topics.HISTORY_KEPT_MS // topics.DAY_MS}" in TEXT


def test_files_that_are_linked_or_named_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (DOC.parent / target).exists(), target
    for path in re.findall(r"(?<![\w/])deploy/[\w./-]+\w", TEXT):
        assert (ROOT / path).exists(), path


def test_figures_of_capacity_are_those_of_the_benchmarks() -> None:
    figures = (ROOT / "BENCHMARKS.md").read_text()
    for figure in ("804 messages/s", "681 messages/s", "1,123", "27.9", "1.7 kB"):
        assert figure in figures, "OPERATIONS.md quotes another figure: mend it there too"
