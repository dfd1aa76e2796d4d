"""The frame of the command line: help, errors and options, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import ENTRIES, app, load
from deploy.kafka import KAFKA_VERSION, LocalBroker, free_port

ROOT = Path(__file__).parents[3]


def squall(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `squall` in a folder, without the variables of whoever runs the tests."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SQUALL_")}
    return subprocess.run(
        [sys.executable, "-c", "from deploy.cli import main; main()", *arguments],
        env={**inherited, "PYTHONPATH": str(ROOT), "COLUMNS": "120", **variables},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_lists_every_command_with_its_line() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "160"})
    assert shown.exit_code == 0
    for entry in ENTRIES:
        assert entry.name in shown.output
        assert entry.help in shown.output
        assert entry.panel in shown.output


def test_help_loads_none_of_the_heavy_libraries(tmp_path: Path) -> None:
    program = """
import sys
from typer.testing import CliRunner
from deploy.cli import app
assert CliRunner().invoke(app, ["--help"]).exit_code == 0
print(*sorted({"torch", "transformers", "faust", "kafka", "pyarrow", "pydantic", "deploy.kafka"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "\n"


@pytest.mark.parametrize("name", [entry.name for entry in ENTRIES])
def test_every_command_can_be_loaded_and_has_help_of_its_own(name: str) -> None:
    (entry,) = (entry for entry in ENTRIES if entry.name == name)
    assert load(entry).name == name
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "120"})
    assert shown.exit_code == 0, shown.output
    assert f"Usage: squall {name}" in shown.output


def test_a_misspelt_command_is_answered_with_the_nearest() -> None:
    shown = CliRunner().invoke(app, ["brokr"])
    assert shown.exit_code == 2
    assert "Did you mean 'broker'?" in shown.output


def test_an_expected_error_is_one_line_and_exit_status_2(tmp_path: Path) -> None:
    done = squall("topics", "check", cwd=tmp_path, SQUALL_KAFKA__BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: cannot reach Kafka (127.0.0.1:")
    assert done.stderr.count("\n") == 1


def test_debug_shows_where_an_error_arose(tmp_path: Path) -> None:
    done = squall("--debug", "config", "show", cwd=tmp_path, SQUALL_TOPIX__PREFIX="x")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "streams.errors.ConfigError" in done.stderr


def test_version_names_squall_and_kafka(tmp_path: Path) -> None:
    done = squall("version", cwd=tmp_path)
    assert done.returncode == 0
    assert "faust-streaming" in done.stdout
    assert f"Apache Kafka {KAFKA_VERSION}" in done.stdout


@pytest.mark.broker
def test_topics_are_made_checked_and_their_drift_is_told(kafka: LocalBroker, topic_prefix: str, tmp_path: Path) -> None:
    where = {"SQUALL_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap, "SQUALL_TOPICS__PREFIX": topic_prefix}
    missing = squall("topics", "check", cwd=tmp_path, **where)
    assert missing.returncode == 1
    assert "squall topics create" in missing.stdout
    created = squall("topics", "create", cwd=tmp_path, **where)
    assert created.returncode == 0, created.stderr
    assert created.stdout.count("created") == 6
    checked = squall("topics", "check", cwd=tmp_path, **where)
    assert checked.returncode == 0
    assert "Not as designed" not in checked.stdout
    drifted = squall("topics", "check", cwd=tmp_path, SQUALL_TOPICS__MENTION_PARTITIONS="9", **where)
    assert drifted.returncode == 1
    assert "set topics.mention_partitions to 4" in drifted.stdout


@pytest.mark.broker
def test_the_broker_is_started_shown_and_stopped(tmp_path: Path) -> None:
    place = ["--data-dir", "kafka"]
    port = str(free_port())
    try:
        down = squall("broker", "status", *place, cwd=tmp_path)
        assert down.returncode == 3
        assert "not running" in down.stdout
        started = squall("broker", "start", *place, "--port", port, cwd=tmp_path)
        assert started.returncode == 0, started.stderr
        up = squall("broker", "status", *place, cwd=tmp_path)
        assert up.returncode == 0
        for words in ("running", f"127.0.0.1:{port}", f"Apache Kafka {KAFKA_VERSION}", str(tmp_path / "kafka")):
            assert words in up.stdout
        other = str(free_port())
        elsewhere = squall("broker", "status", *place, "--port", other, cwd=tmp_path)
        assert elsewhere.returncode == 3
        assert f"It runs on port {port}, not on {other}." in elsewhere.stderr
        refused = squall("broker", "stop", *place, "--port", other, cwd=tmp_path)
        assert refused.returncode == 2
        assert f"runs on port {port}, not on {other}: nothing is done" in refused.stderr
        assert (tmp_path / "kafka").stat().st_mode & 0o777 == 0o700
        stopped = squall("broker", "stop", *place, "--port", port, cwd=tmp_path)
        assert stopped.stdout == "Stopped.\n"
        assert squall("broker", "status", *place, cwd=tmp_path).returncode == 3
    finally:
        LocalBroker(tmp_path / "kafka", int(port)).kill()


def test_status_and_stop_take_a_port_where_no_broker_runs(tmp_path: Path) -> None:
    place = ["--data-dir", "kafka", "--port", str(free_port())]
    down = squall("broker", "status", *place, cwd=tmp_path)
    assert down.returncode == 3
    assert place[-1] in down.stdout
    assert squall("broker", "stop", *place, cwd=tmp_path).returncode == 0
    assert (tmp_path / "kafka").stat().st_mode & 0o777 == 0o700


def test_no_local_broker_is_started_where_a_cluster_is_named(tmp_path: Path) -> None:
    done = squall("broker", "start", cwd=tmp_path, SQUALL_KAFKA__BOOTSTRAP_SERVERS="kafka.example:9092")
    assert done.returncode == 0
    assert "names kafka.example:9092: that cluster is used" in done.stdout
    assert not (tmp_path / ".squall").exists()


def test_help_of_a_command_fills_the_lines() -> None:
    shown = CliRunner().invoke(app, ["broker", "--help"], env={"COLUMNS": "200"})
    assert "It needs Java 17 and Maven, or Docker. For production name your own cluster" in shown.output
