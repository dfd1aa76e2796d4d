"""What a demonstration run takes over from the user's settings, and what it must not."""

import os
from pathlib import Path

import pytest

from deploy.demo.setup import RunFolder, run_settings, worker_environment, write_files
from streams.config import load_settings

USER = {
    "SQUALL_TOPICS__PREFIX": "desk",
    "SQUALL_TOPICS__REPLICATION_FACTOR": "3",
    "SQUALL_DELIVERY__WEBHOOK_URL": "https://pager.example/alerts",
    "SQUALL_DELIVERY__WEBHOOK_TOKEN": "pager-secret",
    "SQUALL_MONITOR__ALLOWED_LATENESS_S": "7",
    "SQUALL_CLASSIFIER__DEVICE": "cpu",
}
CLUSTER = {
    "SQUALL_KAFKA__BOOTSTRAP_SERVERS": "kafka.example:9093",
    "SQUALL_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
    "SQUALL_KAFKA__SASL_USERNAME": "desk",
    "SQUALL_KAFKA__SASL_PASSWORD": "kafka-secret",
}


def settings_for(tmp_path: Path, environ: dict[str, str], *, bootstrap: str | None, invented: bool):
    folder = RunFolder(tmp_path / "run")
    base = load_settings(environ=environ)
    made = run_settings(base, folder, run_id="0a1b", bootstrap=bootstrap, worker_port=7000, invented=invented)
    return made, folder


@pytest.fixture(autouse=True)
def _no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_invented_story_is_judged_by_the_rules_and_bounds_that_are_shipped(tmp_path):
    made, folder = settings_for(tmp_path, USER, bootstrap="127.0.0.1:5000", invented=True)
    assert made.monitor.allowed_lateness_s == 120
    assert made.entities.tables == (folder.companies,)
    assert made.classifier.device == "cpu"
    assert made.topics.replication_factor == 1, "the run's own broker is one node"


def test_the_users_own_messages_are_judged_by_the_users_own_settings(tmp_path):
    made, _ = settings_for(tmp_path, USER, bootstrap="127.0.0.1:5000", invented=False)
    assert made.monitor.allowed_lateness_s == 7
    assert made.entities.tables == ()


@pytest.mark.parametrize("invented", [True, False])
def test_nobody_is_paged_about_a_demonstration(tmp_path, invented):
    made, _ = settings_for(tmp_path, USER, bootstrap=None, invented=invented)
    assert made.delivery.webhook_url is None
    assert not made.delivery.terminal


def test_a_cluster_is_used_as_it_is_named_with_topics_of_the_runs_own(tmp_path):
    made, _ = settings_for(tmp_path, USER | CLUSTER, bootstrap=None, invented=True)
    assert made.kafka.bootstrap_servers == ("kafka.example:9093",)
    assert made.kafka.security_protocol == "SASL_SSL"
    assert made.topics.prefix == "desk-demo-0a1b"
    assert made.topics.replication_factor == 3


def test_the_worker_reads_the_very_same_settings_and_no_secret_is_on_disk(tmp_path):
    environ = USER | CLUSTER
    made, folder = settings_for(tmp_path, environ, bootstrap=None, invented=True)
    write_files(made, folder)
    variables = worker_environment(made, environ | {"SQUALL_CONFIG": "elsewhere.yaml", "PATH": os.defpath})
    assert load_settings(folder.config, environ=variables) == made
    assert variables["PATH"] == os.defpath
    for file in folder.root.rglob("*"):
        assert b"secret" not in file.read_bytes(), file
