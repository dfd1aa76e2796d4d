"""The pipeline bench's report, and a tiny run of it on the session's broker with the shipped model."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.bench.alone import Alone, measure
from deploy.bench.outcome import Live, Throughput, alone_figures, live_figures, throughput_figures
from deploy.bench.pipeline import Plan, run
from deploy.bench.rig import environment, parse_metrics
from deploy.bench.timing import Delay
from deploy.cli import bench as command
from models.files import DEFAULT_MODEL
from models.testing import FakeClassifier
from streams.config import Settings
from streams.errors import SquallError
from streams.topics import admin_client

ALONE = Alone(best_per_s=1050, median_per_s=1000, cpu_s_per_message=0.002, mean_tokens=28, model="m 1")


def test_what_the_pipeline_takes_longer_is_split_without_a_rest() -> None:
    found = Throughput(
        role="scorer",
        per_s=800,
        mean_batch=512,
        step_s={"prepare": 0.0003, "score": 0.0011, "deliver": 0.0002},
        cpu_s=0.0025,
    )
    rate, slower, waits, cpu = throughput_figures(found, ALONE)
    assert rate.ratio == pytest.approx(0.8)
    assert slower.value == pytest.approx(100)
    assert waits.value == pytest.approx(150)
    assert slower.value + waits.value == pytest.approx(1e6 / 800 - 1e6 / 1000)
    assert cpu.ratio == pytest.approx(1.25)


def test_the_live_figures_count_the_surges_that_did_not_fire() -> None:
    live = Live(per_s=36, surges=4, delays=[Delay(10_000, 200), Delay(20_000, 400)], mentioned_ms=[100, 300])
    figures = {figure.name: figure for figure in live_figures(live)}
    assert figures["live: surges that fired"].ratio == 0.5
    assert figures["live: published to alerted, service, p50"].value == 200
    assert figures["live: published to alerted, service, p99"].value == 400
    assert figures["live: published to alerted, in all, p99"].value == 20_400
    assert live_figures(Live(per_s=1, surges=1, delays=[], mentioned_ms=[]))[0].value == 0


def test_the_classifier_alone_scores_in_the_workers_batches() -> None:
    scorer = FakeClassifier()
    found = measure(scorer, ["shares fall"] * 10, batch_messages=4, repeats=2)
    assert scorer.calls == [4, 4, 4, 2, 4, 4, 2]
    assert found.best_per_s >= found.median_per_s > 0
    assert found.mean_tokens == 4
    assert alone_figures(found, 2)[0].ratio >= 1


def test_metrics_are_summed_by_name_and_kept_by_label() -> None:
    text = (
        "# TYPE squall_step_seconds histogram\n"
        'squall_step_seconds_sum{step="score"} 2.5\nsquall_step_seconds_sum{step="prepare"} 1\n'
        "# TYPE squall_mentions_total counter\nsquall_mentions_total 7\n"
    )
    found = parse_metrics(text)
    assert found["squall_step_seconds_sum{score}"] == 2.5
    assert found["squall_step_seconds_sum"] == 3.5
    assert found["squall_mentions_total"] == 7


def test_a_password_reaches_the_worker_by_its_environment(make_settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUALL_TOPICS__PREFIX", "elsewhere")
    kafka = {"security_protocol": "SASL_SSL", "sasl_username": "u", "sasl_password": "open sesame"}
    found = environment(make_settings("h:1", "p", kafka=kafka))
    assert [name for name, value in found.items() if value == "open sesame"] == ["SQUALL_KAFKA__SASL_PASSWORD"]
    assert "SQUALL_TOPICS__PREFIX" not in found


@pytest.mark.broker
def test_a_worker_that_ends_is_told_with_its_log_and_its_topics_are_gone(settings: Settings) -> None:
    plan = Plan(messages=100, repeats=1, roles=("scorer",), live_minutes=0)
    script = "import sys; print('no such thing as a model'); sys.exit(3)"
    with pytest.raises(SquallError, match="no such thing as a model") as failure:
        run(settings, plan, worker=(sys.executable, "-c", script), alone=(sys.executable, "-c", _ALONE))
    assert "ended with status 3" in str(failure.value)
    with admin_client(settings.kafka) as admin:
        assert not [name for name in admin.list_topics() if name.startswith("squall-bench-")]


_ALONE = (
    'print(\'{"best_per_s": 2.0, "median_per_s": 1.0, "cpu_s_per_message": 1.0, "mean_tokens": 3.0, "model": "m"}\')'
)


@pytest.mark.broker
@pytest.mark.skipif(not DEFAULT_MODEL.exists(), reason="no model is shipped in this checkout")
def test_a_tiny_run_measures_both_and_writes_its_figures(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = settings.worker.model_copy(update={"batch_messages": 64})
    monkeypatch.setattr(command, "settings", lambda: settings.model_copy(update={"worker": worker}))
    file = tmp_path / "figures.json"
    words = ["pipeline", "--messages", "200", "--repeats", "1", "--live-minutes", "0", "--json", str(file)]
    result = CliRunner().invoke(command.app, words)
    assert result.exit_code == 0, result.output
    figures = {figure["name"]: figure for figure in json.loads(file.read_text())}
    for role in ("scorer", "all"):
        assert figures[f"pipeline, role {role}"]["value"] > 0
        assert figures[f"pipeline, role {role}"]["ratio"] > 0
    assert figures["classifier alone, best of 1"]["unit"] == "messages/s"


def test_stories_need_a_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(command.app, ["stories"])
    assert result.exit_code == 2
    assert "at least one of" in result.output
